"""A caller cancelled at any point of a submission loses no generation_id, and burns no CPU while it waits."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
from aiohttp import web
from answering_service import Service, run_service
from hypothesis import given, settings
from hypothesis import strategies as st

from declutter_async import DeclutterSession, OutcomeKind
from declutter_async.errors import DeclutterError, SessionMisuse

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]


class Till:
    """Accepts every photo, and remembers what it handed out; `gate` holds answers back."""

    def __init__(self) -> None:
        self.charged: list[str] = []
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()

    async def generate(self, _: web.Request) -> web.StreamResponse:
        generation_id = str(uuid.uuid4())
        self.charged.append(generation_id)
        self.arrived.set()
        await self.gate.wait()
        return web.json_response(
            {"generation_id": generation_id, "remaining_photos": 5, "project_id": str(uuid.uuid4())}
        )


async def native(work: Coroutine[Any, Any, object], cancel: asyncio.Event) -> None:
    task = asyncio.ensure_future(work)
    await cancel.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def native_again_and_again(work: Coroutine[Any, Any, object], cancel: asyncio.Event) -> None:
    task = asyncio.ensure_future(work)
    await cancel.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.005)
    assert task.cancelled()


async def scope(work: Coroutine[Any, Any, object], cancel: asyncio.Event) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: work)
        await cancel.wait()
        group.cancel_scope.cancel()


async def timeout(work: Coroutine[Any, Any, object], cancel: asyncio.Event) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as deadline:
            cancelling = asyncio.ensure_future(cancel.wait())
            cancelling.add_done_callback(lambda _: deadline.reschedule(0))
            await work


async def like_a_web_framework(work: Coroutine[Any, Any, object], cancel: asyncio.Event) -> None:
    """The endpoint runs in a task group of its own, inside a task that the server cancels natively."""

    async def endpoint() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work)
            await anyio.sleep_forever()

    await native(endpoint(), cancel)


CANCELLERS = [native, native_again_and_again, scope, timeout, like_a_web_framework]
Canceller = Callable[[Coroutine[Any, Any, object], asyncio.Event], Awaitable[None]]


@pytest.mark.parametrize("canceller", CANCELLERS)
async def test_an_id_on_the_way_is_kept(service: Service, canceller: Canceller) -> None:
    till = Till()
    service.generate = till.generate
    async with service.session() as session:
        asyncio.get_running_loop().call_later(0.3, till.gate.set)
        await canceller(session.generate("https://host/photo.jpg"), till.arrived)
        assert list(session.detached) == till.charged
        assert len(till.charged) == 1


@pytest.mark.parametrize("canceller", CANCELLERS)
async def test_waiting_for_the_answer_burns_no_cpu(service: Service, canceller: Canceller) -> None:
    till = Till()
    service.generate = till.generate
    loop = asyncio.get_running_loop()
    turns = 0

    def turn(_: object = None) -> None:
        nonlocal turns
        turns += 1

    async with service.session() as session:
        select = loop._selector.select  # type: ignore[attr-defined]

        def counting(timeout: float | None) -> Any:
            turn()
            return select(timeout)

        loop.call_later(0.5, till.gate.set)
        loop._selector.select = counting  # type: ignore[attr-defined]
        try:
            await canceller(session.generate("https://host/photo.jpg"), till.arrived)
        finally:
            loop._selector.select = select  # type: ignore[attr-defined]
    # A spinning wait makes tens of thousands of turns; a cancel every 5 ms makes some hundred.
    assert turns < 1_000


async def test_cancelling_before_the_connection_is_immediate_and_costs_nothing(service: Service) -> None:
    till = Till()
    till.gate.set()
    service.generate = till.generate
    async with service.session(in_flight=1) as session:
        await session.generate("https://host/1.jpg")  # takes the only place
        service.get = _never_ready
        task = asyncio.ensure_future(session.generate("https://host/2.jpg"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(till.charged) == 1
        assert session.detached == ()


async def test_a_cancelled_caller_does_not_repeat(service: Service) -> None:
    arrived = asyncio.Event()

    async def busy(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(0.1)
        return web.Response(status=429, headers={"Retry-After": "0"})

    service.generate = busy
    async with service.session() as session:
        await native(session.generate("https://host/photo.jpg"), arrived)
        await asyncio.sleep(0.1)
        assert len(service.requests) == 1


async def test_declutter_cancelled_while_waiting_keeps_the_id(service: Service) -> None:
    till = Till()
    till.gate.set()
    service.generate = till.generate
    looked = asyncio.Event()

    async def get(request: web.Request) -> web.StreamResponse:
        looked.set()
        return await _never_ready(request)

    service.get = get
    async with service.session() as session:
        await native(session.declutter("https://host/photo.jpg"), looked)
        assert list(session.detached) == till.charged


async def test_closing_waits_for_answers_and_lets_go_of_the_rest(service: Service) -> None:
    till = Till()
    service.generate = till.generate
    session = service.session(submitting=1)
    first = asyncio.ensure_future(session.generate("https://host/1.jpg"))
    await till.arrived.wait()
    second = asyncio.ensure_future(session.generate("https://host/2.jpg"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(session.aclose())
    await asyncio.sleep(0.05)
    assert not closing.done()
    till.gate.set()
    await closing
    assert (await first).generation_id == till.charged[0]
    with pytest.raises(SessionMisuse) as caught:
        await second
    assert caught.value.money == "none"
    assert len(till.charged) == 1


async def test_a_batch_that_is_left_keeps_its_ids(service: Service) -> None:
    till = Till()
    till.gate.set()
    service.generate = till.generate
    service.get = _never_ready
    async with service.session() as session:
        with pytest.raises(ZeroDivisionError):  # the caller's own error, as it is
            async with session.batch([f"https://host/{n}.jpg" for n in range(5)]) as batch:
                while batch.progress.running < 5:
                    await asyncio.sleep(0.01)
                raise ZeroDivisionError
        assert sorted(session.detached) == sorted(till.charged)
        assert len(till.charged) == 5


async def test_an_outcome_nobody_took_is_kept(service: Service) -> None:
    till = Till()
    till.gate.set()
    service.generate = till.generate
    service.get = _ready
    async with service.session() as session:
        taken = []
        async with session.batch([f"https://host/{n}.jpg" for n in range(8)]) as batch:
            async for outcome in batch:
                taken.append(outcome)
                assert outcome.kind is OutcomeKind.DELIVERED
                await asyncio.sleep(0.1)
                break
        assert {taken[0].generation_id, *session.detached} == set(till.charged)


@settings(max_examples=40, deadline=None)
@given(
    answer_after=st.floats(0, 0.02),
    steps=st.lists(
        st.tuples(st.sampled_from(["cancel", "scope"]), st.integers(0, 12)), min_size=1, max_size=6
    ),
)
def test_any_schedule_of_cancellations(answer_after: float, steps: list[tuple[str, int]]) -> None:
    """Whatever is cancelled when: every id that the service handed out was returned, or is in `detached`."""

    async def story() -> None:
        async with run_service() as service:
            till = Till()

            async def generate(request: web.Request) -> web.StreamResponse:
                asyncio.get_running_loop().call_later(answer_after, till.gate.set)
                return await till.generate(request)

            service.generate = generate
            async with service.session() as session:
                returned: list[str] = []
                for how, turns in steps:
                    await _cancelled_after(session, how, turns, returned)
            assert sorted([*returned, *session.detached]) == sorted(till.charged)

    asyncio.run(story())


async def _cancelled_after(session: DeclutterSession, how: str, turns: int, returned: list[str]) -> None:
    async def call() -> None:
        try:
            returned.append((await session.generate("https://host/photo.jpg")).generation_id)
        except DeclutterError as error:
            assert error.money == "none"  # noqa: PT017 - it may end either way

    if how == "cancel":
        task = asyncio.ensure_future(call())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            for _ in range(turns):
                await asyncio.sleep(0.001)
            group.cancel_scope.cancel()


async def _never_ready(_: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "PROCESSING"})


async def _ready(_: web.Request) -> web.StreamResponse:
    return web.json_response(
        {"status": "SUCCEEDED", "urls": ["https://host/result.jpg"], "variationNumber": 0}
    )
