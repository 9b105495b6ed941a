"""What became of photos and generations, with the error where there is one."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from declutter_async.errors import DeclutterError
from declutter_async.models import Generation, GenerationState, Photo, Status


class OutcomeKind(enum.StrEnum):
    """What became of a photo, told by what happened to its money.

    DELIVERED: its result is there; spent once. FAILED: refused, or FAILED on every attempt; nothing is spent.
    UNFINISHED: submitted, and not finished in time or not saved; spent. UNCERTAIN: no readable answer; may be spent.
    SKIPPED: never submitted; nothing is spent.
    """

    DELIVERED = "DELIVERED"
    """Its result is there. Spent once."""
    FAILED = "FAILED"
    """Refused, or FAILED on every attempt. Nothing is spent."""
    UNFINISHED = "UNFINISHED"
    """Submitted, and not finished in time or not saved. Spent; go on by its generation_id."""
    UNCERTAIN = "UNCERTAIN"
    """The submission got no readable answer. It may be spent, and is never submitted again by itself."""
    SKIPPED = "SKIPPED"
    """Never submitted: budget, reserve, stop, a refused account, or a service out of reach. Nothing is spent."""


@attrs.frozen
class StatusUpdate:
    """One change of one watched generation.

    Attributes:
        generation_id: Which one.
        status: Its new status; None if `error` is set.
        state: All that the look showed; None if `error` is set.
        error: What ended the watching of this id, and of no other.
    """

    generation_id: str
    status: Status | None = None
    state: GenerationState | None = None
    error: DeclutterError | None = None


def _id_of_generation(outcome: Outcome) -> str | None:
    return outcome.generation.generation_id if outcome.generation else None


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one photo of a batch.

    Attributes:
        photo: As it was given.
        kind: What happened to its money.
        generation: The accepted submission (the last, if there were several attempts).
        generation_id: By which its generation is found again; also where a broken answer showed nothing else.
        urls: Of the results. They may expire; `session.get(generation_id)` gives new ones.
        files: Where the results were saved, in the order of `urls`.
        attempts: Submissions that the service accepted, or may have.
        confirmed_by: Who said that it is finished, or None if nobody did.
        error: Why it is not DELIVERED.
        seconds: From being read from the source to this outcome.
    """

    photo: Photo
    kind: OutcomeKind
    generation: Generation | None = None
    generation_id: str | None = attrs.field(default=attrs.Factory(_id_of_generation, takes_self=True))
    urls: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    attempts: int = 0
    confirmed_by: Literal["get", "webhook"] | None = None
    error: DeclutterError | None = attrs.field(default=None, eq=False)
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class Progress:
    """How far a batch is.

    Attributes:
        total: Photos in the source; None until that is known.
        read: Photos read from the source so far.
        kinds: Outcomes so far, by kind.
        submitting: Paid requests on the way.
        running: Generations submitted and not yet finished.
        spent: Photos that the batch has spent: accepted and not refunded, and those that may have been accepted.
        balance: Photos left on the account as the service last said, or None before it said so.
        seconds: Since the batch began.
        rate: Outcomes a second over the last minute.
        eta: Seconds until all have their outcome, at that rate; None while it cannot be told.
    """

    total: int | None
    read: int
    kinds: Mapping[OutcomeKind, int]
    submitting: int
    running: int
    spent: int
    balance: int | None
    seconds: float
    rate: float
    eta: float | None

    @property
    def done(self) -> int:
        """Photos that have their outcome."""
        return sum(self.kinds.values())
