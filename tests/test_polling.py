import pickle
import random
from bisect import bisect_left
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import pairwise
from math import exp, inf, isfinite, log, nan, sqrt
from statistics import NormalDist, fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from declutter_async.polling import AdaptivePolling, FixedPolling, PollingPolicy

COST = 0.5
SAMPLES = 1000

# A distribution is its quantile function: a part of 1 -> seconds.
Quantile = Callable[[float], float]


def log_normal(median: float, sigma: float) -> Quantile:
    return lambda part: median * exp(sigma * NormalDist().inv_cdf(part))


def two_kinds(part: float) -> float:
    quick, slow = log_normal(25.0, 0.2), log_normal(180.0, 0.2)
    return quick(2.0 * part) if part < 0.5 else slow(2.0 * part - 1.0)


def exponential(part: float) -> float:
    return -60.0 * log(1.0 - part)


def fixed(_: float) -> float:
    return 60.0


def durations_of(quantile: Quantile) -> list[float]:
    return [quantile((i + 0.5) / SAMPLES) for i in range(SAMPLES)]


def looks_until(policy: PollingPolicy, end: float) -> list[float]:
    looks = [policy.delay(0.0)]
    while looks[-1] < end:
        looks.append(looks[-1] + policy.delay(looks[-1]))
    return looks


def cost_of(looks: list[float], durations: list[float], request_cost: float = COST) -> float:
    """Mean cost of one generation's being watched by this order of looks."""
    found = [bisect_left(looks, duration) for duration in durations]
    return fmean((i + 1) * request_cost + looks[i] - t for i, t in zip(found, durations, strict=True))


def policy_cost(policy: PollingPolicy, quantile: Quantile, request_cost: float = COST) -> float:
    durations = durations_of(quantile)
    return cost_of(looks_until(policy, durations[-1]), durations, request_cost)


def best_cost(quantile: Quantile, request_cost: float = COST) -> float:
    """The cheapest order of looks by dynamic programming; each is best just when some duration ends."""
    durations = durations_of(quantile)
    ahead = [0.0] * (SAMPLES + 1)
    for i in range(SAMPLES - 1, -1, -1):
        lowest, lag = inf, 0.0
        for j in range(i, SAMPLES):
            lag += (j - i) * (durations[j] - durations[j - 1]) if j > i else 0.0
            if lag >= lowest:
                break
            lowest = min(lowest, lag + ahead[j + 1])
        ahead[i] = request_cost * (SAMPLES - i) + lowest
    return ahead[0] / SAMPLES


def best_fixed_cost(quantile: Quantile) -> float:
    """The best interval chosen in hindsight."""
    durations = durations_of(quantile)
    return min(
        policy_cost(FixedPolling(0.5 * 1.05**k), quantile)
        for k in range(140)
        if 0.5 * 1.05**k < 2.0 * durations[-1]
    )


def rule_looks(learned: AdaptivePolling, end: float) -> list[float]:
    """Spacing sqrt(2 * request_cost / hazard) by the hazard that a policy has learned, without planning: a look wherever
    the integral of one over the spacing passes a whole number."""
    edges, hazard = learned._durations.edges, learned._durations.hazard
    looks, due = [], 1.0
    for (young, old), part in zip(pairwise(edges), hazard, strict=True):
        here = sqrt((old - young) * part / (2.0 * learned.request_cost))
        while due <= here:
            looks.append(young + (old - young) * due / here)
            due += 1.0
        due -= here
        if looks and looks[-1] >= end:
            break
    return looks


def watch(policy: PollingPolicy, durations: list[float]) -> None:
    """One generation after another."""
    for duration in durations:
        after, finished = 0.0, False
        while not finished:
            at = after + policy.delay(after)
            finished = at >= duration
            policy.record(after, at, finished=finished)
            after = at


def watch_at_once(policy: PollingPolicy, durations: list[float]) -> None:
    """All submitted at the same moment, looked at in the order in which looks are due."""
    due = [(policy.delay(0.0), i, 0.0) for i in range(len(durations))]
    while due:
        at, i, after = heappop(due)
        policy.record(after, at, finished=at >= durations[i])
        if at < durations[i]:
            heappush(due, (at + policy.delay(at), i, at))


def drawn(quantile: Quantile, count: int, seed: int = 0) -> list[float]:
    rng = random.Random(seed)
    return [quantile(rng.random()) for _ in range(count)]


def taught(quantile: Quantile, count: int = 200, **options: Any) -> AdaptivePolling:
    policy = AdaptivePolling(**options)
    watch(policy, drawn(quantile, count))
    return policy


AGES = st.one_of(
    st.floats(0.0, 1e300), st.floats(0.0, 2000.0), st.sampled_from([0.0, 1e-320, 0.05, 1e5, 1.7e308])
)
RECORDS = st.lists(st.tuples(AGES, AGES, st.booleans()), max_size=60)


@given(
    records=RECORDS,
    ages=st.lists(AGES, min_size=1, max_size=5),
    request_cost=st.floats(1e-6, 1e6),
    fastest=st.floats(1e-6, 1e3),
    ratio=st.floats(1.0, 1e6),
    memory=st.floats(1e-3, 1e9),
)
@settings(deadline=None, max_examples=60)
def test_a_delay_is_always_between_fastest_and_slowest(
    records: list[tuple[float, float, bool]],
    ages: list[float],
    request_cost: float,
    fastest: float,
    ratio: float,
    memory: float,
) -> None:
    slowest = fastest * ratio
    policy = AdaptivePolling(request_cost=request_cost, fastest=fastest, slowest=slowest, memory=memory)
    for after, at, finished in records:
        policy.record(after, at, finished=finished)
    for age in ages:
        delay = policy.delay(age)
        assert isfinite(delay)
        assert fastest <= delay <= slowest


@pytest.mark.parametrize("tiny", [1e-300, 5e-324])
@pytest.mark.parametrize("huge", [1e300, 1.7e308])
def test_extreme_options_still_give_a_plan(tiny: float, huge: float) -> None:
    for request_cost in (tiny, huge):
        policy = AdaptivePolling(request_cost=request_cost, fastest=tiny, slowest=huge, memory=tiny)
        watch(policy, [0.0])
        policy.record(0.0, 50.0, finished=True)
        assert tiny <= policy.delay(0.0) <= huge


@given(records=RECORDS, ages=st.lists(AGES, min_size=1, max_size=5))
@settings(deadline=None, max_examples=30)
def test_the_same_records_give_the_same_delays_and_asking_changes_nothing(
    records: list[tuple[float, float, bool]], ages: list[float]
) -> None:
    asked, silent = AdaptivePolling(), AdaptivePolling()
    for after, at, finished in records:
        asked.record(after, at, finished=finished)
        for age in ages:
            asked.delay(age)
        silent.record(at, after, finished=finished)  # either order of the two ages means the same
    assert [asked.delay(age) for age in ages] == [silent.delay(age) for age in ages]


def test_a_fresh_policy_suits_a_service_that_takes_minutes() -> None:
    looks = looks_until(AdaptivePolling(), 1800.0)
    gaps = [b - a for a, b in pairwise(looks)]
    assert 1.0 < looks[0] < 10.0
    assert 8 < bisect_left(looks, 90.0) < 20
    # The gaps widen with age, but for the grid's grain and the last few before its end.
    assert fmean(gaps[:5]) < fmean(gaps[10:15]) < fmean(gaps[25:30])
    assert max(gaps) < 60.0


@pytest.mark.parametrize(
    "quantile",
    [log_normal(90.0, 0.5), log_normal(90.0, 0.2), two_kinds, exponential, log_normal(1.5, 0.5)],
    ids=["sigma 0.5", "sigma 0.2", "two kinds", "exponential", "emulator"],
)
def test_after_200_finishes_the_cost_is_near_the_best_possible(quantile: Quantile) -> None:
    cost = policy_cost(taught(quantile, slowest=600.0), quantile)
    assert cost <= 1.15 * best_cost(quantile)
    assert cost <= 1.1 * best_fixed_cost(quantile)


@pytest.mark.parametrize("quantile", [log_normal(90.0, 0.2), two_kinds], ids=["narrow", "two kinds"])
def test_where_durations_are_narrow_or_of_two_kinds_planning_beats_every_simpler_way(
    quantile: Quantile,
) -> None:
    policy = taught(quantile, slowest=600.0)
    cost = policy_cost(policy, quantile)
    assert cost <= 0.8 * best_fixed_cost(quantile)
    durations = durations_of(quantile)
    assert cost < cost_of(rule_looks(policy, durations[-1]), durations)


def test_the_same_duration_every_time_takes_few_looks_and_little_lag() -> None:
    policy = taught(fixed)
    looks = looks_until(policy, 60.0)
    assert len(looks) <= 3
    assert looks[-1] - 60.0 <= 1.5
    assert policy_cost(policy, fixed) <= 0.25 * policy_cost(FixedPolling(), fixed)


def test_the_first_twenty_cost_less_than_twice_the_best() -> None:
    quantile = log_normal(90.0, 0.5)
    durations = drawn(quantile, 20)
    policy, cost = AdaptivePolling(), 0.0
    for duration in durations:
        cost += cost_of(looks_until(policy, duration), [duration])
        watch(policy, [duration])
    assert cost / 20 <= 2.0 * best_cost(quantile)


def test_exact_durations_from_a_webhook_teach_as_well() -> None:
    quantile, policy = log_normal(90.0, 0.3), AdaptivePolling()
    for duration in drawn(quantile, 200):
        after = 0.0
        while (at := after + policy.delay(after)) < duration:
            policy.record(after, at, finished=False)
            after = at
        policy.record(duration, duration, finished=True)
    assert policy_cost(policy, quantile) <= 1.15 * best_cost(quantile)


def test_a_webhook_delivery_far_later_than_any_other_hardly_moves_the_plan() -> None:
    quantile = log_normal(90.0, 0.3)
    policy = taught(quantile)
    before = policy_cost(policy, quantile)
    for _ in range(3):
        policy.record(5000.0, 5000.0, finished=True)
    assert policy_cost(policy, quantile) <= 1.1 * before


def test_a_wave_submitted_at_once_is_not_mistaken_for_quick_generations() -> None:
    quantile, policy = log_normal(90.0, 0.4), AdaptivePolling()
    durations = drawn(quantile, 400)
    watch_at_once(policy, durations)
    assert policy_cost(policy, quantile) <= 1.2 * best_cost(quantile)


@pytest.mark.parametrize("factor", [0.2, 5.0])
@pytest.mark.parametrize("quantile", [log_normal(60.0, 0.5), log_normal(60.0, 0.2)], ids=["wide", "narrow"])
def test_when_durations_change_it_learns_anew_within_some_tens(quantile: Quantile, factor: float) -> None:
    def changed(part: float) -> float:
        return factor * quantile(part)

    policy = taught(quantile)
    before = policy_cost(policy, changed)
    watch(policy, drawn(changed, 60, seed=1))
    after = policy_cost(policy, changed)
    assert before >= 1.5 * best_cost(changed)
    assert after <= 1.4 * best_cost(changed)


def test_a_service_that_never_finishes_is_looked_at_as_seldom_as_allowed() -> None:
    policy = taught(log_normal(90.0, 0.3))
    for _ in range(100):
        after = 0.0
        while after < 1800.0:
            at = after + policy.delay(after)
            policy.record(after, at, finished=False)
            after = at
    looks = looks_until(policy, 1800.0)
    assert len(looks) <= 33
    watch(policy, drawn(log_normal(90.0, 0.3), 100))  # it recovers
    assert policy_cost(policy, log_normal(90.0, 0.3)) <= 1.25 * best_cost(log_normal(90.0, 0.3))


def test_a_dearer_look_means_fewer_looks() -> None:
    quantile = log_normal(90.0, 0.5)
    end = quantile(0.9)
    counts = [len(looks_until(taught(quantile, request_cost=cost), end)) for cost in (0.1, 0.5, 2.0, 8.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2 * counts[-1]


def test_a_look_in_between_is_followed_by_the_next_planned_one() -> None:
    policy = taught(log_normal(90.0, 0.2), slowest=600.0)
    first = policy.delay(0.0)
    assert first > 40.0
    # A look at 20 seconds that somebody else asked for moves the next one hardly at all.
    assert 20.0 + policy.delay(20.0) == pytest.approx(first, rel=0.05)


def test_memory_is_fixed() -> None:
    policy = AdaptivePolling(memory=1e9)
    quantile = log_normal(90.0, 0.5)
    sizes = []
    for count in (300, 1500):
        watch(policy, drawn(quantile, count))
        sizes.append(len(pickle.dumps(policy)))
    assert sizes[1] <= 1.2 * sizes[0]


@pytest.mark.parametrize("name", ["request_cost", "fastest", "slowest", "memory"])
@pytest.mark.parametrize("value", [0.0, -1.0, nan, inf])
def test_bad_options_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        AdaptivePolling(**{name: value})


def test_slowest_below_fastest_is_refused() -> None:
    with pytest.raises(ValueError, match="slowest must not be below fastest"):
        AdaptivePolling(fastest=2.0, slowest=1.0)


@pytest.mark.parametrize("age", [-1.0, nan, inf])
def test_what_is_no_age_is_refused(age: float) -> None:
    policy = AdaptivePolling()
    with pytest.raises(ValueError, match="age"):
        policy.delay(age)
    with pytest.raises(ValueError, match="after"):
        policy.record(age, 1.0, finished=False)
    with pytest.raises(ValueError, match="at must"):
        policy.record(1.0, age, finished=True)


def test_fixed_polling_never_changes() -> None:
    policy: PollingPolicy = FixedPolling(2.0)
    policy.record(0.0, 2.0, finished=True)
    assert policy.delay(0.0) == policy.delay(1e6) == 2.0
    assert FixedPolling().delay(0.0) == 5.0
    for value in (0.0, -1.0, nan, inf):
        with pytest.raises(ValueError, match="interval"):
            FixedPolling(value)


def test_repr_is_short() -> None:
    text = repr(AdaptivePolling())
    assert text == "AdaptivePolling(request_cost=0.5, fastest=0.5, slowest=60.0, memory=150.0)"
