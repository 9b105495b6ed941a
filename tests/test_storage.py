"""The folder of results: names that stay plain, nothing overwritten, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async.errors import DownloadFailed, InvalidArgument
from declutter_async.storage import FolderStore, _give_name, extension_of, result_name, safe_stem

pytestmark = pytest.mark.anyio

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(100)
ID = "7f1b0c3e-5d2a-4e6f-8a9b-0c1d2e3f4a5b"
RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))}


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- names ---

NASTY = st.sampled_from(
    ["../../etc/passwd", "..", ".", "/etc/passwd", "C:\\Windows\\win.ini", "..\\..\\x", "%2e%2e%2fx", "%00", "a%00b.jpg",
     "con", "CON.jpg", "nul.png", "LPT1.jpeg", "com0", "aux.", " con ", "-rf", "~", "$HOME", "`id`", ";rm", "a" * 5000,
     "ä ö ü.jpg", "\u202egpj.exe", "图片.png", ".hidden", "...", "x.jpg.exe", "COM¹", "_", "---", "a/b/", "?q=/../x", "#/../x"],
)  # fmt: skip


@given(
    path=st.one_of(st.text(max_size=300), NASTY, st.tuples(NASTY, NASTY).map("/".join)),
    generation_id=st.text(max_size=80),
)
def test_a_name_stays_one_plain_name(path: str, generation_id: str) -> None:
    for url in (path, f"https://host/{path}", f"https://host/x/{path}?a=/../b"):
        for name in (
            safe_stem(url),
            result_name(url, generation_id, 3, 12),
            result_name(url, generation_id, 0, 1),
        ):
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,120}", name)
            assert not name.startswith("-")
            assert name.lower() not in RESERVED
            assert (Path("folder") / f"{name}.jpg").resolve().parent == Path("folder").resolve()


def test_names_tell_what_they_are() -> None:
    assert safe_stem("https://host/a/Living%20Room.JPG?sig=x") == "Living-Room"
    assert safe_stem("https://host/") == "photo"
    assert safe_stem("https://host/con.jpg") == "photo-con"
    assert safe_stem("http://[::1") == "photo"
    assert result_name("https://host/room.jpg", ID, 0, 1) == "room-7f1b0c3e"
    assert result_name("https://host/room.jpg", ID, 1, 3) == "room-7f1b0c3e-2"


@given(st.binary(max_size=20))
def test_only_pictures_have_an_extension(head: bytes) -> None:
    known = head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )
    assert (extension_of(head) is not None) is known


# --- saving ---


@pytest.mark.parametrize(("picture", "extension"), [(JPEG, ".jpg"), (PNG, ".png"), (WEBP, ".webp")])
@pytest.mark.parametrize("size", [1, 7, 50, 1000])
async def test_a_picture_is_saved_by_its_content(
    tmp_path: Path, picture: bytes, extension: str, size: int
) -> None:
    store = FolderStore(tmp_path / "new" / "folder")
    await store.prepare()
    cut = [picture[start : start + size] for start in range(0, len(picture), size)]
    path, written = await store.save("room", pieces_of(*cut))
    assert path == tmp_path / "new" / "folder" / f"room{extension}"
    assert path.read_bytes() == picture
    assert written == len(picture)
    assert names_in(store.folder) == [f"room{extension}"]


@pytest.mark.parametrize(
    "content",
    [[], [b""], [b"<html><body>expired</body></html>"], [b"GIF89a" + bytes(50)], [b"RIFF\x10\x00\x00\x00WAVEfmt "],
     [b"\xff", b"\xd8"], [b"MZ" + bytes(100)], [b"\x00" * 11, JPEG], [b"%PDF-1.7 and more"]],
)  # fmt: skip
async def test_what_is_no_picture_is_refused_and_leaves_nothing(tmp_path: Path, content: list[bytes]) -> None:
    with pytest.raises(DownloadFailed, match="not a JPEG, PNG or WebP") as failed:
        await FolderStore(tmp_path).save("room", pieces_of(*content))
    assert failed.value.money == "spent"
    assert names_in(tmp_path) == []


async def test_what_is_no_picture_is_not_read_to_its_end(tmp_path: Path) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"no picture at all"

    with pytest.raises(DownloadFailed):
        await FolderStore(tmp_path).save("room", endless())
    assert taken == 1


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "room.jpg").write_bytes(b"mine")
    (tmp_path / "room-2.jpg").mkdir()
    store = FolderStore(tmp_path)
    paths = [(await store.save("room", pieces_of(JPEG)))[0].name for _ in range(2)]
    assert paths == ["room-3.jpg", "room-4.jpg"]
    assert (tmp_path / "room.jpg").read_bytes() == b"mine"
    assert (await store.save("room", pieces_of(PNG)))[0].name == "room.png"


async def test_twenty_at_once_of_one_name(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    pictures = [JPEG + bytes([n]) for n in range(20)]
    saved = await asyncio.gather(*(store.save("room", pieces_of(picture)) for picture in pictures))
    assert len({path for path, _ in saved}) == 20
    assert [path.read_bytes() for path, _ in saved] == pictures
    assert len(names_in(tmp_path)) == 20


async def test_links_are_neither_followed_nor_replaced(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside.jpg"
    folder.mkdir()
    outside.write_bytes(b"precious")
    (folder / "room.jpg").symlink_to(outside)
    (folder / "room-2.jpg").symlink_to(tmp_path / "nowhere.jpg")
    path, _ = await FolderStore(folder).save("room", pieces_of(JPEG))
    assert path.name == "room-3.jpg"
    assert outside.read_bytes() == b"precious"
    assert (folder / "room.jpg").is_symlink()
    assert not (tmp_path / "nowhere.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
async def test_a_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    path, _ = await FolderStore(tmp_path).save("room", pieces_of(JPEG))
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


# --- trouble on the way ---


async def test_a_download_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield JPEG
        raise DownloadFailed("the result could not be fetched", worth_repeating=True)

    with pytest.raises(DownloadFailed) as failed:
        await FolderStore(tmp_path).save("room", half())
    assert failed.value.worth_repeating
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("way", ["cancel", "scope"])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_cancelled_in_the_middle_it_leaves_nothing(tmp_path: Path, way: str, count: int) -> None:
    arrived = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield JPEG
        arrived.set()
        await asyncio.Event().wait()

    store = FolderStore(tmp_path)
    if way == "cancel":
        task = asyncio.create_task(store.save("room", stuck()))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.save, "room", stuck())
            await arrived.wait()
            tasks.cancel_scope.cancel()
    assert names_in(tmp_path) == []


async def test_cancelled_at_any_step_it_leaves_nothing_or_a_whole_file(tmp_path: Path) -> None:
    for steps in range(40):
        folder = tmp_path / str(steps)
        folder.mkdir()
        task = asyncio.create_task(FolderStore(folder).save("room", pieces_of(JPEG[:50], JPEG[50:])))
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.to_thread(_settle, folder)
        assert names_in(folder) in ([], ["room.jpg"])
        for path in folder.iterdir():
            assert path.read_bytes() == JPEG


def _settle(folder: Path) -> None:
    """A thread cannot be cancelled; what it was doing comes to its end a moment later."""
    for _ in range(200):
        if not any(path.name.startswith(".part-") or path.stat().st_size == 0 for path in folder.iterdir()):
            return
        os.sched_yield()


async def test_a_folder_that_went_away_is_our_error(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "gone")
    await store.prepare()
    (tmp_path / "gone").rmdir()
    with pytest.raises(DownloadFailed, match="could not be saved") as failed:
        await store.save("room", pieces_of(JPEG))
    assert not failed.value.worth_repeating


async def test_a_place_that_cannot_be_a_folder_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (
        tmp_path / "file",
        tmp_path / "file" / "below",
        Path("nul\x00here"),
        tmp_path / ("x" * 300),
    ):
        with pytest.raises(InvalidArgument, match="save_to"):
            await FolderStore(place).prepare()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_is_our_error_and_leaves_nothing(full_disk: Path) -> None:
    store = FolderStore(full_disk)
    await store.prepare()
    with pytest.raises(DownloadFailed, match="could not be saved: No space left") as failed:
        await store.save("room", pieces_of(JPEG, *[bytes(2**14)] * 10))
    assert not failed.value.worth_repeating
    assert failed.value.money == "spent"
    assert names_in(full_disk) == []
    path, _ = await store.save("room", pieces_of(JPEG))
    assert path.read_bytes() == JPEG


@pytest.fixture
def disk_that_only_reads(full_disk: Path) -> Path:
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    return full_disk


async def test_a_disk_that_only_reads_is_refused_before_anything_is_paid(disk_that_only_reads: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"save_to .*Read-only"):
        await FolderStore(disk_that_only_reads).prepare()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_is_not_mine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o555)
    with pytest.raises(InvalidArgument, match="save_to"):
        await FolderStore(tmp_path / "theirs").prepare()


def test_a_name_that_was_taken_in_vain_is_free_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _give_name(tmp_path / "gone", tmp_path, "room", ".jpg")
    assert names_in(tmp_path) == []
