"""Time as the emulator sees it: a clock that can run faster, and a bucket that fills in real time."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Emulated seconds since the start: `speed` of them pass in one real second.

    It stands at 0 before `start` and stands still after `stop`, so that books read later do not change.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._started: float | None = None
        self._stopped: float | None = None

    def start(self) -> None:
        """Let the time begin."""
        self._started = time.monotonic()

    def stop(self) -> None:
        """Hold the time where it is."""
        self._stopped = time.monotonic()

    def now(self) -> float:
        """Emulated seconds since the start."""
        if self._started is None:
            return 0.0
        until = time.monotonic() if self._stopped is None else self._stopped
        return (until - self._started) * self._speed

    async def sleep_until(self, moment: float) -> None:
        """Sleep until the clock shows `moment` (emulated seconds) or more."""
        while (left := moment - self.now()) > 0:  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(left / self._speed)


class TokenBucket:
    """Lets `rate` requests pass in a second, and as many at once as one second gives (at least one)."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._tokens = self._most
        self._filled = time.monotonic()

    def wait(self) -> float:
        """Take a token and give 0.0, or give the real seconds until there will be one."""
        now = time.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0
