"""Every watched generation of a session: one schedule, one timer, one task beside the looks on the way.

Whoever watches has a `Subscription` on the generation; those of one generation share its looks.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import attrs

from declutter_async._retry import backoff, final_for_a_look
from declutter_async._schedule import Schedule
from declutter_async._throttle import Gate, Pass
from declutter_async.errors import DeclutterError, GenerationTimeout, RequestError
from declutter_async.events import Event, Finished, Looked, StatusChanged
from declutter_async.models import GenerationState
from declutter_async.outcomes import StatusUpdate
from declutter_async.polling import PollingPolicy

_logger = logging.getLogger("declutter_async")
_LONGEST_SLEEP = 1.0  # seconds; a finaliser can only leave a note, and this is how soon it is read
_LAST_LOOK = 2.0  # seconds that a look at the deadline may take when there have been looks before
_FALLBACK_DELAY = 10.0  # seconds, where a policy fails
_SHORTEST_DELAY = 0.01  # seconds: a policy that says 0 must not make a busy loop


@attrs.define(eq=False)
class Subscription:
    """One who watches one generation. `deliver` gets every change; the last is a finish or an error."""

    generation_id: str
    deliver: Callable[[StatusUpdate], object]
    timeout: float | None
    last_look: bool = False
    ended: bool = False


@attrs.define(eq=False)
class _Watched:
    generation_id: str
    born: float  # loop time of its submission, or of the first watch
    submitted_here: bool
    looked_at: float = 0.0  # age at the last look that was answered
    state: GenerationState | None = None
    failures: int = 0  # in a row
    looking: bool = False
    last_error: RequestError | None = None
    subscriptions: list[Subscription] = attrs.field(factory=list[Subscription])


class Watcher:
    """Looks at every watched generation when its time has come, and tells those who watch."""

    def __init__(
        self,
        *,
        look: Callable[[str, Pass], Awaitable[GenerationState | RequestError]],
        gate: Gate,
        policy: PollingPolicy,
        looks_at_once: int,
        patience: float,
        submitted_at: Callable[[str], float | None],
        emit: Callable[[Event], None],
        ended: Callable[[str], None],
        left_alone: Callable[[str], None],
    ) -> None:
        """Made in the event loop that it serves.

        Args:
            look: Makes one request; returns what it showed, or its error.
            gate: Asked before every look.
            policy: Says when to look again.
            looks_at_once: Looks on the way at most.
            patience: Seconds that a generation's only look may take past its deadline.
            submitted_at: Loop time of a submission of this session, or None.
            emit: Hears of every event.
            ended: Told of every generation that has finished, or that the service refuses to tell about.
            left_alone: Told of every generation that nobody watches any more, though it may still run.
        """
        self._look = look
        self._gate = gate
        self._policy = policy
        self._looks_at_once = looks_at_once
        self._patience = patience
        self._submitted_at = submitted_at
        self._emit = emit
        self._ended = ended
        self._left_alone = left_alone
        self._closed: Callable[[str], DeclutterError] | None = None
        self._loop = asyncio.get_running_loop()
        self._watched: dict[str, _Watched] = {}
        self._due: Schedule[str] = Schedule()
        self._deadlines: Schedule[Subscription] = Schedule()
        self._dropped: deque[Subscription] = deque()
        self._looks: set[asyncio.Task[None]] = set()
        self._promise: asyncio.Future[Pass | DeclutterError] | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- for those who watch ---

    def subscribe(
        self,
        generation_id: str,
        deliver: Callable[[StatusUpdate], object],
        *,
        timeout: float | None,
        from_submission: bool = False,
    ) -> Subscription:
        """Watch a generation for `timeout` seconds from now, or from its submission; None: for ever."""
        if self._closed is not None:
            over = Subscription(generation_id, deliver, timeout, ended=True)
            self._deliver(over, StatusUpdate(generation_id, error=self._closed(generation_id)))
            return over
        now = self._loop.time()
        watched = self._watched.get(generation_id) or self._add(generation_id, now)
        subscription = Subscription(generation_id, deliver, timeout)
        watched.subscriptions.append(subscription)
        if timeout is not None:
            since = watched.born if from_submission and watched.submitted_here else now
            self._deadlines.set(subscription, since + timeout)
        if watched.state is not None:
            self._deliver(subscription, StatusUpdate(generation_id, watched.state.status, watched.state))
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run(), name="declutter-async watcher")
        self._wake.set()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Watch no more; the last to go takes the generation out."""
        if subscription.ended:
            return
        subscription.ended = True
        self._deadlines.discard(subscription)
        watched = self._watched[subscription.generation_id]
        watched.subscriptions.remove(subscription)
        if not watched.subscriptions:
            self._remove(watched)
            self._left_alone(watched.generation_id)
        self._wake.set()

    def drop(self, subscriptions: Iterable[Subscription]) -> None:
        """As `unsubscribe`, a little later: all that a finaliser may do, in whatever thread it runs."""
        self._dropped.extend(subscriptions)

    def watches(self, generation_id: str) -> bool:
        """Whether somebody watches this generation."""
        return generation_id in self._watched

    async def close(self, error: Callable[[str], DeclutterError]) -> None:
        """End every watch with an error, and every look; a later one ends at once."""
        self._closed = error
        for watched in list(self._watched.values()):
            self._end(watched, StatusUpdate(watched.generation_id, error=error(watched.generation_id)))
        tasks = [*self._looks, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _add(self, generation_id: str, now: float) -> _Watched:
        submitted_at = self._submitted_at(generation_id)
        if submitted_at is None:  # it may have finished long ago
            watched, due = _Watched(generation_id, now, submitted_here=False), now
        else:
            watched = _Watched(generation_id, submitted_at, submitted_here=True)
            due = submitted_at + self._delay(0.0)
        self._watched[generation_id] = watched
        self._due.set(generation_id, due)
        return watched

    def _remove(self, watched: _Watched) -> None:
        del self._watched[watched.generation_id]
        self._due.discard(watched.generation_id)

    # --- the one task ---

    async def _run(self) -> None:
        try:
            while self._watched:
                self._wake.clear()
                while self._dropped:
                    self.unsubscribe(self._dropped.popleft())
                wait = min(self._start_looks(), self._sweep_deadlines(), _LONGEST_SLEEP)
                timer = self._loop.call_later(max(wait, 0.0), self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    timer.cancel()
        finally:
            self._withdraw_promise()

    def _start_looks(self) -> float:
        """Start every look that is due and may go. Returns the seconds until the next is due."""
        while (first := self._due.first()) is not None:
            due, generation_id = first
            wait = due - self._loop.time()
            if wait > 0:
                self._withdraw_promise()
                return wait
            if len(self._looks) >= self._looks_at_once or (leave := self._pass()) is None:
                return math.inf  # a look that ends, or the gate, wakes the task
            self._start(self._watched[generation_id], leave)
        self._withdraw_promise()
        return math.inf

    def _pass(self) -> Pass | None:
        """A pass of the gate; None while there is none, then the gate's promise wakes the task."""
        if self._promise is None:
            # Patient: an outage ends single calls, but a watch only at its own deadline.
            got = self._gate.ask(paid=False, patient=True)
            if isinstance(got, Pass):
                return got
            self._promise = got
            got.add_done_callback(lambda _: self._wake.set())
        if not self._promise.done():
            return None
        answer = self._promise.result()
        self._promise = None
        return answer if isinstance(answer, Pass) else None

    def _withdraw_promise(self) -> None:
        """Nothing is due any more: a pass kept for later would be one that nobody else gets."""
        if self._promise is not None:
            self._gate.withdraw(self._promise)
            self._promise = None

    def _start(self, watched: _Watched, leave: Pass) -> None:
        self._due.discard(watched.generation_id)
        watched.looking = True
        task = self._loop.create_task(self._look_at(watched, leave), name="declutter-async look")
        self._looks.add(task)
        task.add_done_callback(self._look_ended)

    def _look_ended(self, task: asyncio.Task[None]) -> None:
        self._looks.discard(task)
        self._wake.set()

    def _sweep_deadlines(self) -> float:
        """Act on every deadline that has passed. Returns the seconds until the next."""
        while (first := self._deadlines.first()) is not None:
            deadline, subscription = first
            now = self._loop.time()
            if deadline > now:
                return deadline - now
            watched = self._watched[subscription.generation_id]
            if subscription.last_look:
                self._give_up(watched, subscription)
            else:
                self._look_a_last_time(watched, subscription, now)
        return math.inf

    def _look_a_last_time(self, watched: _Watched, subscription: Subscription, now: float) -> None:
        subscription.last_look = True
        never_seen = watched.state is None
        self._deadlines.set(subscription, now + (self._patience if never_seen else _LAST_LOOK))
        if watched.looking:
            return
        if never_seen:  # then this look is made even while the gate is closed
            self._start(watched, Pass(now, probe=False))
        else:
            self._due.set(watched.generation_id, now)
            self._wake.set()

    def _give_up(self, watched: _Watched, subscription: Subscription) -> None:
        seen = watched.state.status if watched.state else "never seen"
        error = GenerationTimeout(
            f"not finished within {subscription.timeout:g} s (last status: {seen}); it runs on and is not lost",
            generation_id=watched.generation_id,
            state=watched.state,
        )
        error.__cause__ = watched.last_error
        self.unsubscribe(subscription)
        self._deliver(subscription, StatusUpdate(watched.generation_id, error=error))

    # --- one look ---

    async def _look_at(self, watched: _Watched, leave: Pass) -> None:
        started = self._loop.time()
        result = await self._look(watched.generation_id, leave)
        now = self._loop.time()
        watched.looking = False
        error = None if isinstance(result, GenerationState) else result
        state = result if isinstance(result, GenerationState) else None
        self._emit(
            Looked(
                generation_id=watched.generation_id,
                status=state.status if state else None,
                error=error,
                age=now - watched.born,
                seconds=now - started,
            )
        )
        if state is not None:
            self._saw(watched, state, now)
        elif error is not None:
            self._missed(watched, error, now)
        for subscription in [s for s in watched.subscriptions if s.last_look]:
            self._give_up(watched, subscription)

    def _saw(self, watched: _Watched, state: GenerationState, now: float) -> None:
        age = now - watched.born
        changed = watched.state is None or watched.state.status is not state.status
        if watched.submitted_here:
            self._record(watched.looked_at, age, finished=state.finished)
        watched.failures, watched.last_error = 0, None
        watched.looked_at, watched.state = age, state
        if changed:
            self._emit(StatusChanged(generation_id=state.generation_id, status=state.status, age=age))
        if state.finished:
            self._emit(Finished(generation_id=state.generation_id, status=state.status, age=age))
            self._end(watched, StatusUpdate(state.generation_id, state.status, state))
            return
        self._look_again(watched, now + self._delay(age))
        if changed:
            for subscription in list(watched.subscriptions):
                self._deliver(subscription, StatusUpdate(state.generation_id, state.status, state))

    def _missed(self, watched: _Watched, error: RequestError, now: float) -> None:
        watched.last_error = error
        if final_for_a_look(error, age=now - watched.born if watched.submitted_here else None):
            self._end(watched, StatusUpdate(watched.generation_id, error=error))
            return
        watched.failures += 1
        wait = backoff(watched.failures, jitter=random.random(), first=0.5)  # noqa: S311 - spreads load, no secret
        self._look_again(watched, now + wait)

    def _look_again(self, watched: _Watched, due: float) -> None:
        if watched.subscriptions:
            self._due.set(watched.generation_id, due)

    def _end(self, watched: _Watched, update: StatusUpdate) -> None:
        """Out, with a last update to everyone who watches."""
        subscriptions, watched.subscriptions = watched.subscriptions, []
        if subscriptions:
            self._remove(watched)
        self._ended(watched.generation_id)
        for subscription in subscriptions:
            subscription.ended = True
            self._deadlines.discard(subscription)
            self._deliver(subscription, update)

    def _deliver(self, subscription: Subscription, update: StatusUpdate) -> None:
        try:
            subscription.deliver(update)
        except Exception:
            _logger.exception(
                "whoever watches generation %s failed to take an update", subscription.generation_id
            )

    # --- a policy may be the caller's own, and broken ---

    def _delay(self, age: float) -> float:
        try:
            delay = float(self._policy.delay(age))
        except Exception:
            _logger.exception("the polling policy failed; looking again in %g s", _FALLBACK_DELAY)
            return _FALLBACK_DELAY
        return max(delay, _SHORTEST_DELAY) if delay < math.inf else _FALLBACK_DELAY

    def _record(self, after: float, at: float, *, finished: bool) -> None:
        try:
            self._policy.record(after, at, finished=finished)
        except Exception:
            _logger.exception("the polling policy failed to record a look")
