"""Webhooks: the body of get and nothing else, in each mode."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
from aiohttp import web
from emulator_client import Studio, calling, run_studio, until

from declutter_async.emulator import Behaviour, Emulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with run_studio() as made:
        yield made


@attrs.define
class Receiver:
    """Keeps what is delivered, and answers with the given statuses, then 200."""

    statuses: list[int]
    url: str = ""
    bodies: list[bytes] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "/other"} if status == 307 else None)

    async def has(self, number: int) -> None:
        await until(lambda: len(self.bodies) >= number)


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver([*statuses])
    application = web.Application()
    application.router.add_post("/{any}", receiver.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?token=1"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("failure_rate", [0, 1])
async def test_a_delivery_is_the_body_of_get(studio: Studio, failure_rate: float) -> None:
    behaviour = Behaviour(duration=60, speed=1000, failure_rate=failure_rate)
    async with receiving() as receiver, Emulator(behaviour) as emulator, calling(emulator) as ask:
        asked = await ask("generate", image_url=studio.photo, auto=True, webhook=receiver.url)
        await receiver.has(1)
        state = await ask("get", generation_id=asked.body["generation_id"])
        assert json.loads(receiver.bodies[0]) == state.body
        assert state.body["status"] == ("FAILED" if failure_rate else "SUCCEEDED")
        assert receiver.headers[0]["content-type"] == "application/json"
        assert "x-api-key" not in receiver.headers[0]
        assert emulator.api_key not in str(receiver.headers)


async def test_twice_delivers_the_same_twice(studio: Studio) -> None:
    behaviour = Behaviour(duration=0, webhooks="twice")
    async with receiving() as receiver, Emulator(behaviour) as emulator, calling(emulator) as ask:
        await ask("generate", image_url=studio.photo, auto=True, webhook=receiver.url)
        await receiver.has(2)
        assert receiver.bodies[0] == receiver.bodies[1]


async def test_late_waits_thirty_emulated_seconds(studio: Studio) -> None:
    behaviour = Behaviour(duration=0, webhooks="late", speed=200)
    async with receiving() as receiver, Emulator(behaviour) as emulator, calling(emulator) as ask:
        asked = await ask("generate", image_url=studio.photo, auto=True, webhook=receiver.url)
        generation = emulator.account.find(asked.body["generation_id"])
        assert generation is not None
        await receiver.has(1)
        assert emulator._clock.now() >= generation.ends_at + 30


async def test_never_delivers_nothing(studio: Studio) -> None:
    behaviour = Behaviour(duration=0, webhooks="never")
    async with receiving() as receiver, Emulator(behaviour) as emulator, calling(emulator) as ask:
        asked = await ask("generate", image_url=studio.photo, auto=True, webhook=receiver.url)
        await ask.finished(asked.body["generation_id"])
        await asyncio.sleep(0.05)
        assert receiver.bodies == []


@pytest.mark.parametrize(("statuses", "tries"), [((500, 307), 3), ((500, 404, 503), 3), ((204,), 1)])
async def test_a_receiver_that_does_not_say_yes_is_tried_three_times(
    studio: Studio, statuses: tuple[int, ...], tries: int
) -> None:
    async with (
        receiving(*statuses) as receiver,
        Emulator(Behaviour(duration=0, speed=1000)) as emulator,
        calling(emulator) as ask,
    ):
        await ask("generate", image_url=studio.photo, auto=True, webhook=receiver.url)
        await until(lambda: not emulator._tasks._tasks)
        assert len(receiver.bodies) == tries


async def test_a_receiver_that_is_not_there_hurts_nobody(studio: Studio) -> None:
    async with receiving() as gone:
        url = gone.url
    async with Emulator(Behaviour(duration=0, speed=1000)) as emulator, calling(emulator) as ask:
        asked = await ask("generate", image_url=studio.photo, auto=True, webhook=url)
        await until(lambda: not emulator._tasks._tasks)
        assert (await ask.finished(asked.body["generation_id"]))["status"] == "SUCCEEDED"
