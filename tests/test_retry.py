"""What may be repeated: the money table of the design over every status, and the waits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import errors
from declutter_async._refusals import read_refusal
from declutter_async._retry import (
    FIRST_MINUTE,
    Verdict,
    backoff,
    final_for_a_look,
    is_outage,
    judge,
    worth_repeating,
)
from declutter_async._wire import Answer, Call
from declutter_async.errors import RequestError

CALLS: tuple[Call, ...] = ("generate", "generate-variation", "get")
WITHOUT_ANSWER = (
    errors.ConnectionNotMade,
    errors.ConnectionLost,
    errors.RequestTimeout,
    errors.UnreadableAnswer,
)


def the_table(status: int | None, *, connected: bool, readable: bool) -> Verdict:
    """Section 5, rule 1, row by row, as sets of statuses."""
    if not connected:
        return Verdict.NOT_SENT
    rows = {
        Verdict.NOT_ACCEPTED: {429},
        Verdict.REFUSED: set(range(400, 500)) - {408, 409, 429},
        Verdict.ACCEPTED: set(range(200, 300)) if readable else set(),
    }
    return next((verdict for verdict, statuses in rows.items() if status in statuses), Verdict.UNKNOWN)


def test_judge_is_the_table_for_every_status() -> None:
    cases = itertools.product([None, *range(100, 600)], [True, False], [True, False])
    for status, connected, readable in cases:
        verdict = judge(connected=connected, status=status, readable=readable)
        assert verdict is the_table(status, connected=connected, readable=readable), (
            status,
            connected,
            readable,
        )


def test_what_may_be_paid_for_is_never_repeated() -> None:
    for status in [408, 409, 301, 307, 500, 502, 503, 504, 100, None]:
        assert judge(connected=True, status=status, readable=True) is Verdict.UNKNOWN
    assert judge(connected=True, status=200, readable=False) is Verdict.UNKNOWN


@pytest.mark.parametrize("call", CALLS)
def test_the_error_of_a_status_agrees_with_its_verdict(call: Call) -> None:
    """A refusal is an error that says no; whatever may be paid for is none."""
    for status in [*range(100, 200), *range(300, 600)]:
        error = read_refusal(Answer(status), call, secret="s")
        verdict = judge(connected=True, status=status, readable=False)
        assert isinstance(error, errors.RateLimited) is (verdict is Verdict.NOT_ACCEPTED)
        refused = verdict in {Verdict.REFUSED, Verdict.NOT_ACCEPTED}
        assert isinstance(error, errors.RequestRefused) is refused, status


def test_a_look_is_ended_by_a_refusal_alone() -> None:
    for status in [*range(100, 200), *range(300, 600)]:
        error = read_refusal(Answer(status), "get", secret="s")
        refused = 400 <= status < 500 and status not in {404, 408, 409, 429}
        for age in (None, 0.0, 59.9, 60.0, 1e6):
            old = age is None or age >= FIRST_MINUTE
            assert final_for_a_look(error, age=age) is (refused or (status == 404 and old)), (status, age)
    for cls in WITHOUT_ANSWER:
        assert not final_for_a_look(cls("m"), age=None)


def test_a_read_is_repeated_unless_it_is_refused_or_unreadable() -> None:
    for status in [*range(100, 200), *range(300, 600)]:
        error = read_refusal(Answer(status), "get", secret="s")
        assert worth_repeating(error) is (status >= 500 or status in {408, 409, 429}), status
    assert [worth_repeating(cls("m")) for cls in WITHOUT_ANSWER] == [True, True, True, False]


def test_an_outage_is_no_connection_or_an_error_of_the_service() -> None:
    for status in [*range(100, 200), *range(300, 600)]:
        assert is_outage(read_refusal(Answer(status), "get", secret="s")) is (status >= 500), status
    assert [is_outage(cls("m")) for cls in WITHOUT_ANSWER] == [True, False, False, False]
    assert not is_outage(errors.ServiceUnavailable("without a status"))
    assert not is_outage(None)


@given(st.integers(1, 10**9), st.floats(0, 1), st.floats(0.01, 10), st.floats(1, 100))
def test_waits_double_up_to_the_longest_and_lose_half_at_most(
    failures: int, jitter: float, first: float, factor: float
) -> None:
    longest = first * factor
    wait = backoff(failures, jitter=jitter, first=first, longest=longest)
    ceiling = backoff(failures, jitter=0.0, first=first, longest=longest)
    assert ceiling == pytest.approx(min(first * 2.0 ** min(failures - 1, 60), longest))
    assert ceiling / 2 <= wait <= ceiling
    assert wait > 0
    assert backoff(failures + 1, jitter=jitter, first=first, longest=longest) >= wait


def test_every_request_error_is_either_a_refusal_or_is_tried_here() -> None:
    """A class that is added later must be thought of in this file."""
    direct = {cls for cls in RequestError.__subclasses__() if cls.__module__ == errors.__name__}
    assert direct == {errors.RequestRefused, errors.ServiceUnavailable, *WITHOUT_ANSWER}
