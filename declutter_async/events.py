"""What a session tells its observers. Progress bars, logs and telemetry see these, and nothing else.

An observer is any callable that takes one event. It is called in the session's event loop, where the thing
happens, so it must not block. All times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from declutter_async.errors import DeclutterError
from declutter_async.models import Status
from declutter_async.outcomes import Outcome


@attrs.frozen(kw_only=True)
class Submitted:
    """A paid request was accepted; `seconds` is how long its answer took, `photo` the URL it was sent for."""

    generation_id: str
    photo: str
    remaining_photos: int | None
    seconds: float


@attrs.frozen(kw_only=True)
class SubmissionEnded:
    """A paid request was not accepted, or may not have been: `error` tells which, and what it means for money."""

    photo: str
    error: DeclutterError
    seconds: float


@attrs.frozen(kw_only=True)
class Looked:
    """One look at a generation. `age`: seconds since it was submitted (or since it is watched)."""

    generation_id: str
    status: Status | None
    error: DeclutterError | None
    age: float
    seconds: float


@attrs.frozen(kw_only=True)
class StatusChanged:
    """A look showed another status than the look before."""

    generation_id: str
    status: Status
    age: float


@attrs.frozen(kw_only=True)
class Finished:
    """A generation SUCCEEDED or FAILED, `age` seconds after its submission."""

    generation_id: str
    status: Status
    age: float


@attrs.frozen(kw_only=True)
class Retried:
    """A request will be made again after `wait` seconds: the service did not accept it, or it was a read."""

    call: str
    generation_id: str | None
    error: DeclutterError
    attempt: int
    wait: float


@attrs.frozen(kw_only=True)
class Throttled:
    """The gate slowed or closed for everyone: `wait` seconds from now, then at most `rate` requests a second."""

    error: DeclutterError
    wait: float
    rate: float | None


@attrs.frozen(kw_only=True)
class Detached:
    """A caller was cancelled or timed out before it heard of this generation; see `session.detached`."""

    generation_id: str


@attrs.frozen(kw_only=True)
class Saved:
    """A result was written to `path`, `size` bytes long."""

    generation_id: str
    path: str
    size: int
    seconds: float


@attrs.frozen(kw_only=True)
class Settled:
    """A photo of a batch has its outcome."""

    outcome: Outcome
    generation_id: str | None
    seconds: float


Event: TypeAlias = (
    Submitted
    | SubmissionEnded
    | Looked
    | StatusChanged
    | Finished
    | Retried
    | Throttled
    | Detached
    | Saved
    | Settled
)
Observer: TypeAlias = Callable[[Event], object]
