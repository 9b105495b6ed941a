"""Pure: the cheapest order of looks for known durations, by dynamic programming over a grid of ages.

Barlow, Hunter & Proschan, "Optimum checking procedures" (1963), state the problem; where the hazard rate h is steady,
the best spacing is near sqrt(2 * request_cost / h). That rule sets how fine the grid is, and serves for what is older
than the grid.
"""

from bisect import bisect_right
from itertools import pairwise
from math import exp, inf, log, sqrt

import attrs

_POINTS_A_LOOK = 5.0
_FEWEST_POINTS = 40.0
_MOST_POINTS = 400.0
_TAIL = log(200.0)  # cumulative hazard at which the grid ends: one generation in 200 is left


@attrs.frozen(kw_only=True)
class Limits:
    """What a look costs, and how near and far looks may be, all in seconds."""

    request_cost: float
    fastest: float
    slowest: float

    def spacing(self, seconds: float, hazard: float) -> float:
        """The spacing for a steady hazard: `hazard` in all over `seconds`."""
        return min(max(sqrt(2.0 * self.request_cost * seconds / hazard), self.fastest), self.slowest)


@attrs.frozen(eq=False)
class LookPlan:
    """When to look next, for every age."""

    _limits: Limits
    _edges: list[float]
    _hazard: list[float]
    _turns: list[float]  # ages half-way between grid ages
    _following: list[float]  # for each grid age: the age of the look after it
    _end: float
    _looks: list[float]  # the looks from age 0 to the end

    def delay(self, age: float) -> float:
        """Seconds from a look at this age (seconds) until the next."""
        if age < self._end:
            wait = self._following[bisect_right(self._turns, age)] - age
            return min(max(wait, self._limits.fastest), self._limits.slowest)
        j = min(bisect_right(self._edges, age), len(self._hazard)) - 1
        return self._limits.spacing(self._edges[j + 1] - self._edges[j], self._hazard[j])

    def look_before(self, age: float) -> float:
        """The age of the last look that the plan has up to this age; 0 before the first."""
        if age < self._end:
            return self._looks[bisect_right(self._looks, age) - 1]
        return max(self._end, age - self.delay(age))


def plan_looks(edges: list[float], hazard: list[float], limits: Limits) -> LookPlan:
    """The cheapest order of looks; `hazard[j]`: the cumulative hazard from `edges[j]` to `edges[j + 1]` (seconds)."""
    ages, alive = _grid(edges, hazard, limits)
    best = _cheapest(ages, alive, limits)
    looks, i = [0.0], 0
    while i < len(ages) - 1:
        i = best[i]
        looks.append(ages[i])
    turns = [(young + old) / 2.0 for young, old in pairwise(ages)]
    return LookPlan(limits, edges, hazard, turns, [ages[i] for i in best], ages[-1], looks)


def _grid(edges: list[float], hazard: list[float], limits: Limits) -> tuple[list[float], list[float]]:
    """Ages from 0 to the tail, a few in each spacing, and the part of the generations unfinished at each."""
    looks: list[float] = []  # in each bin, by the rule
    total = 0.0
    for (young, old), part in zip(pairwise(edges), hazard, strict=True):
        looks.append((old - young) / limits.spacing(old - young, part))
        total += part
        if total > _TAIL:
            break
    count = min(max(_POINTS_A_LOOK * sum(looks), _FEWEST_POINTS), _MOST_POINTS)
    scale = count / sum(looks)
    ages, alive = [0.0], [1.0]
    total, due = 0.0, 1.0  # due: how many points from this edge until the next grid age
    for j, few in enumerate(looks):
        here = few * scale
        while due <= here:
            part = due / here
            ages.append(edges[j] + (edges[j + 1] - edges[j]) * part)
            alive.append(exp(-total - hazard[j] * part))
            due += 1.0
        due -= here
        total += hazard[j]
    ages.append(edges[len(looks)])
    alive.append(exp(-total))
    return ages, alive


def _cheapest(ages: list[float], alive: list[float], limits: Limits) -> list[int]:
    """For each grid age: which grid age the next look is at, in the cheapest order of looks.

    With S the part unfinished and A its integral, a look at b after one at a costs
    S(a) * request_cost + (b - a) * S(a) - (A(b) - A(a)): the lag of those that finish between. The best b never falls as
    a grows (Monge property), so that few b need trying.
    """
    steps = [
        (old - young) * (s + t) / 2.0
        for (young, old), (s, t) in zip(pairwise(ages), pairwise(alive), strict=True)
    ]
    last = len(ages) - 1
    area = sum(steps)
    # ahead[b]: cost from a look at b on, less A(b)
    ahead = [0.0] * len(ages)
    ahead[last] = alive[last] * limits.slowest - area
    best = [last] * len(ages)
    near = far = last
    for i in range(last - 1, -1, -1):
        area -= steps[i]
        age, left = ages[i], alive[i]
        while near > i + 1 and ages[near - 1] >= age + limits.fastest:
            near -= 1
        while far > near and ages[far] > age + limits.slowest:
            far -= 1
        lowest, choice = inf, near
        for b in range(near, max(far, near) + 1):
            cost = ages[b] * left + ahead[b]
            if cost < lowest:
                lowest, choice = cost, b
        best[i] = far = choice
        ahead[i] = (limits.request_cost - age) * left + lowest
    return best
