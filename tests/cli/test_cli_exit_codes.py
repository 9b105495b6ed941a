from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import GenerationState, OutcomeKind, Status, StatusUpdate
from declutter_async.cli.exit_codes import ExitCode, account_refused, of_batch, of_error, of_looks
from declutter_async.errors import (
    DeclutterError,
    GenerationTimeout,
    InvalidArgument,
    KeyRefused,
    NoPhotosLeft,
    NotFound,
    NotSubmitted,
    ServiceUnavailable,
    SessionMisuse,
    SubmissionUncertain,
    UnknownUser,
)

UNSETTLED = {OutcomeKind.UNCERTAIN, OutcomeKind.UNFINISHED}
KINDS = st.dictionaries(st.sampled_from(OutcomeKind), st.integers(0, 3))


@given(kinds=KINDS, detached=st.integers(0, 2), refused=st.booleans(), cut_short=st.booleans())
def test_unsettled_money_comes_before_everything(
    *, kinds: dict[OutcomeKind, int], detached: int, refused: bool, cut_short: bool
) -> None:
    code = of_batch(kinds, detached=detached, refused=refused, cut_short=cut_short)
    at_stake = detached > 0 or any(kinds.get(kind, 0) for kind in UNSETTLED)
    assert (code is ExitCode.UNSETTLED) == at_stake
    if not at_stake:
        assert (code is ExitCode.ACCOUNT) == refused


@given(KINDS)
def test_zero_means_that_all_are_delivered(kinds: dict[OutcomeKind, int]) -> None:
    others = sum(count for kind, count in kinds.items() if kind is not OutcomeKind.DELIVERED)
    assert (of_batch(kinds) is ExitCode.DONE) == (others == 0)


@pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.SKIPPED])
def test_what_failed_or_was_skipped_is_one(kind: OutcomeKind) -> None:
    assert of_batch({OutcomeKind.DELIVERED: 9, kind: 1}) is ExitCode.SOME_LEFT


def test_a_batch_that_was_left_before_anything_was_paid_is_one() -> None:
    assert of_batch({}, cut_short=True) is ExitCode.SOME_LEFT


@pytest.mark.parametrize("error", [KeyRefused("x"), UnknownUser("x"), NoPhotosLeft("x")])
def test_a_refused_account_is_four(error: DeclutterError) -> None:
    assert account_refused(error)
    assert of_error(error) is ExitCode.ACCOUNT
    assert (
        of_looks([seen(Status.SUCCEEDED), StatusUpdate("a", error=error), StatusUpdate("b")])
        is ExitCode.ACCOUNT
    )


def test_a_photo_skipped_for_the_account_tells_of_the_account() -> None:
    assert account_refused(NotSubmitted("x", reason="account"))
    assert not account_refused(NotSubmitted("x", reason="budget"))
    assert not account_refused(None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidArgument("x"), ExitCode.BAD_USE),
        (SessionMisuse("x"), ExitCode.BAD_USE),
        (ServiceUnavailable("x"), ExitCode.SOME_LEFT),
        (SubmissionUncertain("x"), ExitCode.UNSETTLED),
        (GenerationTimeout("x", generation_id="id"), ExitCode.UNSETTLED),
    ],
)
def test_an_error_that_ends_a_command(error: DeclutterError, code: ExitCode) -> None:
    assert of_error(error) is code


def seen(status: Status) -> StatusUpdate:
    return StatusUpdate("id", status=status, state=GenerationState("id", status))


@pytest.mark.parametrize(
    ("updates", "code"),
    [
        ([seen(Status.SUCCEEDED)] * 2, ExitCode.DONE),
        ([seen(Status.SUCCEEDED), seen(Status.FAILED)], ExitCode.SOME_LEFT),
        ([seen(Status.FAILED), seen(Status.PROCESSING)], ExitCode.UNSETTLED),
        ([seen(Status.PROCESSING), seen(Status.FAILED)], ExitCode.UNSETTLED),
        ([seen(Status.UNKNOWN)], ExitCode.UNSETTLED),
        ([StatusUpdate("id", error=NotFound("x"))], ExitCode.UNSETTLED),
        ([StatusUpdate("never seen")], ExitCode.UNSETTLED),
    ],
)
def test_the_last_looks(updates: list[StatusUpdate], code: ExitCode) -> None:
    assert of_looks(updates) is code
