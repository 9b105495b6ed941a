"""The records in memory: paid once, told twice, and small."""

import asyncio
import gc
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import Generation, GenerationState, Outcome, OutcomeKind, Photo, Status
from declutter_async._records import MemoryRecords
from declutter_async._wire import Answer, read_generation
from declutter_async.errors import (
    GenerationFailed,
    GenerationTimeout,
    InvalidArgument,
    SubmissionUncertain,
    UnreadableAnswer,
)

pytestmark = pytest.mark.anyio

ID = "c9a4d6f2-3b58-4e0f-8f61-27b0e5a9d814"
URL = "https://photos.example.com/listings/4711/living-room.jpg"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def delivered(photo: Photo) -> Outcome:
    return Outcome(
        photo=photo,
        kind=OutcomeKind.DELIVERED,
        generation=Generation(ID, 99, "0e7b94c3-62fd-4a1b-b5d8-913ac86f2e70"),
        urls=(f"https://results.example.com/{ID}.jpg?X-Amz-Signature={'0' * 64}",),
        files=(Path("results/living-room-c9a4d6f2.jpg"),),
        attempts=1,
        confirmed_by="get",
        seconds=93.5,
    )


OUTCOMES = st.builds(
    Outcome,
    photo=st.just(Photo(URL)),
    kind=st.sampled_from(OutcomeKind),
    generation=st.none() | st.builds(Generation, TEXT, st.integers(), st.none() | TEXT),
    generation_id=st.none() | TEXT,
    urls=st.lists(TEXT, max_size=3).map(tuple),
    files=st.lists(st.sampled_from(["a.jpg", "/x/ä.png", "b\udcff.webp"]).map(Path), max_size=2).map(tuple),
    attempts=st.integers(1, 9),
    confirmed_by=st.sampled_from(["get", "webhook", None]),
    error=st.none() | st.just(GenerationTimeout("not finished", generation_id=ID)),
    seconds=st.floats(0, 1e6),
)


@given(OUTCOMES)
def test_a_settled_outcome_is_told_again_as_it_was(outcome: Outcome) -> None:
    async def story() -> None:
        records = MemoryRecords()
        assert await records.claim(outcome.photo) is None
        await records.settle(outcome.photo, outcome)
        again = Photo(URL + "?X-Amz-Date=2", labels={"room": "hall"})
        told = await records.claim(again)
        assert told == attrs.evolve(outcome, photo=again)
        assert told is not None
        assert told.photo.labels == {"room": "hall"}
        assert told.error is outcome.error

    asyncio.run(story())


@pytest.mark.usefixtures("no_task_left")
async def test_a_second_photo_of_the_same_key_waits_for_the_first() -> None:
    records = MemoryRecords()
    first = Photo(URL)
    others = [Photo(URL, labels={"number": number}) for number in range(3)]
    assert await records.claim(first) is None
    waiting = [asyncio.create_task(records.claim(photo)) for photo in others]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()  # one that goes does not take the others along
    await asyncio.sleep(0)
    await records.settle(first, delivered(first))
    assert [await task for task in waiting[1:]] == [delivered(photo) for photo in others[1:]]
    assert waiting[0].cancelled()


@pytest.mark.parametrize("kind", [OutcomeKind.SKIPPED, OutcomeKind.FAILED])
async def test_what_cost_nothing_may_be_tried_anew(kind: OutcomeKind) -> None:
    records = MemoryRecords()
    photo = Photo(URL)
    assert await records.claim(photo) is None
    waiting = asyncio.create_task(records.claim(photo))
    await asyncio.sleep(0)
    refused = Outcome(photo=photo, kind=kind, error=UnreadableAnswer("no"))
    await records.settle(photo, refused)
    assert await waiting == refused
    assert await records.claim(photo) is None
    assert not records._settled
    assert not records._errors


@pytest.mark.parametrize("settled", [False, True])
async def test_one_key_with_two_sets_of_options_is_an_error_of_the_second(*, settled: bool) -> None:
    records = MemoryRecords()
    first = Photo(URL, key="k" * 1000)
    assert await records.claim(first) is None
    if settled:
        await records.settle(first, delivered(first))
    for other in (
        Photo(URL, key=first.key, mask_url="https://h/m.png"),
        Photo(URL, key=first.key, extra={"strength": 2}),
    ):
        conflict = await records.claim(other)
        assert conflict is not None
        assert conflict.kind is OutcomeKind.FAILED
        assert conflict.attempts == 0
        assert conflict.photo is other
        assert isinstance(conflict.error, InvalidArgument)
        assert "two sets of options" in str(conflict.error)
        assert len(str(conflict.error)) < 300
    if not settled:  # and the first is none the worse for it
        await records.settle(first, delivered(first))
    same = Photo("https://elsewhere.example.com/p.jpg", key=first.key, auto=True)
    assert await records.claim(same) == delivered(same)


async def test_one_url_with_two_sets_of_options_is_two_photos() -> None:
    records = MemoryRecords()
    for photo in (Photo(URL), Photo(URL, mask_url="https://h/m.png"), Photo(URL, extra={"strength": 2})):
        assert await records.claim(photo) is None


@pytest.mark.parametrize("key", ["\ud800", "ключ", "x" * 100_000, 4711, 0])
async def test_any_key_serves(key: Any) -> None:
    records = MemoryRecords()
    photo = Photo(URL, key=key)
    assert await records.claim(photo) is None
    await records.settle(photo, delivered(photo))
    assert await records.claim(photo) == delivered(photo)


async def test_the_other_two_steps_leave_memory_as_it_is() -> None:
    records = MemoryRecords()
    photo = Photo(URL)
    assert await records.claim(photo) is None
    await records.submitting(photo)
    await records.submitted(photo, ID, None)
    await records.settle(photo, delivered(photo))
    assert await records.claim(photo) == delivered(photo)


async def test_a_settled_photo_costs_less_than_a_kibibyte() -> None:
    records = MemoryRecords()
    count = 2000
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            photo = Photo(f"{URL}?number={number}", labels={"listing": "x" * 1000})
            assert await records.claim(photo) is None
            await records.settle(photo, delivered(photo))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < 1024
    assert not records._pending
    assert not records._options


def uncertain_with_all_its_frames() -> SubmissionUncertain:
    """As the session makes it: raised from an error that was raised from another, over an answer of a megabyte."""
    try:
        try:
            read_generation(Answer(200, body=b'{"generation_id": ' + b"x" * 1_000_000))
        except UnreadableAnswer as error:
            raise SubmissionUncertain("it may have been accepted") from error
    except SubmissionUncertain as error:
        return error
    raise AssertionError


async def test_the_error_of_a_settled_photo_holds_no_answer_in_memory() -> None:
    records = MemoryRecords()
    photos = [Photo(f"{URL}?number={number}") for number in range(10)]
    tracemalloc.start()
    try:
        for photo in photos:
            assert await records.claim(photo) is None
            error = uncertain_with_all_its_frames()
            await records.settle(
                photo, Outcome(photo=photo, kind=OutcomeKind.UNCERTAIN, error=error, attempts=1)
            )
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < len(photos) * 50_000
    told = await records.claim(photos[0])
    assert told is not None
    assert isinstance(told.error, SubmissionUncertain)
    assert isinstance(told.error.__cause__, UnreadableAnswer)
    assert "not JSON" in str(told.error.__cause__)


async def test_a_failed_photo_is_remembered_with_its_state() -> None:
    records = MemoryRecords()
    photo = Photo(URL)
    assert await records.claim(photo) is None
    error = GenerationFailed("refunded", state=GenerationState(ID, Status.FAILED))
    outcome = Outcome(photo=photo, kind=OutcomeKind.FAILED, generation_id=ID, error=error, attempts=2)
    await records.settle(photo, outcome)
    told = await records.claim(photo)
    assert told == outcome
    assert told is not None
    assert told.error is error
