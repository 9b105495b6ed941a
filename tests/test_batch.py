"""The pool: every photo its outcome, and what happened to its money."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio
import attrs
import pytest
from aiohttp import web
from answering_service import Service

from declutter_async import DeclutterSession, FixedPolling, Outcome, OutcomeKind, Photo
from declutter_async.emulator import Behaviour, Emulator, Fault, LogNormal
from declutter_async.errors import (
    BadRequest,
    GenerationFailed,
    GenerationTimeout,
    InvalidArgument,
    KeyRefused,
    NoPhotosLeft,
    NotSubmitted,
    SessionMisuse,
    SubmissionUncertain,
    UnreadableAnswer,
)
from declutter_async.events import Event, Settled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]
SessionOf = Callable[..., DeclutterSession]
QUICK = LogNormal(1.0, 0.3)


def photos_of(emulator: Emulator, count: int, seed: int = 1) -> list[str]:
    return [f"{emulator.url}/rooms/{seed}/cluttered.jpg?n={n}" for n in range(count)]


def kinds(outcomes: list[Outcome]) -> Counter[OutcomeKind]:
    return Counter(outcome.kind for outcome in outcomes)


@attrs.define
class Shop:
    """A service of a test's own: what a photo's URL says is what becomes of it."""

    balance: int = 1000
    charged: Counter[str] = attrs.field(factory=Counter)
    states: dict[str, str] = attrs.field(factory=dict)
    running: int = 0
    most_running: int = 0
    refusal: tuple[int, str] | None = None

    async def generate(self, request: web.Request) -> web.StreamResponse:
        url = (await request.json())["image_url"]
        if self.refusal is not None:
            return web.json_response({"error": self.refusal[1]}, status=self.refusal[0])
        if "refused" in url:
            return web.json_response({"error": f"cannot fetch {url}"}, status=400)
        if "uncertain" in url:
            return web.Response(status=500)
        self.balance -= 1
        self.charged[url] += 1
        generation_id = str(uuid.uuid4())
        if "broken" in url:
            return web.json_response({"generation_id": generation_id, "remaining_photos": "many"})
        self.states[generation_id] = url
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        return web.json_response(
            {
                "generation_id": generation_id,
                "remaining_photos": self.balance,
                "project_id": str(uuid.uuid4()),
            }
        )

    async def get(self, request: web.Request) -> web.StreamResponse:
        generation_id = (await request.json())["generation_id"]
        url = self.states.get(generation_id, "")
        if "stuck" in url:
            return web.json_response({"status": "PROCESSING"})
        self.running -= 1
        if "failed" in url or ("once" in url and self.charged[url] == 1):
            self.balance += 1
            return web.json_response({"status": "FAILED"})
        body: dict[str, object] = {"status": "SUCCEEDED", "urls": [f"https://host/{generation_id}.jpg"]}
        if "bare" in url:
            del body["urls"]
        return web.json_response(body)


@pytest.fixture
def shop(service: Service) -> Shop:
    shop = Shop()
    service.get, service.generate = shop.get, shop.generate
    return shop


@pytest.fixture
async def session(service: Service) -> AsyncIterator[DeclutterSession]:
    async with service.session(polling=FixedPolling(0.01)) as session:
        yield session


# --- the main job ---


async def test_a_thousand_photos_each_charged_once(session_of: SessionOf) -> None:
    behaviour = Behaviour(duration=LogNormal(2.0, 0.4), photos=1000)
    async with Emulator(behaviour) as emulator, session_of(emulator, in_flight=200) as session:
        photos = photos_of(emulator, 1000)
        async with session.batch(photos, in_flight=200) as batch:
            outcomes = [outcome async for outcome in batch]
            progress = batch.progress
        account = emulator.account
        assert kinds(outcomes) == {OutcomeKind.DELIVERED: 1000}
        assert {outcome.photo.url for outcome in outcomes} == set(photos)
        assert account.max_running <= 200
        assert (account.charged, account.refunded, account.photos_left) == (1000, 0, 0)
        assert all(book.charges == 1 for book in account.photos.values())
        assert (progress.done, progress.total, progress.spent, progress.balance) == (1000, 1000, 1000, 0)
        assert (progress.running, progress.submitting, progress.eta) == (0, 0, 0.0)


async def test_outcomes_in_the_order_of_the_photos(shop: Shop, session: DeclutterSession) -> None:
    photos = [f"https://host/{'once' if n % 3 else 'plain'}-{n}.jpg" for n in range(40)]
    outcomes = await session.declutter_all(photos)
    assert [outcome.photo.url for outcome in outcomes] == photos
    assert kinds(outcomes) == {OutcomeKind.DELIVERED: 40}
    assert {o.attempts for o in outcomes if "once" in o.photo.url} == {2}
    assert all(o.confirmed_by == "get" and o.generation_id and o.seconds > 0 for o in outcomes)


async def test_every_kind_of_outcome(shop: Shop, service: Service) -> None:
    events: list[Event] = []
    names = ["good", "refused", "failed", "uncertain", "stuck", "bare", "broken"]
    async with service.session(
        polling=FixedPolling(0.01), generation_timeout=1.0, observers=[events.append]
    ) as session:
        photos = [Photo(f"https://host/{name}.jpg", labels={"room": name}) for name in names]
        photos.append(Photo("ftp://host/wrong.jpg", labels={"room": "wrong"}))
        photos.append(Photo("https://host/x.jpg", auto=False, labels={"room": "maskless"}))
        async with session.batch(photos, attempts=3) as batch:
            found = {outcome.photo.labels["room"]: outcome async for outcome in batch}
            progress = batch.progress
    assert {name: outcome.kind for name, outcome in found.items()} == {
        "good": OutcomeKind.DELIVERED,
        "refused": OutcomeKind.FAILED,
        "failed": OutcomeKind.FAILED,
        "uncertain": OutcomeKind.UNCERTAIN,
        "stuck": OutcomeKind.UNFINISHED,
        "bare": OutcomeKind.UNFINISHED,
        "broken": OutcomeKind.DELIVERED,
        "wrong": OutcomeKind.FAILED,
        "maskless": OutcomeKind.FAILED,
    }
    errors = {name: type(outcome.error) for name, outcome in found.items() if outcome.error}
    assert errors == {
        "refused": BadRequest,
        "failed": GenerationFailed,
        "uncertain": SubmissionUncertain,
        "stuck": GenerationTimeout,
        "bare": UnreadableAnswer,
        "wrong": InvalidArgument,
        "maskless": InvalidArgument,
    }
    assert found["failed"].attempts == 3
    assert found["stuck"].generation_id in shop.states
    assert found["broken"].generation is None
    assert found["broken"].generation_id
    assert progress.spent == 5  # good, uncertain, stuck, bare, broken
    assert sum(isinstance(event, Settled) for event in events) == 9


async def test_what_is_no_photo_gets_its_outcome_too(shop: Shop, session: DeclutterSession) -> None:
    outcomes = await session.declutter_all(["https://host/1.jpg", None, 5])  # type: ignore[list-item]
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.DELIVERED, OutcomeKind.FAILED, OutcomeKind.FAILED,
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["https://host/1.jpg", Photo("https://host/1.jpg"), 5, None, b"x"])
async def test_what_is_no_iterable_of_photos_is_refused(session: DeclutterSession, wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="photos"):
        session.batch(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_flight", 0),
        ("in_flight", 1.5),
        ("attempts", 0),
        ("budget", -1),
        ("reserve", -1),
        ("reserve", True),
    ],
)
async def test_wrong_limits_are_refused(session: DeclutterSession, name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=name):
        session.batch([], **{name: value})  # type: ignore[arg-type]


async def test_a_batch_is_entered_once_and_read_inside(shop: Shop, session: DeclutterSession) -> None:
    batch = session.batch(["https://host/1.jpg"])
    with pytest.raises(SessionMisuse):
        await anext(aiter(batch))
    async with batch:
        assert len([outcome async for outcome in batch]) == 1
    with pytest.raises(SessionMisuse):
        await batch.__aenter__()


# --- lazy and slow ---


class Counted:
    """A source that knows how far it was read."""

    def __init__(self, count: int) -> None:
        self.read = 0
        self._count = count

    def __iter__(self) -> Iterator[str]:
        for n in range(self._count):
            self.read += 1
            yield f"https://host/{n}.jpg"


async def test_a_slow_consumer_slows_the_submissions_down(shop: Shop, session: DeclutterSession) -> None:
    source = Counted(1_000_000)
    async with session.batch(source, in_flight=5) as batch:
        taken = 0
        async for _ in batch:
            taken += 1
            if taken == 10:
                break
            await asyncio.sleep(0.02)
    assert source.read <= 10 + 5 + 1
    assert shop.charged.total() <= 10 + 5 + 1
    assert shop.most_running <= 5


async def test_an_async_source_is_read_as_places_come_free(shop: Shop, session: DeclutterSession) -> None:
    read = 0

    async def source() -> AsyncIterator[str]:
        nonlocal read
        for n in range(30):
            read += 1
            yield f"https://host/{n}.jpg"

    async with session.batch(source(), in_flight=3) as batch:
        before = batch.progress
        await asyncio.sleep(0.1)
        assert read <= 3
        outcomes = [outcome async for outcome in batch]
        after = batch.progress
    assert (before.total, after.total) == (None, 30)
    assert kinds(outcomes) == {OutcomeKind.DELIVERED: 30}


async def test_a_source_that_fails_is_told_after_all_outcomes(shop: Shop, session: DeclutterSession) -> None:
    def source() -> Iterator[str]:
        yield "https://host/1.jpg"
        yield "https://host/2.jpg"
        raise LookupError("row 3")

    taken: list[Outcome] = []

    async def take() -> None:
        async with session.batch(source()) as batch:
            async for outcome in batch:
                taken.append(outcome)  # noqa: PERF401 - it is left by an error

    with pytest.raises(LookupError, match="row 3"):
        await take()
    assert kinds(taken) == {OutcomeKind.DELIVERED: 2}


# --- paid once ---


async def test_the_same_photo_twice_is_paid_once(shop: Shop, session: DeclutterSession) -> None:
    signed = "https://host/a.jpg?X-Amz-Signature={}&X-Amz-Date={}"
    photos: list[Photo | str] = [
        "https://host/b.jpg",
        *(signed.format(n, n) for n in range(5)),
        "https://host/b.jpg",
        Photo("https://host/c.jpg", key="k", labels={"n": 1}),
        Photo("https://host/c2.jpg", key="k", labels={"n": 2}),
    ]
    outcomes = await session.declutter_all(photos)
    assert kinds(outcomes) == {OutcomeKind.DELIVERED: 9}
    assert shop.charged.total() == 3
    assert outcomes[7].generation_id == outcomes[8].generation_id
    assert [outcome.photo.labels for outcome in outcomes[7:]] == [{"n": 1}, {"n": 2}]


async def test_the_same_photo_long_after_its_first(shop: Shop, session: DeclutterSession) -> None:
    urls = ["https://host/first.jpg", *(f"https://host/{n}.jpg" for n in range(20)), "https://host/first.jpg"]
    outcomes = await session.declutter_all(urls, in_flight=2)
    assert shop.charged["https://host/first.jpg"] == 1
    assert attrs.evolve(outcomes[0], seconds=0.0) == attrs.evolve(outcomes[-1], seconds=0.0)


async def test_one_key_with_two_sets_of_options_is_an_error(shop: Shop, session: DeclutterSession) -> None:
    mask = "https://host/mask.png"
    outcomes = await session.declutter_all(
        [Photo("https://host/a.jpg", key="k"), Photo("https://host/a.jpg", key="k", mask_url=mask)]
    )
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DELIVERED, OutcomeKind.FAILED]
    assert "'k'" in str(outcomes[1].error)
    assert shop.charged.total() == 1


# --- what may be spent ---


@pytest.mark.parametrize("budget", [0, 1, 7])
async def test_a_budget_bounds_what_is_spent(shop: Shop, session: DeclutterSession, budget: int) -> None:
    names = ["failed", "uncertain", "refused", *(f"good{n}" for n in range(12))]
    outcomes = await session.declutter_all(
        [f"https://host/{name}.jpg" for name in names], budget=budget, attempts=1
    )
    spent = kinds(outcomes)[OutcomeKind.DELIVERED] + kinds(outcomes)[OutcomeKind.UNCERTAIN]
    assert spent == budget
    assert len(outcomes) == len(names)
    reasons = {o.error.reason for o in outcomes if isinstance(o.error, NotSubmitted)}
    assert reasons == {"budget"}


async def test_a_refund_gives_the_budget_back(shop: Shop, session: DeclutterSession) -> None:
    names = [*(f"failed{n}" for n in range(6)), *(f"good{n}" for n in range(3))]
    outcomes = await session.declutter_all(
        [f"https://host/{name}.jpg" for name in names], budget=3, attempts=2, in_flight=3
    )
    assert kinds(outcomes) == {OutcomeKind.FAILED: 6, OutcomeKind.DELIVERED: 3}


async def test_a_reserve_is_left_on_the_account(shop: Shop, session: DeclutterSession) -> None:
    shop.balance = 12
    outcomes = await session.declutter_all([f"https://host/{n}.jpg" for n in range(20)], reserve=5)
    assert kinds(outcomes) == {OutcomeKind.DELIVERED: 7, OutcomeKind.SKIPPED: 13}
    assert shop.balance == 5


async def test_a_reserve_sends_the_first_alone(
    service: Service, shop: Shop, session: DeclutterSession
) -> None:
    at_once, most = 0, 0

    async def generate(request: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        if shop.charged.total() == 0:
            most = max(most, at_once)
            await asyncio.sleep(0.1)
        at_once -= 1
        return await shop.generate(request)

    service.generate = generate
    await session.declutter_all([f"https://host/{n}.jpg" for n in range(5)], reserve=1)
    assert most == 1


async def test_submissions_on_the_way_are_bounded(service: Service, shop: Shop) -> None:
    at_once, most = 0, 0

    async def generate(request: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return await shop.generate(request)

    service.generate = generate
    async with service.session(polling=FixedPolling(0.01), submitting=3, in_flight=30) as session:
        await session.declutter_all([f"https://host/{n}.jpg" for n in range(40)])
    assert most == 3


async def test_forgotten_generations_do_not_block_the_session(shop: Shop, service: Service) -> None:
    """`generate` takes a place that nobody watches; whoever waits for it finds it free once it has finished."""
    async with service.session(polling=FixedPolling(0.01), in_flight=4) as session:
        with anyio.fail_after(30):
            for n in range(20):
                await session.generate(f"https://host/{n}.jpg")
    assert shop.charged.total() == 20


# --- stop and early end ---


async def test_stop_submits_no_more_and_lets_the_running_ones_finish(service: Service, shop: Shop) -> None:
    async with service.session(polling=FixedPolling(0.05), in_flight=4, submitting=2) as session:
        outcomes: list[Outcome] = []
        charged = 0
        async with session.batch([f"https://host/{n}.jpg" for n in range(50)], in_flight=20) as batch:
            async for outcome in batch:
                outcomes.append(outcome)
                if len(outcomes) == 3:
                    await batch.stop()
                    charged = shop.charged.total()
        assert shop.charged.total() <= charged + 2  # those that had their connection
        assert len(outcomes) == 50
        assert kinds(outcomes)[OutcomeKind.DELIVERED] == shop.charged.total()
        skipped = [o for o in outcomes if o.kind is OutcomeKind.SKIPPED]
        assert {o.error.reason for o in skipped if isinstance(o.error, NotSubmitted)} == {"stopped"}


async def test_stop_ends_a_source_that_waits_for_ever(shop: Shop, session: DeclutterSession) -> None:
    async def source() -> AsyncIterator[str]:
        yield "https://host/1.jpg"
        await anyio.sleep_forever()

    outcomes = []
    with anyio.fail_after(20):
        async with session.batch(source()) as batch:
            async for outcome in batch:
                outcomes.append(outcome)
                await batch.stop()
    assert kinds(outcomes) == {OutcomeKind.DELIVERED: 1}


async def test_stop_while_the_service_is_away(service: Service, shop: Shop) -> None:
    """Nothing listens at the address: everything waits for the gate, and a stop lets go of it."""
    photos = [f"https://host/{n}.jpg" for n in range(5)]
    async with (
        service.session(base_url="http://127.0.0.1:9", outage_timeout=600.0) as session,
        session.batch(photos) as batch,
    ):
        await asyncio.sleep(0.2)
        await batch.stop()
        with anyio.fail_after(20):
            outcomes = [outcome async for outcome in batch]
    assert kinds(outcomes) == {OutcomeKind.SKIPPED: 5}


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((401, "bad key"), KeyRefused),
        ((402, "pay first"), NoPhotosLeft),
        ((403, "no photos left"), NoPhotosLeft),
    ],
)
async def test_what_dooms_all_ends_it_early(
    service: Service, shop: Shop, session: DeclutterSession, refusal: tuple[int, str], error: type[Exception]
) -> None:
    shop.refusal = refusal
    outcomes = await session.declutter_all(f"https://host/{n}.jpg" for n in range(200))
    assert kinds(outcomes) == {OutcomeKind.SKIPPED: 200}
    assert len(service.requests) <= 16
    causes = {type(o.error.__cause__) for o in outcomes if isinstance(o.error, NotSubmitted)}
    assert causes == {error}


async def test_twenty_identical_refusals_end_it_early(
    service: Service, shop: Shop, session: DeclutterSession
) -> None:
    shop.refusal = (422, "parameter 'auto' is not known")
    outcomes = await session.declutter_all(f"https://host/{n}.jpg" for n in range(300))
    assert len(outcomes) == 300
    assert 20 <= kinds(outcomes)[OutcomeKind.FAILED] == len(service.requests) < 60
    assert kinds(outcomes)[OutcomeKind.SKIPPED] == 300 - len(service.requests)


async def test_different_refusals_do_not(shop: Shop, session: DeclutterSession) -> None:
    names = [*(f"refused{n}" for n in range(60)), "good"]
    outcomes = await session.declutter_all(f"https://host/{name}.jpg" for name in names)
    assert kinds(outcomes) == {OutcomeKind.FAILED: 60, OutcomeKind.DELIVERED: 1}


async def test_an_account_that_runs_empty(session_of: SessionOf) -> None:
    async with Emulator(Behaviour(duration=QUICK, photos=10)) as emulator, session_of(emulator) as session:
        outcomes = await session.declutter_all(photos_of(emulator, 30))
        assert kinds(outcomes) == {OutcomeKind.DELIVERED: 10, OutcomeKind.SKIPPED: 20}
        assert emulator.account.photos_left == 0


# --- saving ---


async def test_results_are_saved_beside_each_other(session_of: SessionOf, tmp_path: Path) -> None:
    behaviour = Behaviour(duration=QUICK, result_lifetime=30.0, faults=[Fault("half", 0.3, on={"result"})])
    async with Emulator(behaviour) as emulator, session_of(emulator) as session:
        photos = photos_of(emulator, 12)
        outcomes = await session.declutter_all(photos, save_to=tmp_path / "out")
    assert kinds(outcomes) == {OutcomeKind.DELIVERED: 12}
    files = [file for outcome in outcomes for file in outcome.files]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert len(set(files)) == 12
    assert all(file.read_bytes().startswith(b"\xff\xd8\xff") for file in files)


async def test_a_folder_that_cannot_be_made_is_said_before_anything_is_spent(
    shop: Shop, session: DeclutterSession, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match="save_to"):
        await session.declutter_all(["https://host/1.jpg"], save_to=tmp_path / "file" / "out")
    assert shop.charged.total() == 0


async def test_progress_tells_rate_and_time_left(shop: Shop, session: DeclutterSession) -> None:
    async with session.batch([f"https://host/{n}.jpg" for n in range(30)], in_flight=3) as batch:
        await anext(aiter(batch.numbered()))
        progress = batch.progress
    assert progress.total == 30
    assert progress.kinds[OutcomeKind.DELIVERED] >= 1
    assert progress.rate > 0
    assert progress.eta is not None
    assert progress.eta > 0


async def test_a_million_outcomes_are_not_kept(shop: Shop, session: DeclutterSession) -> None:
    source = (f"https://host/{n}.jpg" for n in itertools.count())
    async with session.batch(source, budget=0) as batch:
        async for number, outcome in batch.numbered():
            assert outcome.kind is OutcomeKind.SKIPPED
            if number >= 2_000:
                break
        assert batch._records._settled == {}  # type: ignore[attr-defined]
        assert batch._records._pending.keys() <= set() or len(batch._records._pending) <= 40  # type: ignore[attr-defined]
