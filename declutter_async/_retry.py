"""What may be repeated, and when: pure, without a clock or a socket."""

from __future__ import annotations

import enum

from declutter_async.errors import (
    ConnectionLost,
    ConnectionNotMade,
    NotFound,
    RateLimited,
    RequestError,
    RequestRefused,
    RequestTimeout,
    ServiceUnavailable,
)

FIRST_MINUTE = 60.0
"""Seconds after its submission in which a 404 for a generation is not final: the service may be catching up."""


class Verdict(enum.Enum):
    """What the end of a paid request means for the money."""

    NOT_SENT = "no connection was ever made: wait it out, repeat"
    NOT_ACCEPTED = "429: everyone waits, repeat"
    REFUSED = "the service said no: nothing is spent"
    ACCEPTED = "recorded"
    UNKNOWN = "may be spent: never repeated"


def judge(*, connected: bool, status: int | None, readable: bool) -> Verdict:
    """What the end of a paid request means.

    Args:
        connected: Whether the request ever had a connection, as the transport saw it: the class of the exception
            cannot tell.
        status: HTTP status, or None if no status line came.
        readable: Whether the answer came whole and is what the service documents.
    """
    if not connected:
        return Verdict.NOT_SENT
    if status is None:
        return Verdict.UNKNOWN
    if status == 429:
        return Verdict.NOT_ACCEPTED
    if 400 <= status < 500 and status not in {408, 409}:
        return Verdict.REFUSED
    if 200 <= status < 300 and readable:
        return Verdict.ACCEPTED
    return Verdict.UNKNOWN


def final_for_a_look(error: RequestError, *, age: float | None) -> bool:
    """Whether an error of `get` ends the watching of its generation, `age` seconds after its submission.

    An `age` of None is a generation that somebody else submitted.
    """
    if isinstance(error, RateLimited):
        return False
    if isinstance(error, NotFound):
        return age is None or age >= FIRST_MINUTE
    return isinstance(error, RequestRefused)


def worth_repeating(error: RequestError) -> bool:
    """Whether a read that ended so is made again within one call: all but a refusal and an unreadable answer."""
    return isinstance(
        error, RateLimited | ServiceUnavailable | ConnectionNotMade | ConnectionLost | RequestTimeout
    )


def is_outage(error: RequestError | None) -> bool:
    """Whether an error says that the service as a whole is away, so that everyone should wait."""
    return isinstance(error, ConnectionNotMade) or (
        isinstance(error, ServiceUnavailable) and (error.status or 0) >= 500
    )


def backoff(failures: int, *, jitter: float, first: float = 0.25, longest: float = 30.0) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1).

    Doubles from `first` to `longest`, then is taken down by up to half, so that many clients do not come back at
    once: `jitter` is a number from 0 to 1 that the caller draws.
    """
    ceiling = min(first * 2.0 ** min(failures - 1, 40), longest)
    return float(ceiling * (1.0 - jitter / 2.0))
