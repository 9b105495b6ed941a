"""The schedule against a plain dict, and what it costs."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from declutter_async._schedule import Schedule

KEYS = st.integers(0, 12)
TIMES = st.sampled_from([-1.0, 0.0, 1.0, 2.0, 1e9]) | st.floats(allow_nan=False)
OPERATIONS = st.lists(
    st.tuples(st.just("set"), KEYS, TIMES)
    | st.tuples(st.sampled_from(["discard", "first"]), KEYS, st.just(0.0)),
    max_size=120,
)


@given(OPERATIONS)
def test_it_is_a_dict_with_a_first(operations: list[tuple[str, int, float]]) -> None:
    schedule: Schedule[int] = Schedule()
    model: dict[int, tuple[float, int]] = {}
    count = itertools.count()
    for name, key, time in operations:
        if name == "set":
            schedule.set(key, time)
            model[key] = (time, next(count))
        elif name == "discard":
            schedule.discard(key)
            model.pop(key, None)
        else:
            earliest = min(((turn, key) for key, turn in model.items()), default=None)
            assert schedule.first() == (None if earliest is None else (earliest[0][0], earliest[1]))
        assert len(model) <= len(schedule) <= 2 * len(model)


@given(st.lists(st.tuples(KEYS, TIMES), max_size=60))
def test_it_is_emptied_in_the_order_of_the_times(entries: list[tuple[int, float]]) -> None:
    schedule: Schedule[int] = Schedule()
    for key, time in entries:
        schedule.set(key, time)
    order = []
    while (first := schedule.first()) is not None:
        order.append(first)
        schedule.discard(first[1])
    last = {key: (time, index) for index, (key, time) in enumerate(entries)}
    assert order == [(time, key) for (time, _), key in sorted((turn, key) for key, turn in last.items())]
    assert len(schedule) == 0


def test_keys_need_no_order_of_their_own() -> None:
    schedule: Schedule[object] = Schedule()
    keys = [object(), "text", 5, None, (1,)]
    for key in keys:
        schedule.set(key, 1.0)
    for key in keys:
        assert schedule.first() == (1.0, key)
        schedule.discard(key)


def test_a_key_that_is_put_off_for_ever_leaves_nothing_behind() -> None:
    schedule: Schedule[int] = Schedule()
    for turn in range(100_000):
        schedule.set(turn % 100, float(turn))
        assert len(schedule) <= 200
    for key in range(100):
        schedule.discard(key)
    assert len(schedule) == 0
    assert schedule.first() is None
