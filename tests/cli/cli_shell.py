"""The command line as a user runs it, and the emulators that it meets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from declutter_async.cli import app
from declutter_async.emulator import Behaviour, Emulator, Fault, Fixed

FAST = Behaviour(duration=Fixed(0.05), photos=100_000)
SLOW = Behaviour(duration=Fixed(3600.0), photos=1000)
FAILING = Behaviour(duration=Fixed(0.05), failure_rate=1.0)
EMPTY = Behaviour(photos=0)
UNCERTAIN = Behaviour(duration=Fixed(0.05), faults=(Fault("status_500", 1.0, on="generate", when="after"),))
HANGING = Behaviour(faults=(Fault("hang", 1.0, on="generate", when="after"),))


@attrs.frozen
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        return self.records[-1]


def environment(emulator: Emulator | None) -> dict[str, str]:
    """This one, for a plain terminal, with the emulator's account or none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DECLUTTER_")}
    kept |= {"COLUMNS": "200", "TERM": "xterm-256color"}
    if emulator is None:
        return kept
    return kept | {
        "DECLUTTER_BASE_URL": emulator.url,
        "DECLUTTER_API_KEY": emulator.api_key,
        "DECLUTTER_USER_ID": emulator.user_id,
    }


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "declutter_async", *map(str, arguments)]


@attrs.frozen
class Shell:
    """Runs commands against an emulator. Whatever they print, the API key is not in it."""

    emulator: Emulator | None
    folder: Path

    def __call__(self, *arguments: str | Path, stdin: str | bytes = b"", **more: str) -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        ended = subprocess.run(
            command(*arguments),
            input=data,
            capture_output=True,
            env=environment(self.emulator) | more,
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        return self.checked(Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode()))

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.emulator),
            cwd=self.folder,
            text=True,
        )

    def end(self, process: subprocess.Popen[str], already: str = "") -> Ran:
        out, err = process.communicate(timeout=60)
        return self.checked(Ran(process.returncode, out, already + err))

    def checked(self, ran: Ran) -> Ran:
        assert "Traceback" not in ran.out + ran.err, ran.err
        if self.emulator is not None:
            assert self.emulator.api_key not in ran.out + ran.err
        return ran


def in_process(shell: Shell, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command that runs in this process, at the test's own risk of what it prints."""
    monkeypatch.chdir(shell.folder)
    for name, value in environment(shell.emulator).items():
        if name.startswith("DECLUTTER_"):
            monkeypatch.setenv(name, value)
    return app.run(arguments)
