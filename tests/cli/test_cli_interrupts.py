"""Ctrl-C, once, twice and three times, and SIGTERM: in real processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from cli_shell import Shell

from declutter_async.cli.signals import Interrupts
from declutter_async.emulator import Behaviour, Emulator, Fixed

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def heard(process: subprocess.Popen[str], word: str) -> str:
    """Its stderr until a line with this word, that line included."""
    assert process.stderr is not None
    text = ""
    for line in process.stderr:
        text += line
        if word in line:
            break
    assert word in text, text
    return text


def emulator_of(shell: Shell) -> Emulator:
    assert shell.emulator is not None
    return shell.emulator


def photos_of(shell: Shell) -> dict[str, str]:
    """The photo URL of every generation, as the service has it."""
    books = emulator_of(shell).account.photos
    return {i: url for url, book in books.items() for i in book.generation_ids}


def test_once_waits_for_what_is_paid(shell: Callable[..., Shell], photo: str) -> None:
    some = shell(Behaviour(duration=Fixed(1.5)))
    process = some.start("run", *(f"{photo}?{i}" for i in range(20)), "--in-flight", "3", "--json")
    until(lambda: emulator_of(some).account.running == 3)
    process.send_signal(signal.SIGTERM)  # as Ctrl-C
    ran = some.end(process)
    assert ran.code == 1
    assert "Stopping: nothing more is submitted" in ran.err
    assert ran.summary["kinds"] | {"DELIVERED": 3, "SKIPPED": 17} == ran.summary["kinds"]
    assert emulator_of(some).account.charged == ran.summary["spent"] == 3


def test_twice_leaves_at_once_and_names_what_runs_on(slow: Shell, photo: str) -> None:
    before = emulator_of(slow).account.running
    process = slow.start("run", *(f"{photo}?twice{i}" for i in range(5)), "--in-flight", "3")
    until(lambda: emulator_of(slow).account.running == before + 3)
    process.send_signal(signal.SIGINT)
    told = heard(process, "Stopping")
    process.send_signal(signal.SIGINT)
    ran = slow.end(process, told)
    assert ran.code == 3
    last = ran.err.splitlines()[-1]
    assert last.startswith("Next: declutter-async watch ")
    assert len(UUID.findall(last)) == 3
    expected = {i: url for i, url in photos_of(slow).items() if "?twice" in url}
    told_of = dict(re.findall(rf"^  ({UUID.pattern})  (\S+)$", ran.err, re.MULTILINE))
    assert told_of == expected
    assert set(UUID.findall(last)) == set(expected)
    assert re.search(r"^5 photos in .*: 0 delivered, 3 left running, 2 not submitted$", ran.err, re.MULTILINE)
    assert ran.out.count("SKIPPED") <= 2


def test_twice_with_json_the_summary_names_them(slow: Shell, photo: str) -> None:
    before = emulator_of(slow).account.running
    shots = [f"{photo}?json-twice{i}" for i in range(4)]
    process = slow.start("run", *shots, "--in-flight", "2", "--json")
    until(lambda: emulator_of(slow).account.running == before + 2)
    process.send_signal(signal.SIGINT)
    told = heard(process, "Stopping")
    process.send_signal(signal.SIGINT)
    ran = slow.end(process, told)
    assert ran.code == 3
    assert ran.summary["exit_code"] == 3
    outcomes = [record for record in ran.records if record.get("kind") == "UNFINISHED"]
    assert {each["generation_id"]: each["url"] for each in outcomes} == {
        i: url for i, url in photos_of(slow).items() if url in shots
    }
    assert {each["error"]["money"] for each in outcomes} == {"spent"}
    assert {each["generation_id"] for each in outcomes} == set(ran.summary["unfinished"])
    assert ran.summary["kinds"]["UNFINISHED"] == ran.summary["left_running"] == 2
    assert ran.summary["photos"] == len(ran.records) - 1
    assert (ran.summary["total"], ran.summary["not_submitted"]) == (4, 2)


def test_three_times_gives_up_even_the_answers_on_the_way(hanging: Shell, photo: str) -> None:
    process = hanging.start("run", f"{photo}?hanging")
    until(lambda: emulator_of(hanging).account.charged == 1)
    told = ""
    for word in ("Stopping", "Leaving"):
        process.send_signal(signal.SIGINT)
        told += heard(process, word)
    process.send_signal(signal.SIGINT)
    ran = hanging.end(process, told)
    assert ran.code == 3
    assert "May be paid for, too: 1 photo of those without a line here" in ran.err
    assert "0 delivered, 0 left running, 1 without an answer, 0 not submitted" in ran.err


def test_watching_is_left_at_once(slow: Shell, photo: str) -> None:
    ended = slow("run", f"{photo}?left", "--timeout", "0.2", "--json")
    generation_id = ended.summary["unfinished"][0]
    process = slow.start("watch", generation_id)
    assert process.stdout is not None
    assert generation_id in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    ran = slow.end(process)
    assert ran.code == 3
    assert "the generations run on" in ran.err
    assert ran.err.rstrip().endswith(f"Next: declutter-async watch {generation_id}")


@pytest.mark.anyio
async def test_each_signal_has_its_step_and_the_last_serves_the_rest() -> None:
    before = signal.getsignal(signal.SIGINT)
    steps: list[str] = []
    with Interrupts(lambda: steps.append("first"), lambda: steps.append("second")):
        for count in (1, 2, 3):
            os.kill(os.getpid(), signal.SIGINT)
            while len(steps) < count:
                await asyncio.sleep(0)
    assert steps == ["first", "second", "second"]
    assert signal.getsignal(signal.SIGINT) is before
