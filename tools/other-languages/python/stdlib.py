"""The standard library, imported while the component is built: what is not imported by then is not in it. It also makes a program
start at once."""

import importlib
import random
import sys

# What opens windows or browsers, tests Python itself, or needs what a component never has: threads, processes, sockets.
_LEFT_OUT = {
    "antigravity", "asyncio", "concurrent", "ensurepip", "idlelib", "lib2to3", "multiprocessing", "pty", "socketserver",
    "test", "this", "tkinter", "turtle", "turtledemo", "venv", "webbrowser", "xmlrpc",
}

# Packages whose parts are not imported with them.
_PARTS = [
    "collections.abc", "email.message", "email.parser", "encodings.idna", "html.entities", "html.parser", "importlib.metadata",
    "importlib.resources", "json.tool", "logging.handlers", "os.path", "unittest.mock", "urllib.parse", "xml.dom.minidom",
    "xml.etree.ElementTree", "xml.sax", "zoneinfo",
]


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception:  # Not everything of CPython is in the one for WASI.
        pass


for _name in sorted(sys.stdlib_module_names - _LEFT_OUT):
    if not _name.startswith("_"):
        _import(_name)
for _name in _PARTS:
    _import(_name)


def begin() -> None:
    """What must differ from call to call, though the interpreter begins as it was built: random numbers."""
    random.seed()
