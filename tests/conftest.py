"""Real parts for every test: an emulator over HTTP, or a server that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import pytest
from aiohttp import web

from declutter_async import DeclutterSession
from declutter_async.emulator import Emulator

KEY = "key-that-must-never-show-0123456789"
USER = "3b241101-e2bb-4255-8caf-4136c566a962"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own key or proxy must not reach a test."""
    for name in ("DECLUTTER_API_KEY", "DECLUTTER_USER_ID", "DECLUTTER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def no_task_left(anyio_backend: str) -> AsyncIterator[None]:
    """Whatever a test opened and closed has ended its tasks."""
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    runner = "TestRunner"  # the plugin's own task, which runs the test
    left = {task for task in asyncio.all_tasks() - before if runner not in repr(task.get_coro())}
    assert not left, f"tasks left: {left}"


@attrs.define
class Service:
    """A server of a test's own: each call is answered by the handler of that name."""

    url: str
    requests: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)
    generate: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    get: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    def session(self, **settings: Any) -> DeclutterSession:
        usual: dict[str, Any] = {"base_url": self.url, "outage_timeout": 2.0, "connect_timeout": 5.0}
        return DeclutterSession(api_key=KEY, user_id=USER, **usual | settings)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = request.match_info["call"]
        self.requests.append((call, await request.json()))
        handler = self.get if call == "get" else self.generate
        assert handler is not None, f"no handler for {call}"
        return await handler(request)


@asynccontextmanager
async def run_service(**options: Any) -> AsyncIterator[Service]:
    service = Service("")
    application = web.Application()
    application.router.add_post("/api/declutter_total/{call}", service.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, **options)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        await runner.cleanup()


@pytest.fixture
async def service(anyio_backend: str) -> AsyncIterator[Service]:
    async with run_service() as service:
        yield service


@pytest.fixture
def service_with() -> Callable[..., AbstractAsyncContextManager[Service]]:
    """A server of a test's own, with options of aiohttp's `AppRunner`."""
    return run_service


@pytest.fixture
def session_of() -> Callable[..., DeclutterSession]:
    """A session on an emulator, as its account's owner."""

    def make(emulator: Emulator, **settings: Any) -> DeclutterSession:
        return DeclutterSession(
            base_url=emulator.url, api_key=emulator.api_key, user_id=emulator.user_id, **settings
        )

    return make
