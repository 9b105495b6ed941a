"""What the three calls answer: the documented fields, by the clock, repeatable, and for many at once."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from emulator_client import Studio, calling, run_studio

from declutter_async.emulator import Behaviour, Emulator, Uniform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

_SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with run_studio() as made:
        yield made


def sample(name: str) -> Any:
    return json.loads((_SAMPLES / f"{name}.json").read_text())


def shape(value: Any) -> Any:
    """The keys and JSON types of a document."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value)


async def test_answers_have_the_shape_of_the_samples(studio: Studio) -> None:
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        asked = sample("generate_request") | {"image_url": studio.photo, "user_id": emulator.user_id}
        generated = await ask("generate", **asked)
        assert (generated.status, shape(generated.body)) == (200, shape(sample("generate_answer")))
        assert generated.headers["Content-Type"].startswith("application/json")
        generation_id = generated.body["generation_id"]
        asked = sample("variation_request") | {
            "user_id": emulator.user_id,
            "generation_id": generation_id,
            "original_url": studio.photo,
            "mask_url": studio.mask,
        }
        varied = await ask("generate-variation", **asked)
        assert (varied.status, shape(varied.body)) == (200, shape(sample("variation_answer")))
        asked = sample("get_request") | {"user_id": emulator.user_id, "generation_id": generation_id}
        state = await ask("get", **asked)
        assert (state.status, shape(state.body)) == (200, shape(sample("get_answer_succeeded")))
        for made in (
            generated.body["generation_id"],
            generated.body["project_id"],
            varied.body["generation_id"],
        ):
            assert uuid.UUID(made).version == 4


@pytest.mark.parametrize("status", ["starting", "processing", "failed"])
async def test_states_have_the_shape_of_the_samples(studio: Studio, status: str) -> None:
    duration = {"starting": 1e9, "processing": 1, "failed": 0}[status]
    # So slow a clock that the second half of a second takes longer than any test.
    speed = 1e-3 if status == "processing" else 1
    behaviour = Behaviour(duration=duration, speed=speed, failure_rate=float(status == "failed"))
    async with Emulator(behaviour) as emulator, calling(emulator) as ask:
        generation_id = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        if status == "processing":
            generation = emulator.account.find(generation_id)
            assert generation is not None
            generation.accepted_at -= 0.5
        state = await ask("get", generation_id=generation_id)
        assert state.body == sample(f"get_answer_{status}")


async def test_a_generation_goes_through_its_statuses_and_get_only_reads(studio: Studio) -> None:
    async with Emulator(Behaviour(duration=300, speed=1000, photos=5)) as emulator, calling(emulator) as ask:
        generated = (await ask("generate", image_url=studio.photo, auto=True)).body
        seen: list[str] = []
        while not seen or seen[-1] != "SUCCEEDED":
            state = (await ask("get", generation_id=generated["generation_id"].upper())).body
            assert ("urls" in state) == (state["status"] == "SUCCEEDED")
            if state["status"] not in seen:
                seen.append(state["status"])
        assert seen[-1] == "SUCCEEDED"
        assert seen == [status for status in ("STARTING", "PROCESSING", "SUCCEEDED") if status in seen]
        assert generated["remaining_photos"] == emulator.account.photos_left == 4
        assert (emulator.account.charged, emulator.account.running) == (1, 0)


async def test_a_failed_generation_is_refunded_and_has_no_urls(studio: Studio) -> None:
    behaviour = Behaviour(duration=50, speed=1000, failure_rate=1, photos=1)
    async with Emulator(behaviour) as emulator, calling(emulator) as ask:
        generated = (await ask("generate", image_url=studio.photo, auto=True)).body
        assert generated["remaining_photos"] == 0
        assert await ask.finished(generated["generation_id"]) == {"status": "FAILED", "variationNumber": 0}
        book = emulator.account.photos[studio.photo]
        assert (book.charges, book.refunds, book.net) == (1, 1, 0)
        assert book.generation_ids == (generated["generation_id"],)
        assert emulator.account.photos_left == 1


async def test_a_variation_counts_its_project_up_and_costs_one_photo(studio: Studio) -> None:
    async with Emulator(Behaviour(duration=0, photos=10)) as emulator, calling(emulator) as ask:
        first = (await ask("generate", image_url=studio.photo, mask_url=studio.mask)).body["generation_id"]
        varied = {"original_url": studio.photo, "mask_url": studio.mask}
        second = (await ask("generate-variation", generation_id=first, **varied)).body
        third = (await ask("generate-variation", generation_id=second["generation_id"], **varied)).body
        assert (second["remaining_photos"], third["remaining_photos"]) == (8, 7)
        for generation_id in (first, second["generation_id"], third["generation_id"]):
            assert (await ask("get", generation_id=generation_id)).body["variationNumber"] == 2
        book = emulator.account.photos[studio.photo]
        assert book.generation_ids == (first, second["generation_id"], third["generation_id"])


async def test_the_same_seed_gives_the_same_whatever_the_order(studio: Studio) -> None:
    async def run(order: list[int]) -> dict[str, tuple[str, float, bool]]:
        behaviour = Behaviour(seed=5, failure_rate=0.5, duration=Uniform(1, 9))
        async with Emulator(behaviour) as emulator, calling(emulator) as ask:
            await asyncio.gather(
                *(ask("generate", image_url=f"{studio.photo}?n={number}", auto=True) for number in order)
            )
            found = {}
            for url, book in emulator.account.photos.items():
                generation = emulator.account.find(book.generation_ids[0])
                assert generation is not None
                seconds = generation.ends_at - generation.accepted_at
                found[url] = (generation.generation_id, round(seconds, 6), generation.fails)
            return found

    assert await run([*range(10)]) == await run([*reversed(range(10))])


async def test_unknown_fields_are_ignored(studio: Studio) -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        answer = await ask("generate", image_url=studio.photo, auto=True, style="modern", note=None)
        assert answer.status == 200


async def test_a_thousand_photos_two_hundred_at_once() -> None:
    behaviour = Behaviour(duration=Uniform(1, 3), speed=20, photos=1500, failure_rate=0.1, seed=2)
    async with Emulator(behaviour) as emulator, calling(emulator) as ask:
        url = f"{emulator.url}/rooms/1/cluttered.jpg"
        places = asyncio.Semaphore(200)

        async def one(number: int) -> str:
            async with places:
                generated = await ask("generate", image_url=f"{url}?n={number}", auto=True)
                assert generated.status == 200
                end = emulator.account.find(generated.body["generation_id"])
                assert end is not None
                await asyncio.sleep((end.ends_at - end.accepted_at) / 20)
                return str((await ask.finished(generated.body["generation_id"]))["status"])

        statuses = await asyncio.gather(*(one(number) for number in range(1000)))
        account = emulator.account
        assert len(account.photos) == account.charged == 1000
        assert account.refunded == statuses.count("FAILED") > 0
        assert 2 <= account.max_running <= 200
        assert account.running == 0
        assert account.photos_left + account.charged - account.refunded == 1500
        assert all(book.net == 1 - book.refunds for book in account.photos.values())


async def test_rooms_the_contract_and_a_page_that_says_what_this_is() -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        for file, kind, magic in (
            ("cluttered.jpg", "image/jpeg", b"\xff\xd8"),
            ("clean.jpg?n=7", "image/jpeg", b"\xff\xd8"),
            ("mask.png", "image/png", b"\x89PNG"),
        ):
            async with ask.session.get(f"{emulator.url}/rooms/3/{file}") as answer:
                data = await answer.read()
                assert (answer.status, answer.content_type) == (200, kind)
                assert data.startswith(magic)
                assert answer.content_length == len(data)
        for path in ("/rooms/3/other.jpg", "/rooms/x/clean.jpg", "/nothing"):
            async with ask.session.get(f"{emulator.url}{path}") as answer:
                assert (answer.status, await answer.json()) == (404, {"error": "Not Found"})
        async with ask.session.get(f"{emulator.url}/openapi.json") as answer:
            assert (await answer.json())["openapi"] == "3.1.0"
        async with ask.session.get(f"{emulator.url}/") as answer:
            assert "stand-in" in (await answer.json())["about"]
