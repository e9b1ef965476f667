"""Kills an agent right after its payment, resumes it, and counts how often somebody was paid: agent-host beside LangGraph,
DBOS and the OpenAI Agents SDK. README.md says how to run it and shows what came out.

Usage: python compare.py [--agent-host PROGRAM] [--rounds N]
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version

import server

HERE = pathlib.Path(__file__).resolve().parent
# A program that has not ended by then hangs.
SECONDS_MAX = 120
# When the payment server kills: before it answers, or this many milliseconds after it did.
MOMENTS = [None, 0, 1, 2, 5, 10, 20]


class Peer:
    """A Python program: `SCRIPT FOLDER run|resume`."""

    def __init__(self, name, script):
        self.name, self.script = name, HERE / "peers" / script

    def command(self, folder, verb):
        return [sys.executable, str(self.script), str(folder), verb], {"cwd": folder}

    def prepare(self, folder):
        pass


# Where `agent-host tool build` leaves the payment tool.
PAY = HERE.parents[1] / "tools/target/wasm32-wasip2/release/pay.wasm"


class Ours:
    """agent-host with one of the two agents."""

    def __init__(self, program, name, agent):
        self.program, self.name, self.agent = program, name, agent

    def prepare(self, folder):
        shutil.copytree(HERE / "agents", folder / "agents")
        (folder / "pay").mkdir()
        shutil.copy(HERE / "pay/tool.toml", folder / "pay")
        shutil.copy(PAY, folder / "pay")
        # The built component is named by where it is, here beside its manifest.
        manifest = folder / "pay/tool.toml"
        manifest.write_text(manifest.read_text().replace("../../../tools/target/wasm32-wasip2/release/", ""))
        trusted = [self.program, "trust", "--yes", "agent.toml"]
        subprocess.run(trusted, check=True, capture_output=True, **self.surroundings(folder))

    def command(self, folder, verb):
        given = ["run", "--agent", "agent.toml", "Pay Ada 100 euros."] if verb == "run" else ["resume", "--agent", "agent.toml"]
        return [self.program, *given], self.surroundings(folder)

    def surroundings(self, folder):
        # A state folder that stays from round to round: the compiled component is kept there.
        home = HERE / ".state"
        return {"cwd": folder / "agents" / self.agent, "env": {**os.environ, "AGENT_HOST_HOME": str(home)}}


def start(system, folder, verb):
    command, surroundings = system.command(folder, verb)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes, **surroundings)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def killed_and_resumed(system, payments, delay_ms):
    """One round: how often it was killed, asked and paid, and what it said in the end."""
    with tempfile.TemporaryDirectory(prefix="crash-comparison-") as name:
        folder = pathlib.Path(name)
        system.prepare(folder)
        payments.begin()
        first = start(system, folder, "run")
        payments.arm(first.pid, delay_ms)
        first.communicate(timeout=SECONDS_MAX)
        killed = first.returncode == -9
        second = start(system, folder, "resume")
        try:
            out, err = second.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            server.kill(second.pid)
            out, err = second.communicate()
        return killed, payments.requests, payments.payments, last_line(out) or last_line(err)


def verdict(system, payments, rounds):
    """All rounds of one system: what is printed of it."""
    cut_off, cut_off_said, paid_by_kills, lost = [], "", [], 0
    for moment in MOMENTS:
        for _ in range(rounds):
            killed, requests, paid, said = killed_and_resumed(system, payments, moment)
            # A program that had ended before the kill says nothing about kills.
            paid_by_kills += [paid] if killed else []
            lost += paid == 0
            if moment is None:
                cut_off, cut_off_said = [*cut_off, paid], said
            how = place(moment) if killed else "too late"
            print(f"  {system.name}: killed {how}: {requests} requests, {paid} payments. {said}", flush=True)
    # Who does not pay at all never pays twice either: then something is wrong with the comparison, or with who is compared.
    if lost or not paid_by_kills:
        print(f"  {system.name}: nothing was paid in {lost} rounds, {len(paid_by_kills)} kills: {said}", file=sys.stderr)
    twice = sum(paid > 1 for paid in paid_by_kills)
    return [system.name, " or ".join(f"{paid} ×" for paid in sorted(set(cut_off))), f"{twice} of {len(paid_by_kills)}", cut_off_said]


def place(moment):
    return "before the answer" if moment is None else f"{moment} ms after the answer"


def table(rows):
    head = ["", "killed before the answer: paid", "killed at all moments: paid twice", "what the resumed run says (killed before the answer)"]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--agent-host", default=shutil.which("agent-host") or "agent-host", metavar="PROGRAM")
    arguments.add_argument("--rounds", type=int, default=3, help="rounds for each moment of the kill")
    given = arguments.parse_args()
    # Before the minutes that the others take.
    if not PAY.is_file():
        sys.exit("the payment tool is not built: `agent-host tool build --yes examples/crash-comparison/pay`")
    program = str(pathlib.Path(given.agent_host).resolve()) if os.sep in given.agent_host else given.agent_host
    systems = [
        Peer(f"LangGraph {version('langgraph')}", "langgraph_payer.py"),
        Peer(f"DBOS {version('dbos')}", "dbos_payer.py"),
        Peer(f"OpenAI Agents SDK {version('openai-agents')}", "openai_agents_payer.py"),
        Ours(program, "agent-host, the server knows a key", "keyed"),
        Ours(program, "agent-host, the server knows none", "opaque"),
    ]
    with open(HERE / "ledger.jsonl", "w", encoding="utf-8") as ledger:
        payments = server.Payments(ledger)
        serving = server.serve(payments)
        rows = [verdict(system, payments, given.rounds) for system in systems]
        serving.shutdown()
    print("\n" + table(rows))


main()
