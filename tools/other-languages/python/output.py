"""What a program prints: kept up to a bound, so that a loop which prints does not drown the model."""

import io

# What a model can still read; the rest is counted.
CHARACTERS_MAX = 64 * 1024


class Output(io.TextIOBase):
    """A standard output in memory."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._kept = 0
        self._left_out = 0

    def write(self, text: str) -> int:
        room = CHARACTERS_MAX - self._kept
        part = text[:room]
        if part:
            self._parts.append(part)
        self._kept += len(part)
        self._left_out += len(text) - len(part)
        return len(text)

    def writable(self) -> bool:
        return True

    def text(self) -> str:
        end = f"\n… {self._left_out} more characters" if self._left_out else ""
        return "".join(self._parts) + end
