"""Results of a batch on their way to files: expired URLs, failing servers, and what is left when it goes wrong."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from raw_server import KEY, RawServer, Request, raw_server, reset, session_on
from raw_server import http as answer

from declutter_async import DeclutterSession, FixedPolling, Outcome, OutcomeKind, Photo, _saving
from declutter_async.emulator import Behaviour, Emulator, Fault
from declutter_async.errors import DownloadFailed, InvalidArgument
from declutter_async.events import Saved
from declutter_async.storage import MAX_RESULT, FolderStore

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

ID = "22222222-2222-4222-8222-222222222222"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(1000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)
PHOTO = "http://photos.test/Living%20Room.jpg"


@attrs.define
class Studio:
    """A service whose generations have always just SUCCEEDED, and that hands out their results, too."""

    urls: Callable[[int], list[str]] = lambda _: ["/result.jpg"]
    results: list[bytes | str] = attrs.field(factory=lambda: [answer(JPEG)])
    looks: int = 0
    downloads: int = 0
    server: RawServer = attrs.field(init=False)

    async def handle(self, request: Request) -> None:
        path = request.line.split()[1]
        if path.endswith("/generate"):
            fields = {"generation_id": ID, "remaining_photos": 9, "project_id": ID}
            request.writer.write(answer(json.dumps(fields).encode()))
        elif path.endswith("/get"):
            self.looks += 1
            urls = [
                f"{self.server.url}{url}" if re.match("/[^/]", url) else url for url in self.urls(self.looks)
            ]
            request.writer.write(answer(json.dumps({"status": "SUCCEEDED", "urls": urls}).encode()))
        else:
            self.downloads += 1
            what = self.results[min(self.downloads, len(self.results)) - 1]
            if what == "reset":
                reset(request.writer)
            elif what == "hang":
                request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + JPEG)
                await asyncio.Event().wait()
            elif isinstance(what, bytes):
                request.writer.write(what)

    async def save(self, folder: Path, **settings: object) -> Outcome:
        async with session_on(self.server.url, polling=FixedPolling(0.01), **settings) as session:
            (outcome,) = await session.declutter_all([PHOTO], save_to=folder)
        return outcome


@asynccontextmanager
async def studio(**options: Any) -> AsyncIterator[Studio]:
    made = Studio(**options)
    async with raw_server(made.handle) as made.server:
        yield made


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again without a pause."""
    monkeypatch.setattr(_saving, "backoff", lambda *_, **__: 0.0)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + JPEG
EXPIRED = answer(b"expired", 403)


async def test_a_result_is_saved_and_told(tmp_path: Path) -> None:
    told: list[object] = []
    async with studio() as service:
        outcome = await service.save(tmp_path, observers=[told.append])
    assert outcome.kind is OutcomeKind.DELIVERED
    assert outcome.files == (tmp_path / "Living-Room-22222222.jpg",)
    assert outcome.files[0].read_bytes() == JPEG
    (saved,) = [event for event in told if isinstance(event, Saved)]
    assert (saved.generation_id, saved.path, saved.size) == (ID, str(outcome.files[0]), len(JPEG))
    for request in service.server.requests[2:]:
        assert KEY not in repr(request)


async def test_several_results_of_one_photo(tmp_path: Path) -> None:
    async with studio(urls=lambda _: ["/a", "/b"], results=[answer(JPEG), answer(PNG)]) as service:
        outcome = await service.save(tmp_path)
    assert [file.name for file in outcome.files] == [
        "Living-Room-22222222-1.jpg",
        "Living-Room-22222222-2.png",
    ]
    assert names_in(tmp_path) == [file.name for file in outcome.files]


async def test_an_expired_url_is_asked_for_anew(tmp_path: Path) -> None:
    async with studio(urls=lambda look: [f"/result-{look}"], results=[EXPIRED, answer(JPEG)]) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert (service.looks, service.downloads) == (2, 2)
    assert outcome.urls == (f"{service.server.url}/result-2",)


async def test_an_expired_url_is_asked_for_anew_only_once(tmp_path: Path) -> None:
    async with studio(results=[EXPIRED]) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.UNFINISHED
    assert (service.looks, service.downloads) == (2, 2)
    assert isinstance(outcome.error, DownloadFailed)
    assert (outcome.error.status, outcome.error.money, outcome.error.generation_id) == (403, "spent", ID)
    assert outcome.generation_id == ID
    assert names_in(tmp_path) == []


async def test_where_there_are_no_urls_any_more_the_result_is_unfinished(tmp_path: Path) -> None:
    async with studio(urls=lambda look: ["/result"] if look == 1 else [], results=[EXPIRED]) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.UNFINISHED
    assert outcome.urls == (f"{service.server.url}/result",)


@pytest.mark.usefixtures("_at_once")
async def test_trouble_on_the_way_is_tried_again_and_leaves_nothing(tmp_path: Path) -> None:
    trouble: list[bytes | str] = [answer(b"", 503), "reset", HALF, answer(b"", 429), answer(JPEG)]
    async with studio(results=trouble) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert (service.looks, service.downloads) == (1, 5)
    assert names_in(tmp_path) == ["Living-Room-22222222.jpg"]


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("trouble", [answer(b"", 500), "reset", HALF], ids=["500", "reset", "half"])
async def test_trouble_without_end_is_unfinished(tmp_path: Path, trouble: bytes | str) -> None:
    async with studio(results=[trouble]) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.UNFINISHED
    # aiohttp itself repeats a GET once that got no answer at all.
    assert service.downloads == (10 if trouble == "reset" else 5)
    assert isinstance(outcome.error, DownloadFailed)
    assert names_in(tmp_path) == []


async def test_what_was_saved_before_the_trouble_is_kept(tmp_path: Path) -> None:
    async with studio(urls=lambda _: ["/a", "/b"], results=[answer(JPEG), answer(b"<html>")]) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.UNFINISHED
    assert [file.name for file in outcome.files] == names_in(tmp_path) == ["Living-Room-22222222-1.jpg"]
    assert len(outcome.urls) == 2


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "data:image/jpeg;base64,/9j/", "//x/y", ""]
)
async def test_a_result_at_no_web_address_is_refused(tmp_path: Path, url: str) -> None:
    async with studio(urls=lambda _: [url] if url else ["not a url"]) as service:
        outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.UNFINISHED
    assert isinstance(outcome.error, DownloadFailed)
    assert service.downloads == 0
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "path", ["/../../../etc/passwd", "/%2e%2e/%2e%2e/x", "/a%00b", "/con", "/" + "a" * 3000]
)
async def test_no_photos_name_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "results"
    async with studio() as service, session_on(service.server.url, polling=FixedPolling(0.01)) as session:
        (outcome,) = await session.declutter_all([f"http://photos.test{path}"], save_to=folder)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert names_in(tmp_path) == ["results"]
    assert [folder / name for name in names_in(folder)] == list(outcome.files)


async def test_a_result_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with studio() as service:

        async def large(request: Request) -> None:
            if not request.line.startswith("GET"):
                await service.handle(request)
                return
            request.writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + JPEG)
            for _ in range(MAX_RESULT // 2**20):
                request.writer.write(bytes(2**20))
                await request.writer.drain()

        async with raw_server(large) as server:
            service.server = server
            outcome = await service.save(tmp_path)
    assert outcome.kind is OutcomeKind.UNFINISHED
    assert "larger than 67108864 bytes" in str(outcome.error)
    assert names_in(tmp_path) == []


async def test_a_batch_left_in_the_middle_of_saving_leaves_nothing_but_the_id(tmp_path: Path) -> None:
    async with (
        studio(results=["hang"]) as service,
        session_on(service.server.url, polling=FixedPolling(0.01)) as session,
    ):
        async with session.batch([PHOTO], save_to=tmp_path) as batch:
            while not service.downloads or not names_in(tmp_path):
                await asyncio.sleep(0.005)
            assert batch.progress.done == 0
        assert names_in(tmp_path) == []
        assert session.detached == (ID,)


async def test_a_session_closed_in_the_middle_of_saving_loses_no_outcome(tmp_path: Path) -> None:
    async with studio(results=["hang"]) as service:
        session = session_on(service.server.url, polling=FixedPolling(0.01))
        task = asyncio.create_task(session.declutter_all([PHOTO], save_to=tmp_path))
        while not service.downloads or not names_in(tmp_path):
            await asyncio.sleep(0.005)
        await session.aclose()
        (outcome,) = await task
    assert (outcome.kind, outcome.generation_id) == (OutcomeKind.UNFINISHED, ID)
    assert names_in(tmp_path) == []


async def test_a_folder_that_cannot_be_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with studio() as service, session_on(service.server.url) as session:
        with pytest.raises(InvalidArgument, match="save_to"):
            await session.declutter_all([PHOTO], save_to=tmp_path / "file")
    assert not service.server.requests


# --- on the emulator ---


def photos(emulator: Emulator, count: int) -> list[str]:
    return [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(count)]


@pytest.mark.usefixtures("_at_once")
async def test_faults_of_downloads_lose_no_result(
    tmp_path: Path, session_of: Callable[..., DeclutterSession]
) -> None:
    # A URL that has expired twice in a row is unfinished, so that fault is a rarer one.
    rates = {"expired": 0.05, "half": 0.1, "reset": 0.1, "html_502": 0.1, "status_500": 0.1}
    faults = [Fault(name, rate, on={"result"}) for name, rate in rates.items()]
    behaviour = Behaviour(seed=3, duration=1, speed=100, faults=faults)
    async with Emulator(behaviour) as emulator, session_of(emulator, polling=FixedPolling(0.05)) as session:
        outcomes = await session.declutter_all(photos(emulator, 16), save_to=tmp_path)
        assert emulator.account.charged == 16
        assert emulator.account.requests["result"] > 16
    kinds = [outcome.kind for outcome in outcomes]
    assert set(kinds) <= {OutcomeKind.DELIVERED, OutcomeKind.UNFINISHED}
    assert kinds.count(OutcomeKind.DELIVERED) >= 14
    files = [file for outcome in outcomes for file in outcome.files]
    assert names_in(tmp_path) == sorted(file.name for file in files)
    for file in files:
        picture = file.read_bytes()
        assert picture.startswith(b"\xff\xd8\xff")
        assert picture.endswith(b"\xff\xd9")


async def test_urls_that_expire_before_they_are_fetched(
    tmp_path: Path, session_of: Callable[..., DeclutterSession]
) -> None:
    """A photo that finished long ago is fetched by URLs that `get` gives anew."""
    behaviour = Behaviour(seed=3, duration=1, speed=100, result_lifetime=0.2)
    async with Emulator(behaviour) as emulator, session_of(emulator, polling=FixedPolling(0.05)) as session:
        state = await session.declutter(photos(emulator, 1)[0])
        await asyncio.sleep(0.4)
        found = Outcome(
            photo=Photo(photos(emulator, 1)[0]),
            kind=OutcomeKind.UNFINISHED,
            generation_id=state.generation_id,
            urls=state.urls,
        )
        core = session._open()
        outcome = await _saving.save_results(found, FolderStore(tmp_path), core)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert outcome.urls != state.urls
    assert len(names_in(tmp_path)) == 1
