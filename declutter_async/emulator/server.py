"""`Emulator`: the service on loopback, put together, started and stopped."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Self, cast

import aiohttp
from aiohttp import web

from declutter_async.emulator import draws
from declutter_async.emulator.background import Tasks, ThreadCache, to_its_end
from declutter_async.emulator.behaviour import Behaviour
from declutter_async.emulator.books import Account
from declutter_async.emulator.calls import Calls
from declutter_async.emulator.clock import Clock, TokenBucket
from declutter_async.emulator.door import Door
from declutter_async.emulator.fetching import Fetcher
from declutter_async.emulator.openapi import contract
from declutter_async.emulator.pictures import PictureInfo
from declutter_async.emulator.results import Results, Signer
from declutter_async.emulator.rooms import Room
from declutter_async.emulator.shelf import RoomShelf, weigh_room
from declutter_async.emulator.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

_MOST_BODY_BYTES = 64 * 2**10
_ROOM_BYTES = 64 * 2**20
_RESULT_BYTES = 256 * 2**20
_INSPECTIONS = 10_000
_THREADS = os.cpu_count() or 1
_CALLS = "/api/declutter_total"
_ABOUT = {
    "name": "declutter-async emulator",
    "about": "A stand-in for the decluttering service, for trials and tests: real HTTP, real refusals, and results "
    "made by plain image processing. It is not the service and has no model.",
    "contract": "/openapi.json",
    "rooms": ["/rooms/7/cluttered.jpg", "/rooms/7/clean.jpg", "/rooms/7/mask.png"],
}


class Emulator:
    """The decluttering service on 127.0.0.1, with its account, its books and its bad days.

    `async with Emulator() as emulator:`, or `start` and `stop`. One emulator is started once.

    Args:
        behaviour: how it behaves; as it stands, without trouble.
        port: where it listens; 0 for any free port.

    Attributes:
        behaviour: as it was given.
        account: the books, readable at any time, after `stop` too.
        api_key: the key that the three calls expect; follows from the seed.
        user_id: the account's user id; follows from the seed.
    """

    def __init__(self, behaviour: Behaviour | None = None, *, port: int = 0) -> None:
        self.behaviour = behaviour or Behaviour()
        self._clock = Clock(self.behaviour.speed)
        self.account = Account(self.behaviour.photos, self._clock.now)
        self._credentials = draws.credentials(self.behaviour.seed)
        self.api_key = self._credentials.api_key
        self.user_id = self._credentials.user_id
        self._port = port
        self._stopped = False
        self._tasks = Tasks()
        self._door: Door | None = None
        self._client: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<Emulator {self.url}>" if self._door is not None else "<Emulator, not started>"

    @property
    def url(self) -> str:
        """Where it is: the base_url for a client."""
        return f"http://127.0.0.1:{self._open_door().port}"

    async def start(self) -> None:
        """Open the door; raises OSError if the port is taken."""
        if self._door is not None:
            raise RuntimeError("an emulator is started once; make a new one")
        self._door = Door(self._port)
        try:
            self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))
            self._runner = web.AppRunner(
                self._application(self._door, self._client),
                access_log=None,
                auto_decompress=False,  # no call takes a compressed body, and a bomb is none then
                handler_cancellation=True,
                keepalive_timeout=self.behaviour.keepalive,
                shutdown_timeout=1.0,
            )
            await self._runner.setup()
            self._clock.start()
            self._door.serve(cast("web.Server", self._runner.server))  # it is there since setup
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Abort every connection, end every task and hold the clock; a second time it does nothing."""
        await to_its_end(self._stop())

    async def pause(self) -> None:
        """Shut the door: new connections are refused, open ones aborted. Generations go on by the clock."""
        self._open_door().pause()
        await asyncio.sleep(0)  # in which the aborted connections are closed

    async def resume(self) -> None:
        """Open the door again, on the same port."""
        if self._stopped:
            raise RuntimeError("the emulator is stopped; make a new one")
        self._open_door().open()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _open_door(self) -> Door:
        if self._door is None:
            raise RuntimeError("the emulator is not started: use `async with`, or await start()")
        return self._door

    def _application(self, door: Door, client: aiohttp.ClientSession) -> web.Application:
        tasks, signing_key = self._tasks, self._credentials.signing_key
        rooms = ThreadCache[Room](tasks, threads=_THREADS, capacity=_ROOM_BYTES, weigh=weigh_room)
        inspections = ThreadCache[PictureInfo](
            tasks, threads=_THREADS, capacity=_INSPECTIONS, weigh=lambda _: 1
        )
        computed = ThreadCache[bytes](tasks, threads=_THREADS, capacity=_RESULT_BYTES, weigh=len)
        rate = self.behaviour.requests_per_second
        shelf = RoomShelf(rooms, door.port)
        fetcher = Fetcher(client, shelf, inspections)
        calls = Calls(
            behaviour=self.behaviour,
            account=self.account,
            credentials=self._credentials,
            limit=None if rate is None else TokenBucket(rate),
            door=door,
            tasks=tasks,
            fetcher=fetcher,
            results=Results(computed, tasks, fetcher, self.account),
            signer=Signer(signing_key, self.url, self.behaviour.result_lifetime),
            webhooks=Webhooks(client, self._clock, self.behaviour.webhooks),
        )
        application = web.Application(client_max_size=_MOST_BODY_BYTES, middlewares=[_json_errors])
        application.add_routes(
            [
                web.post(f"{_CALLS}/generate", calls.generate),
                web.post(f"{_CALLS}/generate-variation", calls.generate_variation),
                web.post(f"{_CALLS}/get", calls.get),
                web.get("/results/{generation_id}.jpg", calls.result),
                web.get("/rooms/{seed}/{file}", shelf.answer),
                web.get("/openapi.json", _always(contract())),
                web.get("/", _always(_ABOUT)),
                web.route("*", "/elsewhere", self._elsewhere),
            ]
        )
        return application

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 - aiohttp gives one
        self.account.requests["elsewhere"] += 1
        return web.json_response({"error": "a redirect was followed to here"}, status=404)

    async def _stop(self) -> None:
        if self._door is None or self._stopped:
            return
        self._stopped = True
        self._clock.stop()
        await self._door.close()
        await self._tasks.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()


def _always(document: Mapping[str, object]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:  # noqa: ARG001 - aiohttp gives one
        return web.json_response(document)

    return answer


@web.middleware
async def _json_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:  # no such path or method, or too large a body
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response({"error": error.reason}, status=error.status, headers=allow)
