"""The places for generations that are submitted and not yet finished, over everything a session does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from declutter_async.errors import DeclutterError


class InFlight:
    """A place is taken before a submission, bound to its generation_id, and free once that has finished.

    Nobody need watch a generation that `generate` started. So when somebody waits for a place, the session is
    asked to look after those that hold one: otherwise forgotten generations would block it for ever.
    """

    def __init__(self, limit: int, *, look_after: Callable[[Collection[str]], None]) -> None:
        """Args: how many places there are, and whom to ask to watch the generations that hold them."""
        self._limit = limit
        self._look_after = look_after
        self._unbound = 0
        self._bound: dict[str, float] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait for a place and take it."""
        if self._free and not self._waiters:
            self._unbound += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._look_after(self._bound.keys())
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back()
            raise
        finally:
            if not waiter.done():
                waiter.cancel()

    def give_back(self) -> None:
        """A place was not used."""
        self._unbound -= 1
        self._serve()

    def bind(self, generation_id: str, submitted_at: float) -> None:
        """The place belongs to this generation from now on."""
        self._unbound -= 1
        self._bound[generation_id] = submitted_at
        if self._waiters:
            self._look_after([generation_id])
        self._serve()

    def submitted_at(self, generation_id: str) -> float | None:
        """When the generation was submitted, in loop time, if it is one of this session's that still runs."""
        return self._bound.get(generation_id)

    def left_alone(self, generation_id: str) -> None:
        """Nobody watches the generation any more; somebody must while its place is waited for."""
        if generation_id in self._bound and any(not waiter.done() for waiter in self._waiters):
            self._look_after([generation_id])

    def finished(self, generation_id: str) -> None:
        """The generation runs no more, or counts as stuck."""
        if self._bound.pop(generation_id, None) is not None:
            self._serve()

    def shut(self, error: DeclutterError) -> None:
        """Whoever waits gets this error."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()

    @property
    def _free(self) -> bool:
        return self._unbound + len(self._bound) < self._limit

    def _serve(self) -> None:
        while self._waiters and self._free:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._unbound += 1
                waiter.set_result(None)
