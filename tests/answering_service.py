"""A real server whose answers a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from aiohttp import web

from declutter_async import DeclutterSession

KEY = "key-that-must-never-show-0123456789"
USER = "3b241101-e2bb-4255-8caf-4136c566a962"


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
