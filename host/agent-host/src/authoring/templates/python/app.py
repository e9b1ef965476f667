"""Counts the lines, words and bytes of a text file. `wit/tool.wit` says what is offered, this file does it."""

import os

import wit_world
from componentize_py_types import Err
from wit_world import Counts

# Where the granted folder appears: the `mount` in `tool.toml`.
FOLDER = "/data"


class WitWorld(wit_world.WitWorld):
    def count(self, path: str) -> Counts:
        path = os.path.join(FOLDER, path)
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            # The model reads the error: say what was wrong.
            raise Err(f"cannot read `{path}`: {error.strerror}")
        unfinished = text != b"" and not text.endswith(b"\n")
        return Counts(lines=text.count(b"\n") + unfinished, words=len(text.split()), bytes=len(text))
