"""Runs programs for a model: their text or file, in the one interpreter that this call has. What they print is caught, what they
raise becomes the error that the model reads."""

import ast
import os
import sys
import traceback

import stdlib
import wit_world
from componentize_py_types import Err
from output import Output
from wit_world import Done

# Where the granted folder appears: the `mount` in `tool.toml`.
FOLDER = "/data"


class WitWorld(wit_world.WitWorld):
    def run(self, code: str) -> Done:
        return _run(code, "<code>", ["<code>"])

    def run_file(self, path: str, arguments: list[str] | None) -> Done:
        file = os.path.join(FOLDER, path)
        try:
            with open(file, "rb") as source:
                code = source.read()
        except OSError as error:
            raise Err(f"cannot read `{file}`: {error.strerror}")
        sys.path.insert(0, os.path.dirname(file))
        return _run(code, path, [path, *(arguments or [])])


def _run(code: str | bytes, name: str, arguments: list[str]) -> Done:
    output = Output()
    sys.stdout = sys.stderr = output
    sys.argv = arguments
    _enter_folder()
    stdlib.begin()
    try:
        value = _executed(code, name)
        return Done(output=output.text(), value=value)
    except SystemExit as end:
        if end.code in (None, 0):
            return Done(output=output.text(), value=None)
        raise Err(_failed(output, f"the program ended itself: {end.code}"))
    except BaseException as error:
        raise Err(_failed(output, _told(error)))


def _enter_folder() -> None:
    """Relative paths begin in the granted folder. Without one, the program still runs."""
    try:
        os.chdir(FOLDER)
    except OSError:
        return
    sys.path.insert(0, FOLDER)


def _executed(code: str | bytes, name: str) -> str | None:
    """Runs all of it, and gives the value of an expression in the last place."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    scope = {"__name__": "__main__", "__builtins__": __builtins__}
    exec(compile(tree, name, "exec"), scope)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
    return None if value is None else repr(value)


def _told(error: BaseException) -> str:
    """The traceback from the program's own first line on: how it was started is not its affair."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _failed(output: Output, said: str) -> str:
    printed = output.text()
    return f"{said}\n\nbefore that it printed:\n{printed}" if printed else said
