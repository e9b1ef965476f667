"""The payment server of the comparison: the only thing that knows how often somebody was really paid.

It acts on a payment, writes it down and syncs it, and then, once, kills the program that asked: either before it answers, or
some milliseconds after. No program under test takes part in its own death. `compare.py` starts it.
"""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8790


class Payments:
    """What was paid, and who is to be killed for asking."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.lock = threading.Lock()
        self.begin()

    def begin(self):
        """Forgets everything: the next program's turn."""
        self.receipts = {}
        self.requests = 0
        self.payments = 0
        self.victim = None
        self.delay_ms = None

    def arm(self, pid, delay_ms):
        """Kills the process group of `pid` at its next payment: before the answer, or `delay_ms` after it."""
        self.victim, self.delay_ms = pid, delay_ms

    def pay(self, key, payment):
        """Acts on a payment, unless its key has been seen. Returns the receipt."""
        with self.lock:
            self.requests += 1
            if key is not None and key in self.receipts:
                return self.receipts[key]
            self.payments += 1
            receipt = f"receipt {self.payments} for {payment['euros']} euros to {payment['to']}"
            self.ledger.write(json.dumps({"payment": payment, "key": key, "receipt": receipt}) + "\n")
            self.ledger.flush()
            os.fsync(self.ledger.fileno())
            if key is not None:
                self.receipts[key] = receipt
            return receipt

    def take_victim(self):
        with self.lock:
            victim, self.victim = self.victim, None
            return victim


def kill(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def serve(payments):
    """Serves in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            payment = json.loads(self.rfile.read(length))
            receipt = payments.pay(self.headers.get("idempotency-key"), payment)
            victim = payments.take_victim()
            if victim is not None and payments.delay_ms is None:
                kill(victim)
                self.close_connection = True
                return
            body = receipt.encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            if victim is not None:
                time.sleep(payments.delay_ms / 1000)
                kill(victim)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
