"""What ends a batch early, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import OutcomeKind
from declutter_async._early_end import IDENTICAL_REFUSALS, EarlyEnd, kind_of_refusal
from declutter_async.errors import (
    BadRequest,
    ConnectionNotMade,
    DeclutterError,
    InvalidArgument,
    KeyRefused,
    NoPhotosLeft,
    NotFound,
    NotSubmitted,
    RateLimited,
    SessionMisuse,
    UnknownUser,
)

ALIKE = BadRequest("generate: no", status=400, service_message="no")
OTHER = BadRequest("generate: not that", status=400, service_message="not that")


@pytest.mark.parametrize(
    "error", [KeyRefused("k", status=401), UnknownUser("u"), NoPhotosLeft("n", status=402)]
)
def test_a_refusal_of_the_account_ends_it_at_once(error: DeclutterError) -> None:
    for ask in (EarlyEnd().not_accepted, EarlyEnd().looked):
        why = ask(error)
        assert why is not None
        assert (why.reason, why.__cause__, why.money) == ("account", error, "none")
    assert kind_of_refusal(error) is OutcomeKind.SKIPPED


def test_looks_count_for_nothing_else() -> None:
    end = EarlyEnd()
    assert all(end.looked(error) is None for error in [None, NotFound("n"), *[ALIKE] * 50])


def test_twenty_alike_and_nothing_else() -> None:
    end = EarlyEnd()
    answers = [end.not_accepted(ALIKE) for _ in range(IDENTICAL_REFUSALS)]
    assert answers[:-1] == [None] * (IDENTICAL_REFUSALS - 1)
    assert answers[-1] is not None
    assert answers[-1].reason == "refusals"


@given(st.lists(st.sampled_from(["alike", "other", "accepted", "ours"]), max_size=120))
def test_only_an_unbroken_row_ends_it(story: list[str]) -> None:
    end, row, last, ended, expected = EarlyEnd(), 0, "", False, False
    for step in story:
        if step == "accepted":
            end.accepted()
            row = 0
        elif step == "ours":  # never sent by us: says nothing about the service
            assert end.not_accepted(NotSubmitted("n", reason="stopped")) is None
        else:
            ended |= end.not_accepted(ALIKE if step == "alike" else OTHER) is not None
            row = row + 1 if step == last and row else 1
            last = step
            expected |= row >= IDENTICAL_REFUSALS
    assert ended == expected


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ALIKE, OutcomeKind.FAILED),
        (InvalidArgument("i"), OutcomeKind.FAILED),
        (RateLimited("r", status=429), OutcomeKind.SKIPPED),
        (ConnectionNotMade("c"), OutcomeKind.SKIPPED),
        (SessionMisuse("s"), OutcomeKind.SKIPPED),
        (NotSubmitted("n", reason="budget"), OutcomeKind.SKIPPED),
    ],
)
def test_refused_is_failed_and_never_sent_is_skipped(error: DeclutterError, kind: OutcomeKind) -> None:
    assert kind_of_refusal(error) is kind
