"""Delivering webhooks: the body of `get`, POSTed when a generation has finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from declutter_async.emulator.behaviour import WebhookMode
    from declutter_async.emulator.clock import Clock

LATE_SECONDS = 30.0
_TRIES = 3
_PAUSE_SECONDS = 5.0
_AT_ONCE = 32
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Webhooks:
    """Delivers in one of the modes of `Behaviour.webhooks`; delays are emulated seconds.

    A receiver that does not answer 2xx is tried again after a pause, three times in all. Redirects are not followed.
    """

    def __init__(self, client: aiohttp.ClientSession, clock: Clock, mode: WebhookMode) -> None:
        self._client = client
        self._clock = clock
        self._mode = mode
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def deliver(self, url: str, at: float, body: Callable[[], bytes]) -> None:
        """Wait until the clock shows `at`, then deliver what `body` gives."""
        if self._mode == "never":
            return
        await self._clock.sleep_until(at + (LATE_SECONDS if self._mode == "late" else 0))
        for _ in range(2 if self._mode == "twice" else 1):
            await self._try(url, body())

    async def _try(self, url: str, body: bytes) -> None:
        for left in reversed(range(_TRIES)):
            async with self._limiter:
                if await self._post(url, body):
                    return
            if left:
                await self._clock.sleep_until(self._clock.now() + _PAUSE_SECONDS)

    async def _post(self, url: str, body: bytes) -> bool:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._client.post(
                url, data=body, headers=headers, allow_redirects=False, timeout=_TIMEOUT
            ) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, OSError, ValueError):
            return False
