"""Paid requests and looks broken in every way the emulator knows: its books and our outcomes agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from declutter_async import DeclutterSession, Outcome, OutcomeKind
from declutter_async.emulator import FAULTS, Behaviour, Emulator, Fault, LogNormal
from declutter_async.errors import SubmissionUncertain

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]
SessionOf = Callable[..., DeclutterSession]
PAID, LOOK = 0.20, 0.30


def faults_on(call: str, share: float) -> list[Fault]:
    """Every fault the emulator knows for this call, before and after the charge, together striking `share`."""
    ways = [(name, when) for name, kind in FAULTS.items() if call in kind.calls for when in kind.whens]
    return [Fault(name, share / len(ways), on={call}, when=when) for name, when in ways]


@pytest.mark.parametrize("seed", range(2))
async def test_the_books_agree_whatever_breaks(session_of: SessionOf, seed: int) -> None:
    behaviour = Behaviour(
        seed=seed,
        duration=LogNormal(1.0, 0.3),
        failure_rate=0.1,
        photos=5_000,
        faults=[*faults_on("generate", PAID), *faults_on("get", LOOK)],
    )
    async with Emulator(behaviour) as emulator:
        photos = [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(150)]
        # Long enough that a busy machine makes no uncertainty of its own; the emulator's hangs never end.
        async with session_of(
            emulator, in_flight=100, request_timeout=10.0, generation_timeout=20.0
        ) as session:
            outcomes = await session.declutter_all(photos, in_flight=100)
        _agree(emulator, outcomes)
        _uncertain_no_more_than_struck(emulator, outcomes)
        assert len(outcomes) == 150
        assert Counter(o.kind for o in outcomes)[OutcomeKind.DELIVERED] > 75


def _agree(emulator: Emulator, outcomes: list[Outcome]) -> None:
    account = emulator.account
    for outcome in outcomes:
        book = account.photos.get(outcome.photo.url)
        net = book.net if book else 0
        if outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.UNFINISHED}:
            assert net == 1, outcome
            assert book is not None
            assert outcome.generation_id in book.generation_ids
        elif outcome.kind in {OutcomeKind.FAILED, OutcomeKind.SKIPPED}:
            assert net == 0, outcome
        else:
            assert isinstance(outcome.error, SubmissionUncertain)
            assert net <= 1, outcome


def _uncertain_no_more_than_struck(emulator: Emulator, outcomes: list[Outcome]) -> None:
    account = emulator.account
    uncertain = [outcome for outcome in outcomes if outcome.kind is OutcomeKind.UNCERTAIN]
    struck = [s for s in account.strikes if s.call == "generate" and s.uncertain]
    assert len(uncertain) <= len(struck)
    assert {o.photo.url for o in uncertain} <= {strike.image_url for strike in struck}


@pytest.mark.parametrize("fault", ["refused", "rate_limited", "stale"])
async def test_these_make_nothing_uncertain(session_of: SessionOf, fault: str) -> None:
    behaviour = Behaviour(duration=LogNormal(0.5, 0.3), faults=[Fault(fault, 0.1)])
    async with Emulator(behaviour) as emulator, session_of(emulator) as session:
        photos = [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(24)]
        outcomes = await session.declutter_all(photos)
        assert Counter(outcome.kind for outcome in outcomes) == {OutcomeKind.DELIVERED: 24}
        assert emulator.account.charged == 24
        assert [strike for strike in emulator.account.strikes if strike.fault == fault]


async def test_a_service_that_closes_every_idle_connection(session_of: SessionOf) -> None:
    async with Emulator(Behaviour(duration=LogNormal(0.5, 0.3), keepalive=0.0)) as emulator:
        async with session_of(emulator) as session:
            photos = [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(60)]
            outcomes = await session.declutter_all(photos)
        assert Counter(outcome.kind for outcome in outcomes) == {OutcomeKind.DELIVERED: 60}
        assert emulator.account.charged == 60


async def test_a_service_that_is_away_for_a_while(session_of: SessionOf) -> None:
    async with Emulator(Behaviour(duration=LogNormal(0.5, 0.3))) as emulator:
        async with session_of(emulator, in_flight=8) as session:
            photos = [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(40)]
            async with session.batch(photos) as batch:
                outcomes = []
                async for outcome in batch:
                    outcomes.append(outcome)
                    if len(outcomes) == 10:
                        await emulator.pause()
                        await asyncio.sleep(1.0)
                        await emulator.resume()
        _agree(emulator, outcomes)
        uncertain = [o for o in outcomes if o.kind is OutcomeKind.UNCERTAIN]
        assert len(uncertain) <= 8  # those whose connection was aborted
        assert Counter(o.kind for o in outcomes)[OutcomeKind.DELIVERED] == 40 - len(uncertain)


async def test_a_slow_account_is_not_run_into(session_of: SessionOf) -> None:
    """Below its ceiling the session adapts to 429 by itself: everything arrives, and few requests are refused."""
    behaviour = Behaviour(duration=LogNormal(0.5, 0.3), requests_per_second=40.0)
    async with Emulator(behaviour) as emulator, session_of(emulator) as session:
        photos = [f"{emulator.url}/rooms/1/cluttered.jpg?n={n}" for n in range(60)]
        outcomes = await session.declutter_all(photos)
        assert Counter(outcome.kind for outcome in outcomes) == {OutcomeKind.DELIVERED: 60}
        assert emulator.account.charged == 60
