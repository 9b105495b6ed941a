"""Where things are written: results on stdout, all that is said about them on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from rich.console import Console, RenderableType
from rich.text import Text


def printable(text: str) -> str:
    """The text without control characters: what a service or a file says must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


class Screen:
    """One command's output.

    Args:
        machine: `--json`: stdout takes JSON Lines and nothing else, and nothing is suggested.

    Attributes:
        machine: As it was given.
        console: rich's, on stderr.
        live: Whether stderr is a terminal that a moving display can be drawn on.
        watched: Whether the results go to that terminal, too: before somebody's eyes.
        on_closed: Called once, when whoever reads stdout has gone.
    """

    def __init__(self, *, machine: bool = False) -> None:
        self.machine = machine
        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal
        self.on_closed: Callable[[], None] | None = None
        # A moving display and plain writing to the same terminal would write over each other.
        self.watched = self.live and not machine and sys.stdout.isatty()
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def result(self, text: str, *, style: str = "") -> None:
        """A line of the result, for people."""
        if self.watched:
            self.note(text, style=style)
        else:
            self._write(printable(text))

    def record(self, fields: Mapping[str, object]) -> None:
        """A line of the result, for machines."""
        self._write(json.dumps(fields))

    def note(self, text: RenderableType, *, style: str = "") -> None:
        """A line about what happens; never cut or wrapped, so that it can be copied."""
        if isinstance(text, str):
            text = Text(printable(text))
        self.console.print(text, style=style, soft_wrap=True)

    def next(self, command: str) -> None:
        """The command to type next."""
        if not self.machine:
            self.note(Text.assemble(("Next: ", "bold"), printable(command)))

    def _write(self, line: str) -> None:
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except (
            OSError
        ):  # the reader has gone, or the disk is full; what is paid for is still to be looked after
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
            if self.on_closed is not None:
                closed, self.on_closed = self.on_closed, None
                closed()
