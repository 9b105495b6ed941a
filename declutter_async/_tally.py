"""Counting outcomes: pure arithmetic for `Batch.progress`."""

from __future__ import annotations

from collections import Counter, deque

import attrs

from declutter_async.outcomes import OutcomeKind, Progress

_WINDOW = 60.0  # seconds over which the rate is taken


@attrs.define
class Tally:
    """Photos read and outcomes so far."""

    total: int | None
    read: int = 0
    _kinds: Counter[OutcomeKind] = attrs.field(factory=Counter[OutcomeKind])
    _began: float | None = None
    # Outcomes in each second of the window.
    _lately: deque[tuple[int, int]] = attrs.field(factory=deque[tuple[int, int]])

    def begin(self, now: float) -> None:
        """The batch starts."""
        self._began = now

    def settled(self, kind: OutcomeKind, now: float) -> None:
        """One more outcome."""
        self._kinds[kind] += 1
        second = int(now)
        count = self._lately.pop()[1] if self._lately and self._lately[-1][0] == second else 0
        self._lately.append((second, count + 1))
        self._forget(now)

    def progress(
        self, *, now: float, submitting: int, running: int, spent: int, balance: int | None
    ) -> Progress:
        """All of it, at one time."""
        self._forget(now)
        seconds = 0.0 if self._began is None else now - self._began
        rate = sum(count for _, count in self._lately) / max(min(seconds, _WINDOW), 1.0)
        total = None if self.total is None else max(self.total, self.read)  # a source may grow meanwhile
        left = None if total is None else total - self._kinds.total()
        return Progress(
            total=total,
            read=self.read,
            kinds={kind: self._kinds[kind] for kind in OutcomeKind},
            submitting=submitting,
            running=running,
            spent=spent,
            balance=balance,
            seconds=seconds,
            rate=rate,
            eta=left / rate if left is not None and rate > 0 else 0.0 if left == 0 else None,
        )

    def _forget(self, now: float) -> None:
        while self._lately and self._lately[0][0] < now - _WINDOW:
            self._lately.popleft()
