"""The async iterator over the status updates of many generations."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterable, Iterable
from types import TracebackType
from typing import Self
from uuid import UUID

import attrs

from declutter_async._watcher import Subscription, Watcher
from declutter_async._wire import check_uuid
from declutter_async.errors import GenerationFailed, InvalidArgument
from declutter_async.models import GenerationState, Status
from declutter_async.outcomes import StatusUpdate


@attrs.define(eq=False)
class _Inbox:
    """What has been delivered and not yet taken. It does not know its `Watch`, so that one can be collected."""

    watcher: Watcher
    generation_timeout: float
    updates: deque[StatusUpdate] = attrs.field(factory=deque[StatusUpdate])
    running: dict[str, Subscription] = attrs.field(factory=dict[str, Subscription])
    seen: set[str] = attrs.field(factory=set[str])
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    more_ids: bool = False
    dropped: bool = False
    failure: BaseException | None = None

    def add(self, generation_id: str | UUID) -> None:
        """Watch one more; an id given twice is watched once."""
        try:
            checked = check_uuid("generation_id", generation_id)
        except InvalidArgument as error:
            shown = str(generation_id)[:100]
            error.generation_id = shown
            self.deliver(StatusUpdate(shown, error=error))
            return
        if checked in self.seen:
            return
        self.seen.add(checked)
        subscription = self.watcher.subscribe(
            checked, self.deliver, timeout=self.generation_timeout, from_submission=True
        )
        if not subscription.ended:
            self.running[checked] = subscription

    def deliver(self, update: StatusUpdate) -> None:
        self.updates.append(update)
        if update.error is not None or (update.status is not None and update.status.finished):
            self.running.pop(update.generation_id, None)
        self.news.set()

    async def feed(self, ids: AsyncIterable[str | UUID]) -> None:
        """Take the ids of an async source as they come."""
        try:
            async for generation_id in ids:
                if self.dropped:
                    return
                self.add(generation_id)
        except Exception as error:  # noqa: BLE001 - the caller's source; it is raised where the updates are read
            self.failure = error
        finally:
            self.more_ids = False
            self.news.set()

    def drop(self) -> None:
        """The `Watch` is gone; called by the garbage collector, in any thread."""
        self.dropped = True
        self.watcher.drop(list(self.running.values()))


class Watch:
    """Updates of many generations, until each has finished: an async iterator and an async context manager.

    Leaving it by `async with`, or letting go of it, ends the watching. With ids from an async source use
    `async with`: only that also ends the task that reads the source.
    """

    def __init__(
        self,
        watcher: Watcher,
        ids: Iterable[str | UUID] | AsyncIterable[str | UUID],
        *,
        generation_timeout: float,
    ) -> None:
        """Begins to watch at once. Raises `InvalidArgument` where `ids` is no iterable of ids."""
        self._inbox = _Inbox(watcher, generation_timeout)
        self._feeder: asyncio.Task[None] | None = None
        self._finalizer = weakref.finalize(self, self._inbox.drop)
        self._finalizer.atexit = False
        if isinstance(ids, str | UUID):
            raise InvalidArgument("generation_ids is a single id, expected an iterable of them: watch([id])")
        if isinstance(ids, AsyncIterable):
            self._inbox.more_ids = True
            self._feeder = asyncio.get_running_loop().create_task(
                self._inbox.feed(ids), name="declutter-async ids to watch"
            )
        elif isinstance(ids, Iterable):
            for generation_id in ids:
                self._inbox.add(generation_id)
        else:
            raise InvalidArgument(f"generation_ids is {type(ids).__name__}, expected an iterable of ids")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StatusUpdate:
        inbox = self._inbox
        while not inbox.updates:
            if inbox.failure is not None:
                await self.aclose()
                raise inbox.failure
            if not inbox.running and not inbox.more_ids:
                raise StopAsyncIteration
            inbox.news.clear()
            await inbox.news.wait()
        return inbox.updates.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Watch no more. Updates that came before can still be read."""
        self._finalizer.detach()
        for subscription in list(self._inbox.running.values()):
            self._inbox.watcher.unsubscribe(subscription)
        self._inbox.running.clear()
        if self._feeder is not None and not self._feeder.done():
            self._feeder.cancel()
            await asyncio.wait([self._feeder])
        self._inbox.more_ids = False
        self._inbox.news.set()


async def wait_for(
    watcher: Watcher, generation_id: str, *, seconds: float | None, from_submission: bool
) -> StatusUpdate:
    """The last update of one generation: a finish or an error."""
    done: asyncio.Future[StatusUpdate] = asyncio.get_running_loop().create_future()

    def deliver(update: StatusUpdate) -> None:
        if (
            update.error is not None or (update.status is not None and update.status.finished)
        ) and not done.done():
            done.set_result(update)

    subscription = watcher.subscribe(generation_id, deliver, timeout=seconds, from_submission=from_submission)
    try:
        return await done
    finally:
        watcher.unsubscribe(subscription)


def succeeded(update: StatusUpdate) -> GenerationState:
    """The state of a last update that SUCCEEDED; raises its error, or `GenerationFailed`."""
    if update.error is not None:
        raise update.error
    state = update.state
    if state is None or state.status is not Status.SUCCEEDED:
        failed = state or GenerationState(update.generation_id, Status.FAILED)
        raise GenerationFailed("the service says FAILED; the photo is refunded", state=failed)
    return state
