"""Pure: when to look again at a generation that has not finished.

A policy has no clock and does no I/O. One policy serves any number of watched generations. Ages are seconds since
submission.
"""

from math import inf
from typing import Protocol

import attrs

from declutter_async._durations import LearnedDurations
from declutter_async._look_plan import Limits, LookPlan, plan_looks
from declutter_async.errors import InvalidArgument


class PollingPolicy(Protocol):
    """When to look again. Any object with these two methods serves."""

    def delay(self, age: float) -> float:
        """Seconds from a look at this age until the next look; age 0: just submitted."""
        ...

    def record(self, after: float, at: float, *, finished: bool) -> None:
        """Learn from a look that was answered.

        `after` is the age at the look before (0 at first), `at` the age at this one. A finished generation became
        ready between the two; equal ages give an exact duration (a webhook's delivery). A look that failed, or
        whose answer was lost, is not recorded: the next one then reaches back to the last that was answered.
        """
        ...


def _positive(_: object, attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0.0 < value < inf:
        raise InvalidArgument(f"{attribute.name} must be a finite number above 0, got {value!r}")


def _checked(name: str, age: float) -> float:
    if not 0.0 <= age < inf:
        raise ValueError(f"{name} must be an age: a finite number of seconds, 0 or more, got {age!r}")
    return age


@attrs.frozen
class FixedPolling:
    """A look every `interval` seconds."""

    interval: float = attrs.field(default=5.0, validator=_positive)

    def delay(self, age: float) -> float:
        """The interval, at every age."""
        _checked("age", age)
        return self.interval

    def record(self, after: float, at: float, *, finished: bool) -> None:
        """Learns nothing."""


@attrs.define(eq=False, kw_only=True)
class AdaptivePolling:
    """Learns how long generations take, and plans the looks that cost least.

    The cost of one generation is `looks * request_cost` plus the seconds between ready and known. After a few dozen
    finishes the cost is within some percent of that of the best order of looks. When the service becomes slower
    or faster, what was learned is dropped and learned anew.

    Args:
        request_cost: Seconds of waiting that one look is worth. Greater: fewer looks, later news.
        fastest: Seconds between two looks at least.
        slowest: Seconds between two looks at most.
        memory: Generations after which what was seen has faded to a third.
    """

    request_cost: float = attrs.field(default=0.5, validator=_positive)
    fastest: float = attrs.field(default=0.5, validator=_positive)
    slowest: float = attrs.field(default=60.0, validator=_positive)
    memory: float = attrs.field(default=150.0, validator=_positive)
    _durations: LearnedDurations = attrs.field(init=False, repr=False)
    _plan: LookPlan = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.slowest < self.fastest:
            raise InvalidArgument(
                f"slowest must not be below fastest, got slowest={self.slowest!r}, fastest={self.fastest!r}"
            )
        self._durations = LearnedDurations(self.memory)
        self._plan = self._planned()

    def _planned(self) -> LookPlan:
        limits = Limits(request_cost=self.request_cost, fastest=self.fastest, slowest=self.slowest)
        return plan_looks(self._durations.edges, self._durations.hazard, limits)

    def delay(self, age: float) -> float:
        """Seconds until the next look, from `fastest` to `slowest`. Raises ValueError for what is no age."""
        return self._plan.delay(_checked("age", age))

    def record(self, after: float, at: float, *, finished: bool) -> None:
        """Learn from a look that was answered. Raises ValueError for what is no age."""
        low, high = sorted((_checked("after", after), _checked("at", at)))
        if finished and low == high:
            # An exact duration tells no earlier look; up to it the generation was unfinished since the last planned one.
            self._durations.record(self._plan.look_before(high), high, finished=False)
        self._durations.record(low, high, finished=finished)
        # Planning takes a millisecond or two, so it waits until there is some news.
        if self._durations.stale:
            self._durations.refresh()
            self._plan = self._planned()
