"""The public API as a user would write it; checked by mypy and pyright, never run."""

from __future__ import annotations

import functools
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

import aiohttp

from declutter_async import (
    AdaptivePolling,
    Batch,
    DeclutterSession,
    FixedPolling,
    Generation,
    GenerationState,
    Outcome,
    OutcomeKind,
    Photo,
    PollingPolicy,
    Progress,
    Status,
    StatusUpdate,
)
from declutter_async.emulator import Behaviour, Emulator, Fault, Fixed, LogNormal
from declutter_async.errors import (
    DeclutterError,
    GenerationFailed,
    GenerationTimeout,
    Money,
    RateLimited,
    SubmissionUncertain,
)
from declutter_async.events import Event, Submitted, Throttled


class MyPolicy:
    def delay(self, age: float) -> float:
        return age / 2 + 1

    def record(self, after: float, at: float, *, finished: bool) -> None:
        pass


def observe(event: Event) -> None:
    if isinstance(event, Submitted):
        assert_type(event.generation_id, str)
    elif isinstance(event, Throttled):
        assert_type(event.wait, float)


def settings() -> DeclutterSession:
    policies: list[PollingPolicy] = [MyPolicy(), FixedPolling(2.0), AdaptivePolling(request_cost=1.0)]
    return DeclutterSession(
        api_key="key",
        user_id=uuid.uuid4(),
        in_flight=100,
        requests_per_second=5,
        polling=policies[0],
        observers=[observe, print],
        connector=functools.partial(aiohttp.TCPConnector, ssl=ssl.create_default_context()),
        trace_configs=[aiohttp.TraceConfig()],
    )


async def one_photo(session: DeclutterSession) -> None:
    generation = await session.generate(
        "https://host/a.jpg", mask_url="https://host/m.png", extra={"n": [1, None]}
    )
    assert_type(generation, Generation)
    assert_type(generation.remaining_photos, int)
    assert_type(generation.project_id, str | None)
    again = await session.generate_variation(
        uuid.UUID(generation.generation_id), original_url="https://host/a.jpg", mask_url="https://host/m.png"
    )
    assert_type(await session.get(again.generation_id), GenerationState)
    state = await session.wait(generation.generation_id, timeout=None)
    assert_type(state.urls, tuple[str, ...])
    assert_type(state.status, Status)
    assert_type(
        await session.declutter(Photo("https://host/a.jpg", labels={"room": 1}), timeout=60), GenerationState
    )
    assert_type(session.detached, tuple[str, ...])


async def errors(session: DeclutterSession) -> str | None:
    try:
        await session.declutter("https://host/a.jpg")
    except GenerationFailed as error:
        assert_type(error.state, GenerationState)
    except GenerationTimeout as error:
        assert_type(error.state, GenerationState | None)
    except SubmissionUncertain as error:
        assert_type(error.status, int | None)
    except RateLimited as error:
        assert_type(error.retry_after, float | None)
    except DeclutterError as error:
        assert_type(error.money, Money)
        return error.generation_id
    return None


async def many(session: DeclutterSession) -> None:
    def source() -> Iterator[Photo | str]:
        yield "https://host/a.jpg"
        yield Photo("https://host/b.jpg", auto=True, key="b")

    async def ids() -> AsyncIterator[str]:
        yield "3b241101-e2bb-4255-8caf-4136c566a962"

    async with session.batch(source(), budget=5, save_to=Path("out")) as batch:
        assert_type(batch, Batch)
        async for outcome in batch:
            assert_type(outcome, Outcome)
            assert_type(outcome.kind, OutcomeKind)
            assert_type(outcome.generation_id, str | None)
            assert_type(outcome.files, tuple[Path, ...])
        assert_type(batch.progress, Progress)
        await batch.stop()
    assert_type(await session.declutter_all(["https://host/a.jpg"], reserve=3), list[Outcome])
    async with session.watch(ids()) as updates:
        async for update in updates:
            assert_type(update, StatusUpdate)
    async for update in session.watch([uuid.uuid4(), "3b241101-e2bb-4255-8caf-4136c566a962"]):
        assert_type(update.error, DeclutterError | None)


async def emulator() -> None:
    behaviour = Behaviour(duration=LogNormal(90, 0.3), speed=60, faults=[Fault("half", 0.1, when="after")])
    async with Emulator(behaviour) as emulator:
        assert_type(emulator.url, str)
        assert_type(emulator.account.photos_left, int)
    Behaviour(duration=Fixed(5.0))
