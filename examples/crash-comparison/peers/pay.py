"""The payment as an ordinary Python function, as a tool's author would write it. Used by all peers."""

import json
import urllib.request

SERVER = "http://127.0.0.1:8790"


def pay(to: str, euros: int) -> str:
    """Pay somebody."""
    body = json.dumps({"to": to, "euros": euros}).encode()
    request = urllib.request.Request(f"{SERVER}/payments", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()
