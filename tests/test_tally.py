"""Progress: exact totals, a rate over the last minute, and a time left that is never nonsense."""

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import OutcomeKind, Progress
from declutter_async._tally import Tally

KINDS = st.sampled_from(OutcomeKind)


def progress(tally: Tally, now: float) -> Progress:
    return tally.progress(now=now, submitting=3, running=2, spent=1, balance=9)


def test_nothing_yet() -> None:
    tally = Tally(total=None)
    tally.begin(100.0)
    assert progress(tally, 100.0) == Progress(
        total=None,
        read=0,
        kinds=dict.fromkeys(OutcomeKind, 0),
        submitting=3,
        running=2,
        spent=1,
        balance=9,
        seconds=0.0,
        rate=0.0,
        eta=None,
    )
    empty = Tally(total=0)
    empty.begin(100.0)
    assert progress(empty, 100.0).eta == 0.0


@given(
    st.floats(0, 1e6),
    st.lists(st.tuples(KINDS, st.floats(0, 30)), max_size=60),
    st.none() | st.integers(0, 100),
    st.floats(0, 100),
)
def test_totals_rate_and_time_left(
    began: float, outcomes: list[tuple[OutcomeKind, float]], total: int | None, idle: float
) -> None:
    tally = Tally(total=total)
    tally.begin(began)
    now, times = began, []
    for kind, wait in outcomes:
        now += wait
        times.append(now)
        tally.read += 1
        tally.settled(kind, now)
    now += idle
    seen = progress(tally, now)
    assert seen.done == len(outcomes) == sum(seen.kinds.values())
    assert {kind: count for kind, count in seen.kinds.items() if count} == {
        kind: count for kind in OutcomeKind if (count := [k for k, _ in outcomes].count(kind))
    }
    assert seen.seconds == pytest.approx(now - began)
    # The window is kept in whole seconds: what is 59 to 60 seconds old may be in it or not.
    window = max(min(now - began, 60.0), 1.0)
    young, old = (sum(now - time < limit for time in times) for limit in (58.99, 60.01))
    assert young / window <= seen.rate + 1e-9
    assert seen.rate <= old / window + 1e-9
    if total is None:
        assert seen.total is None
        assert seen.eta is None
    else:
        assert seen.total == max(total, len(outcomes))
        left = seen.total - len(outcomes)
        if seen.rate:
            assert seen.eta == pytest.approx(left / seen.rate)
        else:
            assert seen.eta == (None if left else 0.0)
    assert seen.eta is None or (seen.eta >= 0 and math.isfinite(seen.eta))


def test_a_burst_at_the_very_start_is_no_absurd_rate() -> None:
    tally = Tally(total=10)
    tally.begin(0.0)
    tally.settled(OutcomeKind.FAILED, 0.0)
    assert progress(tally, 0.0).rate == 1.0


def test_a_list_that_grows_while_it_is_read_has_no_negative_time_left() -> None:
    tally = Tally(total=2)
    tally.begin(0.0)
    for second in range(5):
        tally.read += 1
        tally.settled(OutcomeKind.DELIVERED, float(second))
    seen = progress(tally, 5.0)
    assert (seen.total, seen.eta) == (5, 0.0)


def test_memory_is_a_minute_whatever_the_batch() -> None:
    tally = Tally(total=None)
    tally.begin(0.0)
    for turn in range(50_000):
        tally.settled(OutcomeKind.DELIVERED, turn / 100)
    assert len(tally._lately) <= 61
    assert progress(tally, 500.0).rate == pytest.approx(100, rel=0.05)
    assert attrs.asdict(progress(tally, 1000.0))["rate"] == 0.0
