"""What was paid for is told or kept, whatever else goes wrong: observers, records, readers, sources, closing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import anyio
import attrs
import pytest
from aiohttp import web
from answering_service import Service

from declutter_async import DeclutterSession, FixedPolling, Generation, Outcome, OutcomeKind, Photo
from declutter_async._records import MemoryRecords
from declutter_async.batch import Batch, Limits
from declutter_async.errors import GenerationTimeout, SessionMisuse, SubmissionUncertain
from declutter_async.events import Event, Settled, Submitted

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]


@attrs.define
class Till:
    """Accepts everything; a generation finishes `duration` seconds after it was accepted."""

    duration: float = 0.1
    answer_after: float = 0.0
    photos: int = 1000
    finish: dict[str, float] = attrs.field(factory=dict)

    async def generate(self, _: web.Request) -> web.StreamResponse:
        generation_id = str(uuid.uuid4())
        self.photos -= 1
        left = self.photos
        self.finish[generation_id] = asyncio.get_running_loop().time() + self.duration
        await asyncio.sleep(self.answer_after)
        return web.json_response(
            {"generation_id": generation_id, "remaining_photos": left, "project_id": str(uuid.uuid4())}
        )

    async def get(self, request: web.Request) -> web.StreamResponse:
        generation_id = (await request.json())["generation_id"]
        if asyncio.get_running_loop().time() < self.finish.get(generation_id, 0.0):
            return web.json_response({"status": "PROCESSING"})
        return web.json_response({"status": "SUCCEEDED", "urls": ["https://host/a.jpg"]})


@pytest.fixture
def till(service: Service) -> Till:
    till = Till()
    service.get, service.generate = till.get, till.generate
    return till


@pytest.fixture
async def session(service: Service) -> AsyncIterator[DeclutterSession]:
    async with service.session(polling=FixedPolling(0.02)) as session:
        yield session


def urls(count: int) -> list[str]:
    return [f"https://host/{n}.jpg" for n in range(count)]


async def test_two_batches_keep_one_reserve(till: Till, session: DeclutterSession) -> None:
    till.photos, till.answer_after = 20, 0.02
    await asyncio.gather(
        session.declutter_all(urls(15), reserve=10),
        session.declutter_all([f"https://host/b{n}.jpg" for n in range(15)], reserve=10),
    )
    assert till.photos == 10


class Heard(MemoryRecords):
    """Records that know what they were told, and fail when asked to."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.ids: list[str] = []
        self._failure = failure

    async def submitted(self, photo: Photo, generation_id: str, generation: Generation | None) -> None:
        await super().submitted(photo, generation_id, generation)
        self.ids.append(generation_id)
        if self._failure is not None:
            raise self._failure


def recorded(session: DeclutterSession, records: MemoryRecords, count: int) -> Batch:
    limits = Limits(in_flight=8, attempts=1, budget=None, reserve=0)
    return Batch(session._open(), urls(count), limits=limits, records=records)


@pytest.mark.parametrize("failure", [OSError("disk full"), SessionMisuse("no")])
async def test_a_record_that_fails_loses_no_photo(
    till: Till, session: DeclutterSession, failure: Exception
) -> None:
    async with recorded(session, Heard(failure), 3) as batch:
        outcomes = [outcome async for outcome in batch]
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DELIVERED}
    assert sorted(session.detached) == sorted(till.finish)


async def test_a_submission_that_nobody_waits_for_is_recorded(till: Till, session: DeclutterSession) -> None:
    till.answer_after = 0.2
    records = Heard()
    async with recorded(session, records, 3):
        while len(till.finish) < 3:
            await asyncio.sleep(0.01)
    assert sorted(records.ids) == sorted(session.detached) == sorted(till.finish)


async def test_all_at_once_keeps_the_ids_where_it_fails(till: Till, session: DeclutterSession) -> None:
    def source() -> Iterator[str]:
        yield from urls(3)
        raise LookupError("row 4")

    with pytest.raises(LookupError):
        await session.declutter_all(source())
    assert sorted(session.detached) == sorted(till.finish)


@pytest.mark.parametrize("kind", [Submitted, Settled])
async def test_an_observer_that_lets_a_cancellation_out(
    till: Till, service: Service, kind: type[Event]
) -> None:
    def observer(event: Event) -> None:
        if isinstance(event, kind):
            raise asyncio.CancelledError

    async with service.session(polling=FixedPolling(0.02), observers=[observer]) as session:
        outcomes = await session.declutter_all(urls(2))
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DELIVERED] * 2


@pytest.mark.parametrize("turns", range(6))
async def test_a_reader_cancelled_as_an_outcome_comes(till: Till, service: Service, turns: int) -> None:
    settled = asyncio.Event()

    def observer(event: Event) -> None:
        if isinstance(event, Settled):
            settled.set()

    async with service.session(polling=FixedPolling(0.02), observers=[observer]) as session:
        got: list[Outcome] = []

        async def read() -> None:
            async with session.batch(urls(1)) as batch:
                async for outcome in batch:
                    got.append(outcome)  # noqa: PERF401 - it may be cancelled

        reader = asyncio.ensure_future(read())
        await settled.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        assert {outcome.generation_id for outcome in got} | set(session.detached) == set(till.finish)


async def test_a_place_is_found_though_its_watcher_has_left(till: Till, service: Service) -> None:
    till.duration = 0.4
    async with service.session(polling=FixedPolling(0.02), in_flight=1) as session:

        async def impatient() -> None:
            with pytest.raises(GenerationTimeout):
                await session.declutter("https://host/a.jpg", timeout=0.1)

        first = asyncio.ensure_future(impatient())
        while not till.finish:
            await asyncio.sleep(0.01)
        with anyio.fail_after(20):
            await session.generate("https://host/b.jpg")
        await first


async def test_stop_reads_a_source_that_still_delivers(till: Till, service: Service) -> None:
    till.duration = 1.5  # longer than a stopped batch waits for its source, which is not at fault

    async def source() -> AsyncIterator[str]:
        for url in urls(6):
            yield url

    async with (
        service.session(polling=FixedPolling(0.05), in_flight=2) as session,
        session.batch(source(), in_flight=2) as batch,
    ):
        while batch.progress.running < 2:
            await asyncio.sleep(0.01)
        await batch.stop()
        outcomes = [outcome async for outcome in batch]
    assert sorted(outcome.kind for outcome in outcomes) == ["DELIVERED"] * 2 + ["SKIPPED"] * 4


async def test_watching_after_closing_ends_at_once(till: Till, service: Service) -> None:
    session = service.session()
    closed = asyncio.Event()

    async def ids() -> AsyncIterator[str]:
        yield str(uuid.uuid4())
        await closed.wait()
        yield str(uuid.uuid4())

    watch = session.watch(ids())
    assert (await anext(watch)).error is None
    await session.aclose()
    closed.set()
    with anyio.fail_after(10):
        assert [type(update.error) async for update in watch] == [SessionMisuse]


async def test_an_age_counts_from_the_request_and_not_from_the_line(till: Till, service: Service) -> None:
    till.duration = 0.2
    async with service.session(
        polling=FixedPolling(0.05), requests_per_second=4.0, generation_timeout=1.5
    ) as session:
        # The last in line is sent later than a generation may take, and is found all the same.
        outcomes = await session.declutter_all(urls(4))
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DELIVERED] * 4


async def test_closing_is_finished_though_it_is_cancelled(till: Till, service: Service) -> None:
    till.answer_after = 0.3
    session = service.session()
    paying = asyncio.ensure_future(session.generate("https://host/a.jpg"))
    while not till.finish:
        await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(session.aclose())
    await asyncio.sleep(0.05)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    await session.aclose()
    assert (await paying).generation_id in till.finish


async def test_a_wait_counts_from_now_for_an_id_of_another_session(till: Till, service: Service) -> None:
    generation_id = str(uuid.uuid4())
    till.finish[generation_id] = asyncio.get_running_loop().time() + 1.6
    async with service.session(polling=FixedPolling(0.05), generation_timeout=1.0) as session:
        long = asyncio.ensure_future(session.wait(generation_id, timeout=None))
        await asyncio.sleep(1.1)
        assert (await session.wait(generation_id)).urls
        await long


def broken_answer(generation_id: str) -> web.StreamResponse:
    return web.json_response({"generation_id": generation_id, "remaining_photos": "many"})


async def test_declutter_goes_on_by_the_id_of_a_broken_answer(till: Till, service: Service) -> None:
    shown = str(uuid.uuid4())

    async def generate(_: web.Request) -> web.StreamResponse:
        return broken_answer(shown)

    service.generate = generate
    async with service.session(polling=FixedPolling(0.02)) as session:
        assert (await session.declutter("https://host/a.jpg")).generation_id == shown


async def test_an_id_that_no_look_confirms_proves_nothing(till: Till, service: Service) -> None:
    shown = str(uuid.uuid4())

    async def generate(_: web.Request) -> web.StreamResponse:
        return broken_answer(shown)

    async def unknown(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "no such generation"}, status=404)

    service.generate, service.get = generate, unknown
    async with service.session(polling=FixedPolling(0.02), generation_timeout=0.3) as session:
        with pytest.raises(SubmissionUncertain) as caught:
            await session.declutter("https://host/a.jpg", timeout=0.3)
        assert (caught.value.money, caught.value.generation_id) == ("unknown", shown)
        (outcome,) = await session.declutter_all(["https://host/b.jpg"])
    assert (outcome.kind, outcome.generation_id) == (OutcomeKind.UNCERTAIN, shown)


async def test_whoever_waits_for_a_place_can_go(till: Till, service: Service) -> None:
    till.duration = 60.0
    async with service.session(polling=FixedPolling(0.02), in_flight=1) as session:
        await session.generate("https://host/a.jpg")
        waiting = [asyncio.ensure_future(session.generate(url)) for url in urls(3)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()
        await asyncio.sleep(0)
        await session.aclose()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError, SessionMisuse, SessionMisuse]
    assert len(till.finish) == 1
