"""What dooms every photo of a batch, so that it ends early: pure."""

from __future__ import annotations

import attrs

from declutter_async.errors import (
    DeclutterError,
    InvalidArgument,
    KeyRefused,
    NoPhotosLeft,
    NotSubmitted,
    RateLimited,
    RequestError,
    RequestRefused,
    UnknownUser,
)
from declutter_async.outcomes import OutcomeKind

IDENTICAL_REFUSALS = 20
"""Photos refused alike in a row, and nothing else: then something is wrong with all of them."""

_OF_THE_ACCOUNT = (KeyRefused, UnknownUser, NoPhotosLeft)


def kind_of_refusal(error: DeclutterError) -> OutcomeKind:
    """FAILED for a photo that was refused. SKIPPED for one never sent, put off by 429, or met by the account's refusal."""
    others = (*_OF_THE_ACCOUNT, RateLimited)
    refused = isinstance(error, InvalidArgument | RequestRefused) and not isinstance(error, others)
    return OutcomeKind.FAILED if refused else OutcomeKind.SKIPPED


@attrs.define
class EarlyEnd:
    """Watches the refusals of one batch."""

    _last: tuple[object, ...] = ()
    _in_a_row: int = 0

    def accepted(self) -> None:
        """A submission was accepted, or may have been."""
        self._in_a_row = 0

    def not_accepted(self, error: DeclutterError) -> NotSubmitted | None:
        """Why no other photo need be tried after this error; None while one may fare better."""
        if isinstance(error, _OF_THE_ACCOUNT):
            return _because("the account was refused", "account", error)
        if not isinstance(error, RequestError):
            return None
        refusal = (type(error), error.status, error.service_message)
        self._in_a_row = self._in_a_row + 1 if refusal == self._last else 1
        self._last = refusal
        if self._in_a_row < IDENTICAL_REFUSALS:
            return None
        return _because(f"{self._in_a_row} photos in a row were refused alike", "refusals", error)

    def looked(self, error: DeclutterError | None) -> NotSubmitted | None:
        """The same for an error that ended the watching of a generation: only the account's refusal dooms all."""
        return self.not_accepted(error) if isinstance(error, _OF_THE_ACCOUNT) else None


def _because(why: str, reason: str, error: RequestError) -> NotSubmitted:
    left_out = NotSubmitted(f"not submitted: {why}: {error.message}", reason=reason)
    left_out.__cause__ = error
    return left_out
