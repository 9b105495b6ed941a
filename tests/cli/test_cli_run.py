"""`run` against real emulators: its outcomes, its exit codes, and what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cli_shell import Shell, command, environment, in_process


def shots(photo: str, count: int, mark: str = "") -> list[str]:
    return [f"{photo}?{mark}{number}" for number in range(count)]


def test_urls_and_a_list_into_a_folder(fast: Shell, photo: str) -> None:
    (fast.folder / "list.txt").write_text("# a shoot\n\n" + "\n".join(shots(photo, 3, "list")))
    ran = fast("run", "list.txt", f"{photo}?one", "--out", "results")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("DELIVERED ") for line in lines)
    saved = {str(path.relative_to(fast.folder)) for path in (fast.folder / "results").iterdir()}
    assert {line.split()[-1] for line in lines} == saved
    assert all((fast.folder / path).read_bytes().startswith(b"\xff\xd8\xff") for path in saved)
    assert "Decluttering: 4 photos" in ran.err
    assert "4 delivered" in ran.err
    assert "Money: 4 photos spent" in ran.err
    assert "Next: declutter-async status " in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_json_lines_and_nothing_else(fast: Shell, photo: str) -> None:
    ran = fast("run", "-", "--json", stdin="\n".join([*shots(photo, 3, "json"), f"{photo}?json0"]))
    assert ran.code == 0
    assert ran.err == ""
    assert [record["type"] for record in ran.records] == ["outcome"] * 4 + ["summary"]
    first = ran.records[0]
    assert first["kind"] == "DELIVERED"
    assert first["confirmed_by"] == "get"
    assert first["urls"][0].startswith("http://127.0.0.1")
    assert first["error"] is None
    assert ran.summary["kinds"]["DELIVERED"] == ran.summary["photos"] == 4
    assert ran.summary["spent"] == 3  # the same photo twice is paid for once
    assert ran.summary["exit_code"] == 0


def test_failed_after_as_many_attempts_as_asked_is_one(failing: Shell, photo: str) -> None:
    ran = failing("run", f"{photo}?failing", "--attempts", "1", "--json")
    assert ran.code == 1
    assert ran.records[0]["kind"] == "FAILED"
    assert ran.records[0]["attempts"] == 1
    assert ran.summary["spent"] == 0


def test_a_refused_photo_is_one_and_says_why(
    fast: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = photo.replace("photo.jpg", "none.jpg")
    assert in_process(fast, monkeypatch, "run", missing) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"FAILED      -  {missing}  ")
    assert "the FAILED ones alone" in told.err
    assert "correct the URL" in told.err


def test_a_budget_is_kept_and_without_a_folder_the_urls_are_printed(
    fast: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(fast, monkeypatch, "run", *shots(photo, 3, "budget"), "--budget", "2") == 1
    told = capsys.readouterr()
    assert told.out.count("DELIVERED") == told.out.count("/results/") == 2
    assert "the budget of 2 photos is spent" in told.out
    assert "Money: 2 photos spent" in told.err
    assert "Next: declutter-async run URL...   (the SKIPPED ones alone" in told.err


def test_an_uncertain_submission_is_three_and_named(
    uncertain: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{photo}?uncertain"
    assert in_process(uncertain, monkeypatch, "run", url) == 3
    told = capsys.readouterr()
    assert told.out.startswith(f"UNCERTAIN   -  {url}  ")
    assert "May be paid for: look for them in your account" in told.err
    assert "Next:" not in told.err


def test_a_generation_not_finished_in_time_is_three_and_can_be_watched(
    slow: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(slow, monkeypatch, "run", f"{photo}?late", "--timeout", "0.2") == 3
    told = capsys.readouterr()
    generation_id = told.out.split()[1]
    assert told.out.startswith("UNFINISHED")
    assert told.err.rstrip().endswith(f"Next: declutter-async watch {generation_id}")


def test_an_empty_account_is_four(
    empty: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(empty, monkeypatch, "run", *shots(photo, 3)) == 4
    told = capsys.readouterr()
    assert told.out.count("SKIPPED") == 3
    assert "The account: " in told.err
    assert "Next: buy photos in the service's Developer Space" in told.err
    assert "declutter-async check" not in told.err


def test_a_refused_key_is_four_and_is_not_shown(
    fast: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "a-key-that-nobody-knows-123456"
    (fast.folder / "key.txt").write_text(f"  {key}\n")
    assert in_process(fast, monkeypatch, "run", photo, "--api-key-file", "key.txt") == 4
    told = capsys.readouterr()
    assert key not in told.out + told.err


def test_wrong_lines_are_two_and_nothing_is_sent(fast: Shell, photo: str) -> None:
    assert fast.emulator is not None
    before = dict(fast.emulator.account.requests)
    (fast.folder / "list.txt").write_text(f"{photo}\nphoto.jpg\n{photo}\nftp://h/x.jpg\n")
    ran = fast("run", "list.txt", "--json")
    assert ran.code == 2
    assert ran.out == ""
    assert "list.txt, line 2: 'photo.jpg' is no http or https URL" in ran.err
    assert "list.txt, line 4: 'ftp://h/x.jpg' is no http or https URL" in ran.err
    assert dict(fast.emulator.account.requests) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run"], "there is no URL"),
        (["run", "URL", "--in-flight", "0"], "in_flight is 0"),
        (["run", "URL", "--in-flight", "many"], "--in-flight"),
        (["run", "URL", "--timeout", "-1"], "generation_timeout is -1"),
        (["run", "URL", "--user-id", "me"], "expected a UUID"),
        (["run", "URL", "--base-url", "iacrea"], "expected an http or https URL"),
        (
            ["run", "URL", "--api-key-file", "none.txt"],
            "--api-key-file none.txt cannot be read: No such file",
        ),
        (["run", "URL", "--api-key-file", "empty.txt"], "--api-key-file empty.txt is empty"),
        (["run", "URL", "--api-key-file", "binary"], "--api-key-file binary cannot be read: it is no text"),
        (["run", "URL", "--out", "empty.txt"], "save_to is 'empty.txt', which cannot be written to"),
        (["run", "URL", "--api-key", "secret"], "there is no option --api-key"),
        (["status", "--bogus"], "--bogus"),
        (["walk"], "walk"),
    ],
)
def test_wrong_use_is_two_and_told_in_a_line(
    fast: Shell,
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (fast.folder / "empty.txt").touch()
    (fast.folder / "binary").write_bytes(b"\xff\xfe\xff")
    url = "https://h/1.jpg"
    assert in_process(fast, monkeypatch, *(url if each == "URL" else each for each in arguments)) == 2
    caught = capsys.readouterr()
    assert caught.err.splitlines()[0].startswith("declutter-async: ")
    assert "secret" not in caught.err
    assert told in caught.err
    assert caught.out == ""


def test_without_a_key_or_a_user_it_says_what_to_set(nobody: Shell, photo: str) -> None:
    ran = nobody("run", photo)
    assert ran.code == 2
    assert ran.err == (
        "declutter-async: there is no API key: set DECLUTTER_API_KEY, "
        "or give a file that holds it: --api-key-file FILE\n"
    )
    ran = nobody("run", photo, DECLUTTER_API_KEY="some-key")
    assert ran.code == 2
    assert "there is no user id: set DECLUTTER_USER_ID, or give --user-id UUID" in ran.err
    assert "some-key" not in ran.err


def test_when_the_reader_goes_away_what_is_paid_is_still_waited_for(fast: Shell, photo: str) -> None:
    process = subprocess.Popen(
        command("run", *shots(photo, 40, "gone"), "--in-flight", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(fast.emulator),
        cwd=fast.folder,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert "Traceback" not in told
    assert "skipped" in told
    assert "unfinished" not in told


def test_a_list_that_breaks_off_still_gets_its_account(
    fast: Shell, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = Path(fast.folder / "list.txt")
    listed.write_text("\n".join(shots(photo, 3, "broken")))
    real, opened = Path.open, 0

    def vanishing(path: Path, mode: str = "r") -> object:
        nonlocal opened
        opened += path == listed.relative_to(fast.folder)
        if opened > 2:  # the check looks into it twice
            raise OSError(5, "Input/output error")
        return real(path, mode)

    monkeypatch.setattr(Path, "open", vanishing)
    assert in_process(fast, monkeypatch, "run", "list.txt", f"{photo}?first") == 1
    assert "could not be read to its end: Input/output error" in capsys.readouterr().err
