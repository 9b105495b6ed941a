"""The results: really computed, handed out under signed URLs, and kept within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from emulator_client import Caller, Studio, calling, run_studio

from declutter_async.emulator import Behaviour, Emulator, draws, server
from declutter_async.emulator.background import Tasks, ThreadCache
from declutter_async.emulator.pictures import PictureError, declutter
from declutter_async.emulator.results import Signer
from declutter_async.emulator.rooms import render_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with run_studio() as made:
        yield made


async def result_url(ask: Caller, **fields: object) -> str:
    generation_id = (await ask("generate", **fields)).body["generation_id"]
    (url,) = (await ask.finished(generation_id))["urls"]
    return str(url)


def signed(emulator: Emulator, generation_id: str) -> str:
    return Signer(draws.credentials(0).signing_key, emulator.url, None).url(generation_id)


def pixels(picture: bytes) -> NDArray[np.float64]:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.float64)


async def test_the_result_is_the_photo_without_what_the_mask_marks() -> None:
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        room = f"{emulator.url}/rooms/1"
        url = await result_url(ask, image_url=f"{room}/cluttered.jpg", mask_url=f"{room}/mask.png")
        async with ask.session.get(url) as answer:
            data = await answer.read()
            assert (answer.status, answer.content_type, answer.content_length) == (
                200,
                "image/jpeg",
                len(data),
            )
    made = render_room(1)
    assert data == declutter(made.cluttered, made.mask)
    result, cluttered, clean = (pixels(picture) for picture in (data, made.cluttered, made.clean))
    assert abs(result - clean).mean() < abs(cluttered - clean).mean()


async def test_without_a_mask_the_result_is_automatic() -> None:
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        url = await result_url(ask, image_url=f"{emulator.url}/rooms/1/cluttered.jpg", auto=True)
        async with ask.session.get(url) as answer:
            assert await answer.read() == declutter(render_room(1).cluttered)


async def test_only_a_signed_url_of_a_result_works(studio: Studio) -> None:
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        url = await result_url(ask, image_url=studio.photo, auto=True)

        async def status(asked: str) -> int:
            async with ask.session.get(asked) as answer:
                return answer.status

        assert await status(url) == 200
        assert await status(url[:-1] + ("0" if url[-1] != "0" else "1")) == 403
        assert await status(url.partition("?")[0]) == 403
        assert await status(url.replace("?", "?expires=99999999999&")) == 403
        assert await status(url.replace("signature=", "signature=\u00fc")) == 403
        unknown = "00000000-0000-4000-8000-000000000000"
        assert await status(signed(emulator, unknown)) == 404


async def test_there_is_no_result_before_the_end(studio: Studio) -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        generation_id = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        async with ask.session.get(signed(emulator, generation_id)) as answer:
            assert (answer.status, await answer.json()) == (404, {"error": "there is no such result"})


async def test_an_expired_url_is_refused_and_get_gives_another(studio: Studio) -> None:
    for lifetime, expected in ((1e-6, 403), (1e6, 200)):
        behaviour = Behaviour(duration=0, result_lifetime=lifetime)
        async with Emulator(behaviour) as emulator, calling(emulator) as ask:
            generation_id = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
            (url,) = (await ask("get", generation_id=generation_id)).body["urls"]
            async with ask.session.get(url) as answer:
                assert answer.status == expected
                if expected == 403:
                    assert "expired" in (await answer.json())["error"]
            fresh = (await ask("get", generation_id=generation_id)).body["urls"]
            while fresh == [url]:
                fresh = (await ask("get", generation_id=generation_id)).body["urls"]


async def test_a_result_that_is_kept_no_longer_is_computed_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_RESULT_BYTES", 1)  # the latest result only
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        first = await result_url(ask, image_url=f"{studio.url}/photo.jpg", auto=True)
        async with ask.session.get(first) as answer:
            wanted = await answer.read()
        async with ask.session.get(
            await result_url(ask, image_url=f"{studio.url}/photo.png", auto=True)
        ) as answer:
            assert await answer.read() != wanted
        fetched = studio.asked.count("/photo.jpg")
        async with ask.session.get(first) as answer:
            assert await answer.read() == wanted
        assert studio.asked.count("/photo.jpg") == fetched + 1
        async with ask.session.get(
            await result_url(ask, image_url=f"{studio.url}/photo.png", auto=True)
        ) as answer:
            assert answer.status == 200
        studio.gone = True
        async with ask.session.get(first) as answer:
            assert answer.status == 410
            assert "cannot be computed again: photo could not be fetched" in (await answer.json())["error"]


async def test_what_was_not_computed_ahead_is_computed_for_the_download(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("declutter_async.emulator.results._MOST_AHEAD", 0)
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        url = await result_url(ask, image_url=studio.photo, mask_url=studio.mask)
        assert not emulator._tasks._tasks
        async with ask.session.get(url) as answer:
            assert pixels(await answer.read()).shape == (48, 64, 3)


async def test_a_picture_that_cannot_be_computed_fails(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: bytes, __: bytes | None) -> bytes:
        raise LookupError("out of paint")

    monkeypatch.setattr("declutter_async.emulator.results.declutter", fail)
    async with Emulator(Behaviour(duration=500, speed=1000)) as emulator, calling(emulator) as ask:
        generation_id = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        assert (await ask.finished(generation_id))["status"] == "FAILED"
        assert emulator.account.refunded == 1


async def test_slow_functions_are_computed_once_and_the_latest_kept() -> None:
    tasks = Tasks()
    cache = ThreadCache[str](tasks, threads=1, capacity=3, weigh=len)
    calls: list[str] = []

    def compute(result: str) -> Callable[[], str]:
        def work() -> str:
            calls.append(result)
            if result == "!":
                raise PictureError(result)
            return result

        return work

    assert [await cache.get(key, compute(key * 2)) for key in "aab"] == ["aa", "aa", "bb"]
    assert "a" not in cache  # 4 would weigh too much
    assert "b" in cache
    assert await cache.known("a") is None
    assert await cache.known("b") == "bb"
    assert await cache.get("c", compute("too heavy")) == "too heavy"
    assert ("c" in cache, "b" in cache) == (True, False)
    for _ in range(2):
        with pytest.raises(PictureError):
            await cache.get("!", compute("!"))
    assert calls == ["aa", "bb", "too heavy", "!", "!"]
    assert cache.pending == 0
