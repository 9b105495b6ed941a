"""`demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from cli_shell import Shell

from declutter_async.cli.demo import after_name, before_name, new_folder
from declutter_async.errors import InvalidArgument


def test_three_rooms_and_their_page(nobody: Shell) -> None:
    (nobody.folder / "declutter-demo").mkdir()
    (nobody.folder / "declutter-demo" / "mine.txt").write_text("mine")
    ran = nobody("demo", "--photos", "3", "--seed", "5")
    assert ran.code == 0, ran.err
    folder = nobody.folder / "declutter-demo-2"
    names = {path.name for path in (folder / "photos").iterdir()}
    assert names == {name(seed) for seed in (5, 6, 7) for name in (before_name, after_name)}
    assert (nobody.folder / "declutter-demo" / "mine.txt").read_text() == "mine"
    assert len({(folder / "photos" / name).read_bytes() for name in names}) == 6
    page = (folder / "index.html").read_text()
    sources = re.findall(r'src="([^"]+)"', page)
    assert sources == [f"photos/{name(seed)}" for seed in (5, 6, 7) for name in (before_name, after_name)]
    assert "3 of 3 rooms" in page
    assert "These results come from the emulator" in page
    assert "3 of 3 photos delivered" in ran.out
    assert "3 photos spent" in ran.out
    assert "997 left" in ran.out
    assert "3 submissions" in ran.out
    assert (folder / "index.html").as_uri() in ran.out
    assert "Next: declutter-async check" in ran.err


def test_json_of_a_room(nobody: Shell) -> None:
    ran = nobody("demo", "--photos", "1", "--out", "deep/er", "--json")
    assert ran.code == 0
    assert ran.err == ""
    outcome, summary = ran.records
    assert Path(outcome["files"][0]).name == after_name(0)
    assert Path(outcome["files"][0]).read_bytes().startswith(b"\xff\xd8\xff")
    assert summary["requests"]["generate"] == 1
    assert Path(summary["page"]) == nobody.folder / "deep" / "er" / "index.html"


def test_ctrl_c_keeps_what_is_there(nobody: Shell) -> None:
    process = nobody.start("demo", "--photos", "500")
    pictures = nobody.folder / "declutter-demo" / "photos"
    while not list(pictures.glob("*-after.jpg")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    ran = nobody.end(process)
    assert ran.code == 1
    assert "skipped" in ran.err
    assert "What was delivered: file://" in ran.out
    shown = re.findall(r'src="(photos/[^"]+after[^"]+)"', (pictures.parent / "index.html").read_text())
    assert shown
    assert {Path(name).name for name in shown} == {path.name for path in pictures.glob("*-after.jpg")}


def test_a_taken_name_is_passed_over_and_an_empty_folder_used(tmp_path: Path) -> None:
    wanted = tmp_path / "demo"
    assert new_folder(wanted) == wanted
    assert new_folder(wanted) == wanted
    (wanted / "file").touch()
    (tmp_path / "demo-2").touch()
    assert new_folder(wanted) == tmp_path / "demo-3"
    (tmp_path / "demo-3" / "file").touch()
    assert new_folder(wanted) == tmp_path / "demo-4"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "demo").touch()
    with pytest.raises(InvalidArgument, match="is a file; expected a folder"):
        new_folder(tmp_path / "demo")
    with pytest.raises(InvalidArgument, match="cannot be made"):
        new_folder(tmp_path / "demo" / "below")


@pytest.mark.parametrize(("count", "told"), [("0", ">= 1"), ("1001", "<= 1000")])
def test_none_or_too_many_is_wrong_use(nobody: Shell, count: str, told: str) -> None:
    ran = nobody("demo", "--photos", count)
    assert ran.code == 2
    assert f'"{count}" for --photos' in ran.err
    assert told in ran.err
    assert not list(nobody.folder.iterdir())
