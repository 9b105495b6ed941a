"""What somebody at a terminal sees."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import struct
import subprocess
import termios

import pytest
from cli_shell import Shell, command, environment
from rich.console import Console

from declutter_async import OutcomeKind, Progress
from declutter_async.cli.progress import Display, draw, throttle_line
from declutter_async.cli.screen import Screen, printable
from declutter_async.errors import RateLimited, ServiceUnavailable
from declutter_async.events import Detached, Throttled


def at_a_terminal(shell: Shell, *arguments: str, columns: int = 100) -> tuple[int, str]:
    """Run with a pseudo-terminal on stdin, stdout and stderr: the exit code, and all that was drawn."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    size = {"COLUMNS": str(columns)}
    process = subprocess.Popen(
        command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(shell.emulator) | size,
        cwd=shell.folder,
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += os.read(ours, 65536)
        except OSError:  # EIO: nobody holds the other end any more
            break
    os.close(ours)
    return process.wait(timeout=60), drawn.decode()


def test_the_display_moves_and_stays(fast: Shell, photo: str) -> None:
    code, drawn = at_a_terminal(
        fast, "run", f"{photo}?t1", photo.replace("photo", "none"), "--out", "results"
    )
    assert code == 1
    assert "Decluttering" in drawn
    assert "2/2" in drawn
    assert "1 delivered" in drawn
    assert "1 failed" in drawn
    assert "FAILED" in drawn
    assert "DELIVERED" not in drawn  # the folder and the display say enough
    assert "Results: results" in drawn
    assert "\x1b[?25l" in drawn  # the cursor is hidden,
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # and shown again
    assert fast.emulator is not None
    assert fast.emulator.api_key not in drawn


def progress(**more: object) -> Progress:
    values: dict[str, object] = {
        "total": 24,
        "read": 24,
        "kinds": dict.fromkeys(OutcomeKind, 0) | {OutcomeKind.DELIVERED: 7, OutcomeKind.UNCERTAIN: 1},
        "submitting": 2,
        "running": 14,
        "spent": 22,
        "balance": 978,
        "seconds": 8.0,
        "rate": 1.0,
        "eta": 16.0,
    }
    return Progress(**(values | more))  # type: ignore[arg-type]


def drawing(shown: Progress, trouble: str | None = None, *, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, legacy_windows=False)
    console.print(draw("Decluttering", shown, trouble))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_figures_are_shown() -> None:
    text = drawing(progress())
    assert "8/24  8.0 s  16.0 s left" in text
    assert "7 delivered · 1 uncertain · 14 running · 60 photos/min" in text
    assert "22 photos spent, 978 left on the account" in text
    assert "failed" not in text


def test_before_anything_is_known() -> None:
    text = drawing(
        progress(total=None, kinds=dict.fromkeys(OutcomeKind, 0), balance=None, eta=None, rate=0.0)
    )
    assert "0/?" in text
    assert "0 delivered" in text
    assert "balance not known yet" in text


def test_what_everyone_waits_for_is_a_line_of_its_own_and_cut_to_the_width() -> None:
    error = ServiceUnavailable("generate: HTTP 503: \x1b[2J" + "down for maintenance " * 10)
    line = throttle_line(Throttled(error=error, wait=8.25, rate=None))
    assert line.startswith("waiting 8.2 s: generate: HTTP 503")
    text = drawing(progress(), line, width=60)
    assert all(len(each) <= 60 for each in text.splitlines())
    assert "\x1b" not in text
    assert "…" in text


def test_a_rate_that_was_lowered_is_told() -> None:
    line = throttle_line(Throttled(error=RateLimited("429"), wait=1.0, rate=5.0))
    assert line == "waiting 1.0 s, then at most 5.0 requests/s: 429"


@pytest.mark.anyio
async def test_where_nothing_can_be_drawn_lines_come_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("declutter_async.cli.progress._LINE", 0.01)
    display = Display(Screen(), "Decluttering")
    event = Throttled(error=RateLimited("slow down"), wait=1.0, rate=None)
    async with display.showing(progress):
        display(event)
        display(Detached(generation_id="x"))
        told = ""
        while told.count("8 of 24 photos done") < 2:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().err
    assert "waiting 1.0 s: slow down" in told
    assert "\x1b" not in told


@pytest.mark.anyio
async def test_the_same_trouble_is_not_told_at_every_request(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(Screen(), "Decluttering")
    for _ in range(5):
        display(Throttled(error=RateLimited("slow down"), wait=1.0, rate=None))
    assert capsys.readouterr().err.count("slow down") == 1


@pytest.mark.anyio
async def test_on_a_terminal_trouble_is_drawn_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    assert screen.live
    screen.console.file = io.StringIO()
    display = Display(screen, "Decluttering")
    async with display.showing(progress):
        display(Throttled(error=RateLimited("slow down"), wait=60.0, rate=None))
    assert "slow down" in screen.console.file.getvalue()


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert (
        printable("a\x1b[2J\x07b\nc\u202e")
        == "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b\nc\N{REPLACEMENT CHARACTER}"
    )
