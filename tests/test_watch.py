"""Watching: one schedule, one timer, shared looks; nothing is left behind, however a watch is left."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable

import anyio
import attrs
import pytest
from aiohttp import web
from answering_service import Service

from declutter_async import DeclutterSession, FixedPolling, GenerationState, Status, StatusUpdate
from declutter_async.emulator import Behaviour, Emulator, Fixed
from declutter_async.errors import (
    GenerationFailed,
    GenerationTimeout,
    InvalidArgument,
    KeyRefused,
    NotFound,
    SessionMisuse,
)
from declutter_async.events import Event, Finished, Looked, StatusChanged

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]


@attrs.define
class Desk:
    """Answers `get` for many generations: each goes through its words, one a look, and stays at the last."""

    words: dict[str, list[str]] = attrs.field(factory=dict)
    looks: Counter[str] = attrs.field(factory=Counter)
    running: int = 0
    most_at_once: int = 0
    pause: float = 0.0

    def new(self, *words: str) -> str:
        generation_id = str(uuid.uuid4())
        self.words[generation_id] = list(words)
        return generation_id

    async def get(self, request: web.Request) -> web.StreamResponse:
        generation_id = (await request.json())["generation_id"]
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(self.pause)
        self.running -= 1
        self.looks[generation_id] += 1
        if generation_id not in self.words:
            return web.json_response({"error": "no such generation"}, status=404)
        words = self.words[generation_id]
        word = words.pop(0) if len(words) > 1 else words[0]
        if word.isdigit():
            return web.json_response({"error": "broken"}, status=int(word))
        body: dict[str, object] = {"status": word, "variationNumber": 0}
        if word == "SUCCEEDED":
            body["urls"] = [f"https://host/{generation_id}.jpg"]
        return web.json_response(body)

    async def generate(self, _: web.Request) -> web.StreamResponse:
        generation_id = self.new("404", "STARTING", "SUCCEEDED")
        return web.json_response(
            {"generation_id": generation_id, "remaining_photos": 9, "project_id": str(uuid.uuid4())}
        )


@pytest.fixture
def desk(service: Service) -> Desk:
    desk = Desk()
    service.get, service.generate = desk.get, desk.generate
    return desk


@pytest.fixture
async def session(service: Service) -> AsyncIterator[DeclutterSession]:
    async with service.session(polling=FixedPolling(0.02)) as session:
        yield session


async def test_every_change_of_every_id_until_each_has_finished(
    desk: Desk, session: DeclutterSession
) -> None:
    good = desk.new("STARTING", "STARTING", "PROCESSING", "PROCESSING", "SUCCEEDED")
    bad = desk.new("PROCESSING", "FAILED")
    seen: dict[str, list[Status | None]] = {good: [], bad: []}
    async for update in session.watch([good, uuid.UUID(bad), good]):
        seen[update.generation_id].append(update.status)
        if update.status is Status.SUCCEEDED:
            assert update.state == GenerationState(good, Status.SUCCEEDED, (f"https://host/{good}.jpg",), 0)
    assert seen == {
        good: [Status.STARTING, Status.PROCESSING, Status.SUCCEEDED],
        bad: [Status.PROCESSING, Status.FAILED],
    }


async def test_one_ids_trouble_hurts_no_other(desk: Desk, session: DeclutterSession) -> None:
    good, unknown = desk.new("STARTING", "SUCCEEDED"), str(uuid.uuid4())
    last: dict[str, StatusUpdate] = {}
    async for update in session.watch([unknown, "no uuid", good]):
        last[update.generation_id] = update
    error = last[unknown].error
    assert isinstance(error, NotFound)
    assert error.generation_id == unknown
    assert last[unknown].status is None
    assert isinstance(last["no uuid"].error, InvalidArgument)
    assert last[good].status is Status.SUCCEEDED


async def test_ids_may_come_later(desk: Desk, session: DeclutterSession) -> None:
    ids = [desk.new("PROCESSING", "SUCCEEDED") for _ in range(5)]

    async def source() -> AsyncIterator[str]:
        for generation_id in ids:
            await asyncio.sleep(0.03)
            yield generation_id

    async with session.watch(source()) as updates:
        finished = [update.generation_id async for update in updates if update.status is Status.SUCCEEDED]
    assert sorted(finished) == sorted(ids)


async def test_a_source_that_fails_is_told(desk: Desk, session: DeclutterSession) -> None:
    running = desk.new("PROCESSING")

    async def source() -> AsyncIterator[str]:
        yield running
        raise LookupError("the queue is gone")

    async with session.watch(source()) as updates:
        with pytest.raises(LookupError):
            async for _ in updates:
                pass


async def test_a_watch_of_no_ids_ends(session: DeclutterSession) -> None:
    assert [update async for update in session.watch([])] == []


@pytest.mark.parametrize("wrong", ["3b241101-e2bb-4255-8caf-4136c566a962", 5, None])
async def test_what_is_no_iterable_of_ids_is_refused(session: DeclutterSession, wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="generation_ids"):
        session.watch(wrong)  # type: ignore[arg-type]


async def test_two_watchers_of_one_id_share_its_looks(desk: Desk, session: DeclutterSession) -> None:
    shared = desk.new(*["PROCESSING"] * 5, "SUCCEEDED")
    states = await asyncio.gather(*(session.wait(shared) for _ in range(20)))
    assert len({id(state) for state in states}) == 1
    assert desk.looks[shared] == 6


async def test_a_late_watcher_hears_of_the_status_at_once(desk: Desk, session: DeclutterSession) -> None:
    running = desk.new("PROCESSING")
    async with session.watch([running]) as first:
        await anext(first)
        looks = desk.looks[running]
        async with session.watch([running]) as second:
            update = await anext(second)
    assert update.status is Status.PROCESSING
    assert desk.looks[running] - looks <= 1


async def test_looks_share_the_connections(desk: Desk, service: Service) -> None:
    desk.pause = 0.01
    ids = [desk.new("SUCCEEDED") for _ in range(50)]
    async with service.session(max_connections=4) as session:
        finished = [update.generation_id async for update in session.watch(ids)]
    assert sorted(finished) == sorted(ids)
    assert desk.most_at_once <= 4


async def test_an_unknown_word_means_not_finished_and_is_logged_once(
    desk: Desk, session: DeclutterSession, caplog: pytest.LogCaptureFixture
) -> None:
    odd = desk.new("queued", "Queued", "polishing", "succeeded")
    statuses = [update.status async for update in session.watch([odd])]
    assert statuses == [Status.UNKNOWN, Status.SUCCEEDED]
    words = [record.getMessage() for record in caplog.records if "not known" in record.getMessage()]
    assert len(words) == 3  # queued, Queued, polishing


async def test_failed_looks_are_put_off_and_go_on(desk: Desk, session: DeclutterSession) -> None:
    shaky = desk.new("PROCESSING", "500", "503", "408", "SUCCEEDED")
    assert (await session.wait(shaky)).status is Status.SUCCEEDED


async def test_a_404_in_the_first_minute_is_not_final(desk: Desk, session: DeclutterSession) -> None:
    state = await session.declutter("https://host/photo.jpg")
    assert state.status is Status.SUCCEEDED
    assert desk.looks[state.generation_id] == 3


async def test_wait_raises_what_ended_it(desk: Desk, session: DeclutterSession) -> None:
    failed, refused, running = desk.new("FAILED"), desk.new("401"), desk.new("PROCESSING")
    with pytest.raises(GenerationFailed) as failure:
        await session.wait(failed)
    assert (failure.value.money, failure.value.generation_id) == ("none", failed)
    with pytest.raises(KeyRefused) as refusal:
        await session.wait(refused)
    assert (refusal.value.money, refusal.value.generation_id) == ("spent", refused)
    with pytest.raises(GenerationTimeout) as late:
        await session.wait(running, timeout=0.1)
    assert (late.value.money, late.value.generation_id) == ("spent", running)


async def test_a_timeout_of_nothing_still_takes_a_look(desk: Desk, session: DeclutterSession) -> None:
    assert (await session.wait(desk.new("SUCCEEDED"), timeout=0)).status is Status.SUCCEEDED
    running = desk.new("PROCESSING")
    with pytest.raises(GenerationTimeout):
        await session.wait(running, timeout=0)
    assert desk.looks[running] == 1


async def test_the_last_look_is_made_though_the_service_was_away(desk: Desk, service: Service) -> None:
    """Each known generation gets a look before it is given up, though the gate is closed."""
    broken = desk.new("503")
    async with service.session(polling=FixedPolling(0.02), outage_timeout=60) as session:
        other = asyncio.ensure_future(session.wait(broken, timeout=None))
        while not desk.looks[broken]:
            await asyncio.sleep(0.01)
        done = desk.new("SUCCEEDED")
        assert (await session.wait(done, timeout=0.05)).status is Status.SUCCEEDED
        other.cancel()
        await asyncio.wait([other])


async def test_events_tell_of_every_look(desk: Desk, service: Service) -> None:
    events: list[Event] = []
    generation_id = desk.new("STARTING", "PROCESSING", "SUCCEEDED")
    async with service.session(polling=FixedPolling(0.01), observers=[events.append]) as session:
        await session.wait(generation_id)
    kinds = Counter(type(event) for event in events)
    assert kinds == {Looked: 3, StatusChanged: 3, Finished: 1}
    ages = [event.age for event in events if isinstance(event, Looked)]
    assert ages == sorted(ages)


async def test_a_broken_observer_is_logged_once_and_hurts_nobody(
    desk: Desk, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Event) -> None:
        raise ZeroDivisionError

    good: list[Event] = []
    generation_id = desk.new("STARTING", "SUCCEEDED")
    async with service.session(polling=FixedPolling(0.01), observers=[broken, good.append]) as session:
        await session.wait(generation_id)
    assert len(good) >= 4
    assert sum("observer" in record.getMessage() for record in caplog.records) == 1


class Broken:
    """A caller's own policy, with every fault that one can have."""

    def __init__(self) -> None:
        self.answers = iter([-5.0, 0.0])

    def delay(self, age: float) -> float:
        return next(self.answers, 0.0) * (age + 1)

    def record(self, after: float, at: float, *, finished: bool) -> None:
        raise ZeroDivisionError((after, at, finished))


async def test_a_broken_policy_loses_nothing(desk: Desk, service: Service) -> None:
    async with service.session(polling=Broken()) as session:
        generation_id = desk.new("STARTING", "PROCESSING", "SUCCEEDED")
        with anyio.fail_after(30):
            assert (await session.wait(generation_id)).finished


# --- nothing is left behind ---


async def _left(session: DeclutterSession, count: int) -> None:
    """Wait until the session's watcher has let go of all but `count` generations."""
    core = session._core
    assert core is not None
    with anyio.fail_after(10):
        while len(core.watcher._watched) > count:
            await asyncio.sleep(0.01)
    assert len(core.watcher._due) <= 2 * count
    assert len(core.watcher._deadlines) <= 2 * count


async def _left_by_break(session: DeclutterSession, ids: list[str]) -> None:
    async for _ in session.watch(ids):
        break


async def _left_by_block(session: DeclutterSession, ids: list[str]) -> None:
    async with session.watch(ids) as updates:
        await anext(updates)


async def _left_by_cancellation(session: DeclutterSession, ids: list[str]) -> None:
    async def watch() -> None:
        async for _ in session.watch(ids):
            pass

    task = asyncio.ensure_future(watch())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])


async def _left_unread(session: DeclutterSession, ids: list[str]) -> None:
    session.watch(ids)


async def _left_in_the_source(session: DeclutterSession, ids: list[str]) -> None:
    async def source() -> AsyncIterator[str]:
        for generation_id in ids:
            yield generation_id
        await anyio.sleep_forever()

    async with session.watch(source()) as updates:
        await anext(updates)


@pytest.mark.parametrize(
    "leave", [_left_by_break, _left_by_block, _left_by_cancellation, _left_unread, _left_in_the_source]
)
async def test_a_hundred_dropped_watchers_leave_nothing(
    desk: Desk, session: DeclutterSession, leave: Callable[[DeclutterSession, list[str]], object]
) -> None:
    for _ in range(100):
        await leave(session, [desk.new("PROCESSING") for _ in range(3)])  # type: ignore[misc]
    gc.collect()
    await _left(session, 0)
    with anyio.fail_after(10):
        while _our_tasks():
            await asyncio.sleep(0.01)


def _our_tasks() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("declutter-async")]


async def test_closing_ends_every_watch(desk: Desk, service: Service) -> None:
    session = service.session()
    running = desk.new("PROCESSING")
    updates = session.watch([running])
    waiting = asyncio.ensure_future(session.wait(running))
    assert (await anext(updates)).status is Status.PROCESSING
    await session.aclose()
    with pytest.raises(SessionMisuse) as caught:
        await waiting
    assert (caught.value.money, caught.value.generation_id) == ("spent", running)
    assert isinstance((await anext(updates)).error, SessionMisuse)
    with pytest.raises(StopAsyncIteration):
        await anext(updates)


async def test_thousands_watched_are_one_timer_and_one_task(desk: Desk, service: Service) -> None:
    """One task more than the looks on the way, and no growth; `benchmarks/watching.py` does it with 10,000 for long."""
    count, at_once = 3_000, 16
    ids = [desk.new("PROCESSING") for _ in range(count)]
    loop = asyncio.get_running_loop()
    tracemalloc.start()
    async with (
        service.session(polling=FixedPolling(2.0), max_connections=at_once) as session,
        session.watch(ids) as updates,
    ):
        for _ in range(count):
            await anext(updates)
        service.requests.clear()  # the service remembers them all
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            await asyncio.sleep(0.2)
            assert len(_our_tasks()) <= at_once + 1
            mine = [h for h in loop._scheduled if "Watcher" in repr(h) or "Event.set" in repr(h)]  # type: ignore[attr-defined]
            assert sum(not handle.cancelled() for handle in mine) <= 1
        service.requests.clear()
        gc.collect()
        growth = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    assert growth < 2**20


async def test_watching_the_emulator(session_of: Callable[..., DeclutterSession]) -> None:
    async with (
        Emulator(Behaviour(duration=Fixed(60), speed=120)) as emulator,
        session_of(emulator) as session,
    ):
        photos = [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(10)]
        started = await asyncio.gather(*(session.generate(photo) for photo in photos))
        ids = [generation.generation_id for generation in started]
        finished = [u.generation_id async for u in session.watch(ids) if u.status is Status.SUCCEEDED]
        assert sorted(finished) == sorted(ids)
