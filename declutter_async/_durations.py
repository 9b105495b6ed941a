"""Pure: how long generations take, learned from looks that found them unfinished or finished.

The hazard (chance of finishing) is kept on bins of age that grow by 2 %: finishes over generations at risk, as in a
life table. A finish is known only to lie between two looks; it is shared out over the bins between them by
expectation-maximisation (Turnbull 1976) and then smoothed, the more widely the fewer finishes lie near (Silverman 1986).
Evidence fades bin by bin, by what has passed through that bin since, so that neither the order nor the number of
generations on the way bends the estimate. Memory is fixed.
When new finishes contradict what was learned, all of it is dropped at once.
"""

from bisect import bisect_right
from itertools import accumulate, pairwise
from math import exp, log

import attrs

_YOUNGEST = 0.05  # seconds; the first bin is [0, _YOUNGEST]
_OLDEST = 100_000.0  # seconds; whatever is older counts as this old
_LOG_RATIO = log(1.02)

# The prior's hazard is 1 / (age + _PRIOR_AGE): nearly scale-free, median _PRIOR_AGE seconds, no mean.
_PRIOR_AGE = 10.0
_PRIOR_WEIGHT = 0.5  # generations at risk that the prior is worth in each bin

_EM_ROUNDS = 5
_EM_WEIGHT = 10.0  # finishes that the estimate so far is worth beside the new ones
# This part of each finish is spread by the prior: durations that one look always finds could lie anywhere before it,
# and only some doubt makes an earlier look ever worth its cost.
_DOUBT = 0.03

_LEAST = 1e-9  # of a bin's chance, so that no quotient loses its digits

_NEIGHBOURS = 6.0  # finishes over which one is smoothed
_WIDEST = 60  # bins to each side

_GROWTH = 0.1  # evidence grown by this part makes the estimate stale
_MOST_NEWS = 60.0

_ZONES = 6  # of equal probability, for the test of change
# Finishes that one refresh counts in one zone at most: those found together are not independent.
_ZONE_NEWS = 8.0
_ZONE_FADE = 0.5
_ZONE_DOUBT = 0.5
_CHANGE = 9.0  # log likelihood ratio that only a change is likely to reach (chance: well below 1 % of tests)


def _edges() -> list[float]:
    bins = int(log(_OLDEST / _YOUNGEST) / _LOG_RATIO) + 1
    return [0.0, *(_YOUNGEST * exp(_LOG_RATIO * k) for k in range(bins + 1))]


@attrs.define(eq=False)
class LearnedDurations:
    """Hazard of the durations on bins of age (seconds), `memory` generations deep.

    `hazard[j]` is the cumulative hazard over the bin from `edges[j]` to `edges[j + 1]`: a generation unfinished at
    the one is unfinished at the other with probability `exp(-hazard[j])`.
    """

    memory: float
    edges: list[float] = attrs.field(init=False, factory=_edges)
    hazard: list[float] = attrs.field(init=False)
    _prior: list[float] = attrs.field(init=False)
    _total: list[float] = attrs.field(init=False)  # cumulative hazard at each edge
    _at_risk: list[float] = attrs.field(init=False)
    _finishes: list[float] = attrs.field(init=False)
    # Since the last refresh: changes at each edge of the number that passed unfinished; bins of each finish.
    _passed: list[float] = attrs.field(init=False)
    _found: list[tuple[int, int]] = attrs.field(init=False)
    _news: float = attrs.field(init=False, default=0.0)
    _seen: float = attrs.field(init=False, default=0.0)
    _touched: int = attrs.field(init=False, default=1)  # no look was later than this edge
    _observed: list[float] = attrs.field(init=False)
    _expected: list[float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._prior = [log((_PRIOR_AGE + old) / (_PRIOR_AGE + young)) for young, old in pairwise(self.edges)]
        self._passed = [0.0] * len(self.edges)
        self._found = []
        self._forget()

    def _forget(self) -> None:
        bins = len(self._prior)
        self._at_risk = [0.0] * bins
        self._finishes = [0.0] * bins
        self._observed = [0.0] * _ZONES
        self._expected = [0.0] * _ZONES
        self._seen = 0.0
        self._set_hazard(list(self._prior))

    def _set_hazard(self, hazard: list[float]) -> None:
        self.hazard = hazard
        self._total = list(accumulate(hazard, initial=0.0))

    @property
    def stale(self) -> bool:
        """Whether enough was recorded since the last `refresh` to make another worth its time."""
        return self._news >= min(1.0 + _GROWTH * self._seen, _MOST_NEWS)

    def record(self, after: float, at: float, *, finished: bool) -> None:
        """Note one look: ages in seconds, `after` no greater than `at`; equal means an exact duration."""
        low, high = self._nearest_edge(after), self._nearest_edge(at)
        if not finished:
            # A look that was as good as sure to find nothing is no news.
            self._news += self._total[high] - self._total[low]
            self._passed[low] += 1.0
            self._passed[high] -= 1.0
        else:
            if low == high:
                high = min(bisect_right(self.edges, (after + at) / 2), len(self.edges) - 1)
                low = high - 1
            self._found.append((low, high))
            # A finish where hardly any was expected makes a refresh come sooner.
            self._news += 1.0 + 3.0 * max(0.0, -2.0 - log(self._total[high] - self._total[low]))
        self._touched = max(self._touched, high)

    def _nearest_edge(self, age: float) -> int:
        if age <= _YOUNGEST:
            return int(2.0 * age >= _YOUNGEST)
        if age >= _OLDEST:
            return len(self.edges) - 1
        return round(log(age / _YOUNGEST) / _LOG_RATIO) + 1

    def refresh(self) -> None:
        """Bring `hazard` up to date with all that was recorded."""
        passed = list(accumulate(self._passed[: self._touched]))
        finishes, at_risk = self._share_out(passed)
        if self._changed(finishes, at_risk):
            self._forget()
            finishes, at_risk = self._share_out(passed)
        self._add(finishes, at_risk)
        self._seen = min(self._seen + self._news, 2.0 * self.memory)
        self._news = 0.0
        self._passed = [0.0] * len(self.edges)
        self._found = []
        self._set_hazard(self._smoothed())

    def _share_out(self, passed: list[float]) -> tuple[list[float], list[float]]:
        """For each bin touched: expected new finishes, expected new generations at risk."""
        bins = len(passed)
        total = self._total
        alive = [exp(-x) for x in total[: bins + 1]]
        share = [young - old + _LEAST for young, old in pairwise(alive)]
        if not self._found:
            return [0.0] * bins, passed
        prior_total = list(accumulate(self._prior[:bins], initial=0.0))
        doubt = [x * y for x, y in zip(self._over_found(prior_total, _DOUBT), self._prior, strict=False)]
        weight = _EM_WEIGHT / sum(share)
        before = [weight * x for x in share]
        finishes = share
        for _ in range(_EM_ROUNDS):
            scale = self._over_found(list(accumulate(share, initial=0.0)), 1.0 - _DOUBT)
            finishes = [x * y + z for x, y, z in zip(scale, share, doubt, strict=True)]
            share = [x + y for x, y in zip(finishes, before, strict=True)]
        entering = [0.0] * bins
        for low, _ in self._found:
            entering[low] += 1.0
        gone = accumulate(finishes, initial=0.0)
        at_risk = [
            x + max(entered - left, 0.0)
            for x, entered, left in zip(passed, accumulate(entering), gone, strict=False)
        ]
        return finishes, at_risk

    def _over_found(self, cumulative: list[float], weight: float) -> list[float]:
        """For each bin: `weight` over the mass of each finish's interval, summed over the intervals it lies in."""
        steps = [0.0] * len(cumulative)
        for low, high in self._found:
            part = weight / (cumulative[high] - cumulative[low])
            steps[low] += part
            steps[high] -= part
        return list(accumulate(steps[:-1]))

    def _changed(self, finishes: list[float], at_risk: list[float]) -> bool:
        """Whether the durations are no longer those learned: a likelihood ratio test, zone by zone."""
        known = [_ZONE_DOUBT] * _ZONES
        observed, expected = [0.0] * _ZONES, [0.0] * _ZONES
        for total, hazard, new, risk, old in zip(
            self._total, self.hazard, finishes, at_risk, self._finishes, strict=False
        ):
            zone = min(int(_ZONES * (1.0 - exp(-total))), _ZONES - 1)
            known[zone] += old
            observed[zone] += new
            expected[zone] += (1.0 - exp(-hazard)) * risk
        surprise = 0.0
        for zone in range(_ZONES):
            part = min(1.0, _ZONE_NEWS / max(observed[zone], expected[zone], 1e-300))
            seen = self._observed[zone] = self._observed[zone] * _ZONE_FADE + observed[zone] * part
            due = self._expected[zone] = self._expected[zone] * _ZONE_FADE + expected[zone] * part
            pooled = (known[zone] + seen) / (known[zone] + due)
            surprise -= known[zone] * log(pooled)
            if seen > 0.0 < due:
                surprise += seen * log(seen / due / pooled)
        return surprise >= _CHANGE

    def _add(self, finishes: list[float], at_risk: list[float]) -> None:
        for j, (new, risk) in enumerate(zip(finishes, at_risk, strict=True)):
            if risk > 0.0:
                keep = exp(-risk / self.memory)
                weight = (1.0 - keep) * self.memory / risk  # the new ones fade among themselves
                self._at_risk[j] = self._at_risk[j] * keep + weight * risk
                self._finishes[j] = self._finishes[j] * keep + weight * new

    def _smoothed(self) -> list[float]:
        """The hazard, each bin's spread evenly over the bins around it that hold enough finishes."""
        bins = len(self._prior)
        active = min(self._touched + _WIDEST, bins)
        finishes = [
            new + _PRIOR_WEIGHT * prior
            for new, prior in zip(self._finishes[:active], self._prior, strict=False)
        ]
        below = list(accumulate(finishes, initial=0.0))
        below = [0.0] * _WIDEST + below + [below[-1]] * _WIDEST  # so that no window leaves the list
        steps = [0.0] * (active + 1)
        reach = 0
        for j, (count, at_risk) in enumerate(zip(finishes, self._at_risk, strict=False)):
            middle = j + _WIDEST
            if reach:
                reach -= 1  # windows of neighbours differ by one at most
            while reach < _WIDEST and below[middle + reach + 1] - below[middle - reach] < _NEIGHBOURS:
                reach += 1
            low, high = max(j - reach, 0), min(j + reach + 1, active)
            chance = min(count / (at_risk + _PRIOR_WEIGHT), 0.99)
            part = -log(1.0 - chance) / (high - low)
            steps[low] += part
            steps[high] -= part
        spread = [max(x, _LEAST) for x in accumulate(steps[:active])]
        return spread + self._prior[active:]
