"""Every error a caller can meet, in one tree.

    DeclutterError
    ├── InvalidArgument           an argument or setting is wrong; nothing was sent (also a ValueError)
    ├── SessionMisuse             closed, or used from another event loop
    ├── NotSubmitted              a batch left the photo out: budget, reserve, stop, or the account
    ├── RequestError              one request to the service went wrong
    │   ├── RequestRefused        the service said no (4xx)
    │   │   ├── BadRequest        it did not like what was asked
    │   │   ├── KeyRefused        401: the API key
    │   │   ├── UnknownUser       the user_id
    │   │   ├── NoPhotosLeft      402: the account is empty
    │   │   ├── NotFound          404: no such generation
    │   │   └── RateLimited       429, for longer than was waited out; `.retry_after`
    │   ├── ServiceUnavailable    5xx (and 408, 409); `.retry_after`
    │   ├── UnreadableAnswer      not what the service documents (a redirect, too); `.where`
    │   ├── ConnectionNotMade     no connection, so nothing was sent
    │   ├── ConnectionLost        the connection broke before the whole answer was there
    │   └── RequestTimeout        no whole answer within `request_timeout`
    ├── SubmissionUncertain       a paid request got no answer that tells; its cause is one of the above
    ├── GenerationFailed          the service says FAILED, and refunds it
    ├── GenerationTimeout         not finished in time; it runs on, and is kept by its generation_id
    └── DownloadFailed            a result was found, but could not be fetched or saved

None of them is a `TimeoutError` or an `OSError`: a retry decorator around a call must not pay again by accident.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from declutter_async.models import GenerationState

__all__ = [
    "BadRequest",
    "ConnectionLost",
    "ConnectionNotMade",
    "DeclutterError",
    "DownloadFailed",
    "GenerationFailed",
    "GenerationTimeout",
    "InvalidArgument",
    "KeyRefused",
    "Money",
    "NoPhotosLeft",
    "NotFound",
    "NotSubmitted",
    "RateLimited",
    "RequestError",
    "RequestRefused",
    "RequestTimeout",
    "ServiceUnavailable",
    "SessionMisuse",
    "SubmissionUncertain",
    "UnknownUser",
    "UnreadableAnswer",
]

Money = Literal["none", "spent", "unknown"]


class DeclutterError(Exception):
    """The root.

    Attributes:
        money: What happened to the money of the photo that this is about. `"none"`: nothing is spent, it may be
            submitted again. `"spent"`: it is paid for, do not submit it again; go on by `generation_id`.
            `"unknown"`: it may be paid for.
        generation_id: The generation that this is about, where it is known.
    """

    default_money: ClassVar[Money] = "none"

    def __init__(self, message: str, *, money: Money | None = None, generation_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.money: Money = money or self.default_money
        self.generation_id = generation_id

    def __str__(self) -> str:
        if self.generation_id is None or self.generation_id in self.message:
            return self.message
        return f"{self.message} (generation {self.generation_id})"

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is rebuilt from its positional arguments alone unless told otherwise; a worker process
        # must be able to hand these on with everything they know. A foreign cause may refuse to be pickled.
        cause = self.__cause__ if isinstance(self.__cause__, DeclutterError) else None
        return _rebuild, (type(self), self.args, self.__dict__, cause)


def _rebuild(
    cls: type[DeclutterError], args: tuple[Any, ...], state: dict[str, Any], cause: DeclutterError | None
) -> DeclutterError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    if cause is not None:
        error.__cause__ = cause
    return error


class InvalidArgument(DeclutterError, ValueError):
    """An argument or a setting is wrong; the message names it, what was expected and what to do."""


class SessionMisuse(DeclutterError):
    """The session is closed, or is used from an event loop that is not its own."""


class NotSubmitted(DeclutterError):
    """A batch left the photo out on purpose.

    Attributes:
        reason: `"budget"`, `"reserve"`, `"stopped"`, `"account"` (its cause is the service's refusal) or
            `"refusals"` (too many identical refusals in a row).
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RequestError(DeclutterError):
    """One request went wrong.

    Attributes:
        status: HTTP status of the answer, or None if there was none.
        service_message: The service's own words, at most 500 characters; empty if it gave none.
        retry_after: Seconds that the service asked to wait, or None.
        where: Path of the value that could not be read (`$.urls[0]`), or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        service_message: str = "",
        retry_after: float | None = None,
        where: str | None = None,
        money: Money | None = None,
        generation_id: str | None = None,
    ) -> None:
        super().__init__(message, money=money, generation_id=generation_id)
        self.status = status
        self.service_message = service_message
        self.retry_after = retry_after
        self.where = where


class RequestRefused(RequestError):
    """The service said no (4xx): it did not do what was asked."""


class BadRequest(RequestRefused):
    """The service did not like what was asked: an URL it cannot fetch, a wrong value, a wrong method."""


class KeyRefused(RequestRefused):
    """The API key is refused."""


class UnknownUser(RequestRefused):
    """The user_id is unknown, or does not go with the key."""


class NoPhotosLeft(RequestRefused):
    """The account has no photos left."""


class NotFound(RequestRefused):
    """The service does not know the generation."""


class RateLimited(RequestRefused):
    """429 for longer than the session waits out; `.retry_after` seconds were asked for last."""


class ServiceUnavailable(RequestError):
    """The service answered with an error of its own (5xx), or out of turn (408, 409)."""


class UnreadableAnswer(RequestError):
    """An answer that is not what the service documents; `.where` says what could not be read."""


class ConnectionNotMade(RequestError):
    """No connection was made, so nothing was sent."""


class ConnectionLost(RequestError):
    """The connection broke before the whole answer had come."""


class RequestTimeout(RequestError):
    """The whole answer had not come within `request_timeout` seconds of having a connection."""


class SubmissionUncertain(DeclutterError):
    """A paid request left, and no answer tells whether it was accepted. It is never repeated by itself.

    Where a broken answer still showed a generation_id, it is kept: `get` tells whether it was accepted.

    Attributes:
        status: HTTP status of the answer, or None if there was none.
    """

    default_money = "unknown"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        service_message: str = "",
        generation_id: str | None = None,
    ) -> None:
        super().__init__(message, generation_id=generation_id)
        self.status = status
        self.service_message = service_message


class GenerationFailed(DeclutterError):
    """The service says FAILED; it refunds the photo, which may be submitted again."""

    def __init__(self, message: str, *, state: GenerationState) -> None:
        super().__init__(message, generation_id=state.generation_id)
        self.state = state


class GenerationTimeout(DeclutterError):
    """The generation was not finished in time. It runs on, and `generation_id` finds it again.

    Attributes:
        state: What the last look showed, or None if none was answered.
    """

    default_money = "spent"

    def __init__(self, message: str, *, generation_id: str, state: GenerationState | None = None) -> None:
        super().__init__(message, generation_id=generation_id)
        self.state = state


class DownloadFailed(DeclutterError):
    """The result is there, but could not be fetched or saved; `generation_id` finds it again.

    Attributes:
        status: HTTP status of the download, or None.
        worth_repeating: Whether the same URL may serve a little later: the network or the server failed.
    """

    default_money = "spent"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        worth_repeating: bool = False,
        generation_id: str | None = None,
    ) -> None:
        super().__init__(message, generation_id=generation_id)
        self.status = status
        self.worth_repeating = worth_repeating
