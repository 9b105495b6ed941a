"""`status`, `watch` and `check` against real emulators."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cli_shell import Shell, in_process

from declutter_async import DeclutterSession
from declutter_async.cli.look import checked_ids
from declutter_async.emulator import Behaviour, Fault, Fixed
from declutter_async.errors import InvalidArgument

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(shell: Shell, *arguments: str) -> tuple[int, str, str]:
        code = in_process(shell, monkeypatch, *arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return go


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def submitted(shell: Shell, photo: str, *, finished: bool) -> str:
    """The id of a new generation."""
    assert shell.emulator is not None
    emulator = shell.emulator

    async def submit() -> str:
        async with DeclutterSession(
            base_url=emulator.url, api_key=emulator.api_key, user_id=emulator.user_id
        ) as session:
            generation_id = (await session.generate(f"{photo}?{uuid.uuid4()}")).generation_id
            while finished and not (await session.get(generation_id)).finished:
                await asyncio.sleep(0.01)
            return generation_id

    return asyncio.run(submit())


def test_status_and_watch_of_what_is_delivered(fast: Shell, run: Run, photo: str) -> None:
    delivered = submitted(fast, photo, finished=True)
    for command in ("status", "watch"):
        code, out, err = run(fast, command, delivered, delivered.upper())
        assert code == 0
        assert re.fullmatch(rf"SUCCEEDED   {delivered}  http://\S+/results/\S+\n", out)
        assert "Next: " in err


def test_status_of_what_runs(slow: Shell, run: Run, photo: str) -> None:
    unfinished = submitted(slow, photo, finished=False)
    code, out, err = run(slow, "status", unfinished)
    assert code == 3
    assert re.match(rf"(STARTING|PROCESSING) +{unfinished}\n", out)
    assert f"Next: declutter-async watch {unfinished}" in err


def test_watch_gives_up_after_its_time(slow: Shell, run: Run, photo: str) -> None:
    unfinished = submitted(slow, photo, finished=False)
    code, out, _ = run(slow, "watch", unfinished, "--timeout", "0.2", "--json")
    assert code == 3
    last = records(out)[-2:]
    assert last[0]["error"]["type"] == "GenerationTimeout"
    assert last[1] == {"type": "summary", "generations": 1, "statuses": {"?": 1}, "exit_code": 3}


def test_what_failed_is_one_and_refunded(failing: Shell, run: Run, photo: str) -> None:
    code, out, err = run(failing, "status", submitted(failing, photo, finished=True))
    assert code == 1
    assert out.startswith("FAILED ")
    assert "refunded" in err


def test_an_id_that_nobody_knows_is_three(fast: Shell, run: Run, photo: str) -> None:
    delivered = submitted(fast, photo, finished=True)
    unknown = str(uuid.uuid4())
    code, out, _ = run(fast, "status", unknown, delivered, "--json")
    assert code == 3
    first, second, summary = records(out)
    assert first["generation_id"] == unknown
    assert first["error"]["type"] == "NotFound"
    assert second["status"] == "SUCCEEDED"
    assert second["urls"]
    assert summary["statuses"] == {"?": 1, "SUCCEEDED": 1}
    for command in ("status", "watch"):
        code, _, err = run(fast, command, unknown, delivered)
        assert code == 3
        assert f"Not known to the service: {unknown}. Check the id, and which user it belongs to" in err
        assert "Next:" not in err


def test_what_runs_is_watched_and_what_nobody_knows_is_not(slow: Shell, run: Run, photo: str) -> None:
    unfinished, unknown = submitted(slow, photo, finished=False), str(uuid.uuid4())
    code, _, err = run(slow, "status", unknown, unfinished)
    assert code == 3
    assert err.endswith(f"Next: declutter-async watch {unfinished}\n")
    assert unknown in err


def test_a_refused_key_is_four(fast: Shell, run: Run) -> None:
    delivered = str(uuid.uuid4())
    (fast.folder / "key").write_text("unknown-key")
    for arguments in (["status", delivered], ["watch", delivered], ["check"]):
        code, out, err = run(fast, *arguments, "--api-key-file", "key")
        assert code == 4
        assert "Next: declutter-async check" in err
        assert "unknown-key" not in out + err


def test_wrong_ids_are_told_together(fast: Shell, run: Run) -> None:
    code, out, err = run(fast, "watch", "one", str(uuid.uuid4()), "two")
    assert (code, out) == (2, "")
    assert "no generation_id: 'one', 'two'" in err
    with pytest.raises(InvalidArgument, match="there is no generation_id"):
        checked_ids([])


def test_check_a_good_key(fast: Shell, run: Run) -> None:
    assert fast.emulator is not None
    charged = fast.emulator.account.charged
    code, out, err = run(fast, "check")
    assert code == 0
    assert "accepted" in out
    assert "This says nothing about the photos left" in err
    assert "Next: declutter-async run" in err
    code, out, err = run(fast, "check", "--json")
    assert records(out) == [{"type": "summary", "accepted": True, "error": None, "exit_code": 0}]
    assert err == ""
    assert fast.emulator.account.charged == charged


def test_check_an_unknown_user(fast: Shell, run: Run) -> None:
    code, out, _ = run(fast, "check", "--user-id", str(uuid.uuid4()), "--json")
    assert code == 4
    assert records(out)[0]["accepted"] is False


def test_check_where_the_answer_tells_nothing(shell: Callable[..., Shell], run: Run) -> None:
    broken = shell(Behaviour(duration=Fixed(1), faults=(Fault("redirect", 1.0, on="get"),)))
    code, out, err = run(broken, "check")
    assert code == 1
    assert out.startswith("Not known: ")
    assert "is DECLUTTER_BASE_URL right?" in err
    code, out, _ = run(broken, "check", "--json")
    assert records(out)[0]["accepted"] is None
    unknown = str(uuid.uuid4())
    code, _, err = run(broken, "status", unknown)
    assert code == 3
    last = f"Next: declutter-async watch {unknown}   (again, once the service answers; is DECLUTTER_BASE_URL right?)"
    assert err.splitlines()[-1] == last


def test_watch_says_at_once_that_the_service_is_away(shell: Callable[..., Shell], run: Run) -> None:
    away = shell(Behaviour(faults=(Fault("status_503", 1.0, on="get"),)))
    unknown = str(uuid.uuid4())
    code, _, err = run(away, "watch", unknown, "--timeout", "3")
    assert code == 3
    assert err.count("if that lasts: is DECLUTTER_BASE_URL right?") == 1
    assert err.splitlines()[-1].startswith(f"Next: declutter-async watch {unknown}   (again, once")
