"""The gate, on a loop whose clock jumps: no test waits, and one that would wait for ever is seen at once."""

from __future__ import annotations

import asyncio
import itertools
import math
import selectors
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import Request, raw_server, session_on
from raw_server import http as answer

from declutter_async import FixedPolling
from declutter_async._throttle import Gate, Pass
from declutter_async.errors import (
    ConnectionLost,
    ConnectionNotMade,
    DeclutterError,
    NotFound,
    RateLimited,
    RequestError,
    RequestTimeout,
    ServiceUnavailable,
    SessionMisuse,
    UnreadableAnswer,
)
from declutter_async.events import Throttled


class DeadlockError(AssertionError):
    """Everyone waits, and no timer runs."""


class JumpingSelector(selectors.SelectSelector):
    """In place of waiting, it puts the clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise DeadlockError
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def run(story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(story)


@attrs.define
class Bench:
    """A gate, and what it told."""

    told: list[Throttled] = attrs.field(factory=list)
    rate: float | None = None
    outage_timeout: float = 100.0
    gate: Gate = attrs.field(init=False)

    @gate.default
    def _gate(self) -> Gate:
        return Gate(requests_per_second=self.rate, outage_timeout=self.outage_timeout, emit=self.told.append)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def outage(self, retry_after: float | None = None) -> None:
        """Close it by one request that fails."""
        leave = await self.gate.enter(paid=False)
        self.gate.report(leave, unavailable(retry_after))


def limited(retry_after: float | None = None) -> RateLimited:
    return RateLimited("get: too many requests", status=429, retry_after=retry_after)


def unavailable(retry_after: float | None = None) -> ServiceUnavailable:
    return ServiceUnavailable("get: the service cannot answer now", status=503, retry_after=retry_after)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def passes(count: int, gate: Gate) -> list[Pass]:
    return [await gate.enter(paid=False) for _ in range(count)]


# --- the rate ---


def test_without_a_ceiling_all_go_at_once() -> None:
    async def story() -> None:
        bench = Bench()
        await passes(1000, bench.gate)
        assert bench.now() == 0
        assert bench.gate.rate is None

    run(story())


def test_the_ceiling_is_kept_on_the_average() -> None:
    async def story() -> None:
        bench = Bench(rate=20.0)
        for leave in await passes(200, bench.gate):
            bench.gate.report(leave, None)
        assert 199 / 20 - 0.1 <= bench.now() <= 200 / 20 + 0.1
        await asyncio.sleep(100)  # idle time is not saved up
        begun = bench.now()
        await passes(41, bench.gate)
        assert bench.now() - begun >= 40 / 20 - 0.1
        assert bench.gate.rate == 20.0

    run(story())


def test_many_who_are_refused_together_are_one_incident() -> None:
    async def story() -> None:
        bench = Bench()
        leaves = await passes(32, bench.gate)
        await asyncio.sleep(0.1)
        for leave in leaves:
            bench.gate.report(leave, limited(5.0))
            await asyncio.sleep(0.001)
        assert len(bench.told) == 1
        assert bench.told[0].wait == pytest.approx(5.0)
        assert bench.gate.rate is not None
        assert 10 <= bench.gate.rate <= 16.5  # half of what went through
        begun = bench.now()
        await passes(1, bench.gate)
        assert bench.now() - begun == pytest.approx(5.0, abs=0.1)

    run(story())


def test_a_longer_wait_of_the_same_incident_counts() -> None:
    async def story() -> None:
        bench = Bench()
        first, second = await passes(2, bench.gate)
        await asyncio.sleep(0.1)
        bench.gate.report(first, limited(1.0))
        rate = bench.gate.rate
        bench.gate.report(second, limited(7.0))
        assert bench.gate.rate == rate
        await bench.gate.enter(paid=False)
        assert bench.now() == pytest.approx(7.1)

    run(story())


def test_a_refusal_without_a_wait_pauses_a_little() -> None:
    async def story() -> None:
        bench = Bench()
        leave = await bench.gate.enter(paid=True)
        bench.gate.report(leave, limited())
        await bench.gate.enter(paid=True)
        assert 0.4 <= bench.now() <= 20.0

    run(story())


def test_the_rate_rises_step_by_step_up_to_the_ceiling() -> None:
    async def story() -> None:
        bench = Bench(rate=8.0)
        leaves = await passes(16, bench.gate)
        bench.gate.report(leaves[-1], limited(1.0))
        low = bench.gate.rate
        assert low is not None
        assert low <= 4.0
        rates = [low]
        for _ in range(200):
            leave = await bench.gate.enter(paid=False)
            bench.gate.report(leave, None)
            rates.append(bench.gate.rate or math.inf)
        assert rates == sorted(rates)
        assert rates[-1] == 8.0
        steps = [after - before for before, after in itertools.pairwise(rates)]
        assert max(steps) <= 1.0 / low + 1e-9  # about one more request a second for every second

    run(story())


def test_refusals_without_end_never_stop_it_for_good() -> None:
    async def story() -> None:
        bench = Bench(outage_timeout=math.inf)
        for _ in range(50):
            leave = await bench.gate.enter(paid=False)
            bench.gate.report(leave, limited(0.0))
        assert bench.gate.rate == pytest.approx(0.1)

    run(story())


# --- order ---


def test_first_come_first_served() -> None:
    async def story() -> None:
        bench = Bench(rate=10.0)
        order: list[int] = []

        async def come(number: int) -> None:
            leave = await bench.gate.enter(paid=number % 2 == 0)
            order.append(number)
            bench.gate.report(leave, None)

        await asyncio.gather(*(come(number) for number in range(50)))
        assert order == list(range(50))

    run(story())


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    async def story() -> None:
        bench = Bench(rate=10.0)
        await bench.gate.enter(paid=False)
        waiting = asyncio.create_task(bench.gate.enter(paid=False))
        await settle()
        await asyncio.sleep(0)
        newcomer = bench.gate.ask(paid=False)
        assert not isinstance(newcomer, Pass)
        await waiting
        assert not newcomer.done()
        await newcomer

    run(story())


# --- outages ---


def test_an_outage_closes_it_and_one_at_a_time_asks_whether_it_is_over() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        running = 0
        most = 0
        failures = 5

        async def come() -> None:
            nonlocal running, most, failures
            leave = await bench.gate.enter(paid=False)
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            failures -= 1
            bench.gate.report(leave, unavailable() if failures >= 0 else None)

        callers = [asyncio.create_task(come()) for _ in range(6)]
        await asyncio.gather(*callers)
        assert most == 1
        # Six failures in a row: each wait is twice the last, less at most half.
        assert bench.now() >= (0.25 + 0.5 + 1 + 2 + 4 + 8) / 2
        assert len(bench.told) == 6
        more = [bench.gate.ask(paid=False) for _ in range(50)]
        assert all(isinstance(leave, Pass) and not leave.probe for leave in more)

    run(story())


def test_many_who_fail_together_are_one_outage() -> None:
    async def story() -> None:
        bench = Bench()
        leaves = await passes(32, bench.gate)
        await asyncio.sleep(0.1)
        for leave in leaves:
            bench.gate.report(leave, ConnectionNotMade("get: refused"))
        assert len(bench.told) == 1
        assert bench.told[0].wait <= 0.25

    run(story())


def test_a_success_that_left_before_the_outage_does_not_end_it() -> None:
    async def story() -> None:
        bench = Bench()
        early = await bench.gate.enter(paid=False)
        await asyncio.sleep(0.01)
        await bench.outage()
        bench.gate.report(early, None)
        assert not isinstance(bench.gate.ask(paid=False), Pass)

    run(story())


def test_reading_goes_before_paying_while_it_lasts() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        order: list[str] = []

        async def come(name: str, error: RequestError | None) -> None:
            leave = await bench.gate.enter(paid=name.startswith("paid"))
            order.append(name)
            bench.gate.report(leave, error)

        await asyncio.gather(
            come("paid 1", None), come("paid 2", None), come("read 1", unavailable()), come("read 2", None)
        )
        assert order == ["read 1", "read 2", "paid 1", "paid 2"]

    run(story())


def test_a_paid_request_asks_where_nobody_reads() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        leave = await bench.gate.enter(paid=True)
        assert leave.probe

    run(story())


def test_retry_after_of_an_outage_is_kept() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage(retry_after=42.0)
        await bench.gate.enter(paid=False)
        assert bench.now() == pytest.approx(42.0)

    run(story())


@pytest.mark.parametrize(
    "error",
    [
        None,
        NotFound("get: not found", status=404),
        UnreadableAnswer("get: what?", status=200),
        ServiceUnavailable("get: conflict", status=409),
    ],
)
def test_any_answer_but_an_outage_opens_it(error: RequestError | None) -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        bench.gate.report(await bench.gate.enter(paid=False), error)
        assert all(isinstance(bench.gate.ask(paid=True), Pass) for _ in range(10))

    run(story())


@pytest.mark.parametrize(
    "error", [RequestTimeout("get: slow"), ConnectionLost("get: lost"), UnreadableAnswer("?")]
)
def test_a_probe_without_an_answer_waits_longer_and_does_not_open_it(error: RequestError) -> None:
    """Else each paid request in line would be made, one after the other, and end uncertain."""

    async def story() -> None:
        bench = Bench(outage_timeout=20.0)
        await bench.outage()
        begun = bench.now()
        for _ in range(4):
            leave = await bench.gate.enter(paid=True)
            assert leave.probe
            bench.gate.report(leave, error)
        await bench.gate.enter(paid=True)
        assert bench.now() - begun >= (0.5 + 1 + 2 + 4) / 2
        assert {type(told.error) for told in bench.told} == {ServiceUnavailable}

    run(story())


def test_a_probe_that_is_given_back_lets_the_next_go() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        first = await bench.gate.enter(paid=False)
        second = asyncio.create_task(bench.gate.enter(paid=False))
        await asyncio.sleep(1)
        assert not second.done()
        bench.gate.give_back(first)
        assert (await second).probe

    run(story())


def test_a_probe_that_is_refused_for_the_rate_lets_the_next_go_later() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        bench.gate.report(await bench.gate.enter(paid=False), limited(3.0))
        begun = bench.now()
        bench.gate.report(await bench.gate.enter(paid=False), None)
        assert bench.now() - begun >= 3.0
        assert isinstance(bench.gate.ask(paid=False), Pass | asyncio.Future)

    run(story())


# --- for how long it is waited out ---


def test_whoever_is_impatient_gets_the_trouble_and_whoever_is_patient_waits_on() -> None:
    async def story() -> None:
        bench = Bench(outage_timeout=5.0)
        await bench.outage(retry_after=60.0)
        begun = bench.now()
        patient = bench.gate.ask(paid=False, patient=True)
        assert not isinstance(patient, Pass)
        waiting = [asyncio.create_task(bench.gate.enter(paid=bool(n % 2))) for n in range(4)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert bench.now() - begun == pytest.approx(5.0)
        assert [type(result) for result in results] == [ServiceUnavailable] * 4
        assert len({id(result) for result in results}) == 4  # a copy each: they are changed further on
        assert not patient.done()
        with pytest.raises(ServiceUnavailable):
            await bench.gate.enter(paid=True)  # a newcomer hears at once
        assert bench.now() - begun == pytest.approx(5.0)
        leave = await patient
        assert isinstance(leave, Pass)
        assert bench.now() - begun == pytest.approx(60.0)
        bench.gate.report(leave, None)
        await bench.gate.enter(paid=True)

    run(story())


def test_after_long_trouble_somebody_still_asks_whether_it_is_over() -> None:
    async def story() -> None:
        bench = Bench(outage_timeout=1.0)
        await bench.outage(retry_after=2.0)
        with pytest.raises(ServiceUnavailable):
            await bench.gate.enter(paid=False)
        await asyncio.sleep(10)
        bench.gate.report(await bench.gate.enter(paid=False), None)
        assert all(isinstance(bench.gate.ask(paid=False), Pass) for _ in range(3))

    run(story())


def test_nothing_is_waited_out_where_so_asked() -> None:
    async def story() -> None:
        bench = Bench(outage_timeout=0.0)
        leave = await bench.gate.enter(paid=True)
        bench.gate.report(leave, limited(9.0))
        with pytest.raises(RateLimited):
            await bench.gate.enter(paid=True)
        assert bench.now() == 0.0

    run(story())


# --- cancelled, withdrawn, shut ---


def test_whoever_is_cancelled_while_waiting_leaves_nothing() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        waiting = [asyncio.create_task(bench.gate.enter(paid=False)) for _ in range(20)]
        await settle()
        for task in waiting[:19]:
            task.cancel()
        assert (await waiting[19]).probe

    run(story())


def test_whoever_is_cancelled_with_a_pass_already_granted_gives_it_back() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        waiting = [asyncio.create_task(bench.gate.enter(paid=False)) for _ in range(3)]
        await settle()
        bench.gate._closed_until = bench.now()  # it opens now
        bench.gate._serve()  # and grants the first its pass, which it has not taken yet
        waiting[0].cancel()
        assert (await waiting[1]).probe
        assert waiting[0].cancelled()

    run(story())


def test_a_promise_is_withdrawn_before_and_after_it_is_kept() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage()
        first, second = (bench.gate.ask(paid=False, patient=True) for _ in range(2))
        assert not isinstance(first, Pass)
        assert not isinstance(second, Pass)
        await first
        assert not second.done()
        bench.gate.withdraw(first)
        assert isinstance(await second, Pass)
        bench.gate.withdraw(second)
        assert (await bench.gate.enter(paid=False)).probe

    run(story())


def test_shut_is_for_good_and_leaves_no_timer() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.outage(retry_after=50.0)
        patient = bench.gate.ask(paid=False, patient=True)
        assert not isinstance(patient, Pass)
        waiting = asyncio.create_task(bench.gate.enter(paid=True))
        await settle()
        bench.gate.shut(SessionMisuse("the session is closed"))
        assert isinstance(await patient, SessionMisuse)
        for late in (waiting, asyncio.create_task(bench.gate.enter(paid=False))):
            with pytest.raises(SessionMisuse):
                await late
        assert bench.now() == 0.0
        assert bench.gate._timer is None

    run(story())


# --- as a session uses it ---


@pytest.mark.anyio
@pytest.mark.usefixtures("no_task_left")
async def test_thirty_two_tasks_that_meet_a_limit_together_pause_once() -> None:
    told: list[object] = []
    everyone = asyncio.Event()

    async def limit(request: Request) -> None:
        if len(server.requests) == 32:
            everyone.set()
        refused = not everyone.is_set() or len(server.requests) == 32
        await everyone.wait()
        refusal = answer(b"{}", 429, Retry_After="0.3")
        request.writer.write(refusal if refused else answer(b'{"status": "PROCESSING"}'))

    async with (
        raw_server(limit, keep=True) as server,
        session_on(server.url, observers=[told.append], outage_timeout=60.0) as session,
    ):
        states = await asyncio.gather(*(session.get(str(uuid.UUID(int=n))) for n in range(32)))
    assert len(states) == 32
    throttled = [event for event in told if isinstance(event, Throttled)]
    assert len(throttled) == 1
    assert isinstance(throttled[0].error, RateLimited)
    assert len(server.requests) == 64


@pytest.mark.anyio
@pytest.mark.usefixtures("no_task_left")
async def test_closing_a_session_ends_whoever_waits_at_its_gate() -> None:
    async with raw_server(answer(b"", 503, Retry_After="1")) as server:
        session = session_on(server.url, outage_timeout=3.0)
        waiting = asyncio.create_task(session.get(str(uuid.UUID(int=1))))
        while not server.requests:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        await session.aclose()
        with pytest.raises(SessionMisuse):
            await waiting
    assert len(server.requests) == 1


@pytest.mark.anyio
@pytest.mark.usefixtures("no_task_left")
async def test_a_watch_that_was_dropped_in_an_outage_does_not_keep_the_gate_closed() -> None:
    away = False

    async def sometimes(request: Request) -> None:
        refusal = answer(b"", 503, Retry_After="1")
        request.writer.write(refusal if away else answer(b'{"status": "PROCESSING"}'))

    first, second, third, fourth = (str(uuid.UUID(int=n)) for n in range(4))
    async with (
        raw_server(sometimes, keep=True) as server,
        session_on(server.url, outage_timeout=4.0, polling=FixedPolling(600.0)) as session,
    ):
        long_watch = asyncio.create_task(session.wait(first))
        while not server.requests:
            await asyncio.sleep(0.005)
        away = True
        reader = asyncio.create_task(session.get(second))
        while len(server.requests) < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        reader.cancel()
        short_watch = asyncio.create_task(session.wait(third))  # is due, and waits for the gate
        await asyncio.sleep(0.05)
        short_watch.cancel()
        away = False
        await session.get(fourth)
        long_watch.cancel()
        await asyncio.wait([reader, short_watch, long_watch])


# --- any order of events ---

ERRORS: dict[str, Callable[[], RequestError | None]] = {
    "fine": lambda: None,
    "429": limited,
    "429 soon": lambda: limited(0.0),
    "429 later": lambda: limited(3.0),
    "503": unavailable,
    "503 later": lambda: unavailable(2.0),
    "not connected": lambda: ConnectionNotMade("get: refused"),
    "lost": lambda: ConnectionLost("get: lost"),
    "slow": lambda: RequestTimeout("get: slow"),
    "unknown id": lambda: NotFound("get: not found", status=404),
    "not http": lambda: UnreadableAnswer("get: what?"),
}
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.booleans(), st.booleans()),
    st.tuples(st.just("report"), st.integers(0, 9), st.sampled_from(sorted(ERRORS))),
    st.tuples(st.just("give back"), st.integers(0, 9), st.none()),
    st.tuples(st.just("withdraw"), st.integers(0, 9), st.none()),
    st.tuples(st.just("sleep"), st.sampled_from([0.0, 0.01, 0.3, 5.0]), st.none()),
)


@attrs.define
class Drill:
    """Steps on a gate, with all that is held and all that is waited for."""

    bench: Bench
    held: list[Pass] = attrs.field(factory=list)
    promises: list[asyncio.Future[Pass | DeclutterError]] = attrs.field(factory=list)

    def collect(self) -> None:
        for promise in [promise for promise in self.promises if promise.done()]:
            self.promises.remove(promise)
            answer = promise.result()
            if isinstance(answer, Pass):
                self.held.append(answer)
        assert sum(leave.probe for leave in self.held) <= 1

    async def step(self, what: str, which: Any, how: Any) -> None:
        gate, held, promises = self.bench.gate, self.held, self.promises
        if what == "ask":
            got = gate.ask(paid=which, patient=how)
            held.append(got) if isinstance(got, Pass) else promises.append(got)
        elif what == "sleep":
            await asyncio.sleep(which)
        elif what == "withdraw" and promises:
            gate.withdraw(promises.pop(which % len(promises)))
        elif what == "report" and held:
            gate.report(held.pop(which % len(held)), ERRORS[how]())
        elif what == "give back" and held:
            gate.give_back(held.pop(which % len(held)))

    async def end(self) -> None:
        """The service is fine from here on."""
        while self.promises or self.held:
            self.collect()
            for leave in self.held:
                self.bench.gate.report(leave, None)
            self.held.clear()
            if self.promises:
                # Raises DeadlockError where nothing would ever come.
                await asyncio.wait(self.promises, return_when=asyncio.FIRST_COMPLETED)


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=60),
    rate=st.sampled_from([None, 5.0]),
    patience=st.sampled_from([0.0, 1.0, 1e6]),
)
def test_whatever_happens_nobody_waits_for_ever(
    steps: list[tuple[str, Any, Any]], rate: float | None, patience: float
) -> None:
    """And there is never more than one probe."""

    async def story() -> None:
        bench = Bench(rate=rate, outage_timeout=patience)
        drill = Drill(bench)
        for step in steps:
            await asyncio.sleep(0)
            drill.collect()
            await drill.step(*step)
        await drill.end()
        assert all(waiter.future.done() for waiter in bench.gate._waiters)
        if patience == 1e6:
            bench.gate.report(await bench.gate.enter(paid=True), None)

    run(story())
