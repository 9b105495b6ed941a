"""Work that goes on behind the requests: owned tasks, and slow functions computed once in a thread."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

_T = TypeVar("_T")


class Tasks:
    """Plain tasks, strongly held until they end or `cancel` ends them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run `work` in a task of its own."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel(self) -> None:
        """Cancel all and wait for their end."""
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, and only then let a cancellation of the caller through."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    # The scope holds off an anyio cancellation, which would come again at every turn; the shield a native one.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled


class ThreadCache(Generic[_T]):
    """Remembers the latest results of slow functions, up to a total weight.

    A result that several wait for is computed once, in a worker thread; nobody's cancellation disturbs the others.
    """

    def __init__(self, tasks: Tasks, *, threads: int, capacity: int, weigh: Callable[[_T], int]) -> None:
        self._tasks = tasks
        self._limiter = anyio.CapacityLimiter(threads)
        self._capacity = capacity
        self._weigh = weigh
        self._weight = 0
        self._done: OrderedDict[Hashable, _T] = OrderedDict()
        self._pending: dict[Hashable, asyncio.Task[_T]] = {}

    @property
    def pending(self) -> int:
        """How many results are being computed or wait for a thread."""
        return len(self._pending)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._done or key in self._pending

    async def known(self, key: Hashable) -> _T | None:
        """The result of this key if it is kept or being computed, else None at once."""
        if key in self._done:
            self._done.move_to_end(key)
            return self._done[key]
        pending = self._pending.get(key)
        return None if pending is None else await asyncio.shield(pending)

    async def get(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """The result of this key, computed now if it is not known. What `compute` raises is not remembered."""
        known = await self.known(key)
        if known is not None:
            return known
        self._pending[key] = self._tasks.spawn(self._compute(key, compute))
        return await asyncio.shield(self._pending[key])

    async def _compute(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        try:
            result = await anyio.to_thread.run_sync(compute, limiter=self._limiter)
        finally:
            del self._pending[key]
        self._done[key] = result
        self._weight += self._weigh(result)
        while self._weight > self._capacity and len(self._done) > 1:
            _, oldest = self._done.popitem(last=False)
            self._weight -= self._weigh(oldest)
        return result
