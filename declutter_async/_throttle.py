"""One gate for all requests of a session: the rate, Retry-After and outages, found out once for everyone.

The rate is adapted as TCP does it (additive increase, multiplicative decrease; Chiu and Jain, 1989): a 429 halves
it, every second of success adds to it. An outage closes the gate; then one request at a time goes ahead to see
whether it is over, a read before a paid one.
"""

from __future__ import annotations

import asyncio
import copy
import math
import random
from collections import deque
from collections.abc import Callable

import attrs

from declutter_async._retry import backoff, is_outage
from declutter_async.errors import DeclutterError, RateLimited, RequestError
from declutter_async.events import Throttled

_SLOWEST_RATE = 0.1  # requests a second: below this, waiting is what Retry-After is for
_CATCH_UP = 0.05  # seconds by which late timers may be made good, so that the rate is kept on the average


@attrs.frozen(eq=False)
class Pass:
    """Leave to make one request. It must come back by `report` or `give_back`."""

    at: float
    probe: bool


@attrs.define(eq=False)
class _Waiter:
    paid: bool
    patient: bool
    future: asyncio.Future[Pass | DeclutterError]


class Gate:
    """Lets requests through, in the order in which they asked."""

    def __init__(
        self,
        *,
        requests_per_second: float | None,
        outage_timeout: float,
        emit: Callable[[Throttled], None],
    ) -> None:
        """Args: a ceiling in requests a second, the seconds for which trouble is waited out, an observer."""
        self._ceiling = requests_per_second
        self._outage_timeout = outage_timeout
        self._emit = emit
        self._rate = requests_per_second
        self._step = 1.0  # requests a second that each second of success adds to the rate
        self._next_place = -math.inf  # when the rate allows the next request
        self._level = 0.0  # requests let through in the last second or so, fading
        self._level_at = 0.0
        self._closed_until = -math.inf
        self._trouble_at = -math.inf  # when it last closed or slowed
        self._trouble_since: float | None = None  # since when nothing succeeded
        self._trouble: RequestError | None = None
        self._outages = 0  # in a row
        self._probing = False
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._shut_by: DeclutterError | None = None

    @property
    def rate(self) -> float | None:
        """Requests a second that are let through at most; None: as many as come."""
        return self._rate

    async def enter(self, *, paid: bool) -> Pass:
        """Wait for a pass. Raises the trouble itself once it has lasted longer than is waited out."""
        got = self.ask(paid=paid)
        if isinstance(got, Pass):
            return got
        try:
            answer = await got
        except asyncio.CancelledError:
            self.withdraw(got)
            raise
        if isinstance(answer, Pass):
            return answer
        raise answer

    def ask(self, *, paid: bool, patient: bool = False) -> Pass | asyncio.Future[Pass | DeclutterError]:
        """A pass at once, or the promise of one, or of the trouble once that has lasted too long.

        Whoever is patient waits for ever.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._shut_by is None and not self._waiters and self._wait(now) <= 0:
            return self._let_through(now)
        waiter = _Waiter(paid, patient, loop.create_future())
        self._waiters.append(waiter)
        self._serve()
        return waiter.future

    def withdraw(self, promise: asyncio.Future[Pass | DeclutterError]) -> None:
        """Nobody waits for this promise any more; a pass that it already holds goes back."""
        if promise.done() and not promise.cancelled() and isinstance(got := promise.result(), Pass):
            self.give_back(got)
        promise.cancel()
        self._serve()

    def give_back(self, leave: Pass) -> None:
        """The request was not made after all."""
        if leave.probe:
            self._probing = False
        self._serve()

    def report(self, leave: Pass, error: RequestError | None) -> None:
        """How the request ended; None or an error that says nothing of the service as a whole is a success."""
        now = asyncio.get_running_loop().time()
        if leave.probe:
            self._probing = False
        if isinstance(error, RateLimited):
            self._slow_down(leave, error, now)
        elif error is not None and is_outage(error):
            self._close(leave, error, now)
        elif leave.probe and error is not None and error.status is None:
            # It got no answer at all: the outage goes on, or every paid request in line would be lost to it.
            self._close(leave, error, now)
        elif leave.at >= self._trouble_at and (error is None or error.status is not None):
            self._trouble_since = self._trouble = None
            self._outages = 0
            self._speed_up()
        self._serve()

    def shut(self, error: DeclutterError) -> None:
        """For good: everyone who waits or comes gets this error."""
        self._shut_by = error
        self._serve()

    def _wait(self, now: float) -> float:
        """Seconds until a request may go; infinite while a probe is on its way."""
        if self._closed_until > now:
            return self._closed_until - now
        if self._outages and self._probing:
            return math.inf
        if self._rate is not None and self._next_place > now:
            return self._next_place - now
        return 0.0

    def _let_through(self, now: float) -> Pass:
        if self._rate is not None:
            self._next_place = max(self._next_place, now - _CATCH_UP) + 1.0 / self._rate
        self._level = self._observed(now) + 1.0
        self._level_at = now
        probe = self._outages > 0
        self._probing = self._probing or probe
        return Pass(now, probe)

    def _observed(self, now: float) -> float:
        """Requests a second that went through lately."""
        return self._level * math.exp(min(self._level_at - now, 0.0))

    def _serve(self) -> None:
        """Let through whoever may go now, and wake up when the next may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shut_by is not None:
            self._refuse(self._shut_by, patient_too=True)
        loop = asyncio.get_running_loop()
        while self._waiters:
            if self._waiters[0].future.done():
                self._waiters.popleft()
                continue
            now = loop.time()
            wait = self._wait(now)
            if wait <= 0:
                waiter = self._next_waiter()
                if waiter is not None:
                    waiter.future.set_result(self._let_through(now))
                continue
            if self._trouble is not None and self._trouble_since is not None:
                patience = self._trouble_since + self._outage_timeout - now
                if patience <= 0:
                    self._refuse(self._trouble, patient_too=False)
                else:
                    wait = min(wait, patience)
            if wait < math.inf:
                self._timer = loop.call_later(wait, self._serve)
            return

    def _next_waiter(self) -> _Waiter | None:
        """The first in line; while an outage lasts the first that only reads, since a paid probe may cost."""
        if self._outages:
            for waiter in self._waiters:
                if not waiter.paid and not waiter.future.done():
                    self._waiters.remove(waiter)
                    return waiter
        waiter = self._waiters.popleft()
        return None if waiter.future.done() else waiter

    def _refuse(self, error: DeclutterError, *, patient_too: bool) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if waiter.patient and not patient_too:
                self._waiters.append(waiter)
            elif not waiter.future.done():
                waiter.future.set_result(copy.copy(error))

    def _slow_down(self, leave: Pass, error: RateLimited, now: float) -> None:
        news = leave.at >= self._trouble_at  # else it left before the last slowing: the same incident
        wait = error.retry_after
        if news:
            base = self._observed(now) if self._rate is None else min(self._rate, self._observed(now) + 1.0)
            self._rate = max(base / 2.0, _SLOWEST_RATE)
            self._step = max(base / 10.0, 1.0)
            self._next_place = max(self._next_place, now)
            if wait is None:
                wait = backoff(1, jitter=random.random(), first=1.0)  # noqa: S311 - spreads load, no secret
        if wait is not None:
            self._shut_until(now + wait, error, now, news=news)

    def _speed_up(self) -> None:
        if self._rate is None:
            return
        faster = self._rate + self._step / self._rate
        self._rate = faster if self._ceiling is None else min(faster, self._ceiling)

    def _close(self, leave: Pass, error: RequestError, now: float) -> None:
        news = leave.at >= self._trouble_at
        if news:
            self._outages += 1
        wait = backoff(max(self._outages, 1), jitter=random.random())  # noqa: S311 - spreads load, no secret
        if news or error.retry_after is not None:
            trouble = error if is_outage(error) or self._trouble is None else self._trouble
            self._shut_until(now + max(wait, error.retry_after or 0.0), trouble, now, news=news)

    def _shut_until(self, until: float, error: RequestError, now: float, *, news: bool) -> None:
        self._trouble = error
        if self._trouble_since is None:
            self._trouble_since = now
        self._closed_until = max(self._closed_until, until)
        self._level = self._observed(now)
        self._level_at = self._closed_until  # a pause that was asked for says nothing about the rate
        if news:
            self._trouble_at = now
            self._emit(Throttled(error=error, wait=max(self._closed_until - now, 0.0), rate=self._rate))
