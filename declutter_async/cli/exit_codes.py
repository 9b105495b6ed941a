"""What the command line's exit codes mean, and which one follows from what happened. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from declutter_async import OutcomeKind, Status, StatusUpdate
from declutter_async.errors import (
    DeclutterError,
    InvalidArgument,
    KeyRefused,
    NoPhotosLeft,
    NotSubmitted,
    SessionMisuse,
    UnknownUser,
)


class ExitCode(enum.IntEnum):
    """How a command ended, told by what is to be done about it."""

    DONE = 0
    """All is delivered."""
    SOME_LEFT = 1
    """Some failed or were skipped; no money is at stake."""
    BAD_USE = 2
    """An argument or a setting is wrong; nothing was sent."""
    UNSETTLED = 3
    """Something is uncertain or unfinished: it is paid for, or may be."""
    ACCOUNT = 4
    """The account was refused, or is empty."""


def account_refused(error: DeclutterError | None) -> bool:
    """Whether it is the account itself that the service refuses, and not one photo."""
    if isinstance(error, NotSubmitted):
        return error.reason == "account"
    return isinstance(error, KeyRefused | UnknownUser | NoPhotosLeft)


def of_batch(
    kinds: Mapping[OutcomeKind, int], *, detached: int = 0, refused: bool = False, cut_short: bool = False
) -> ExitCode:
    """The code of a batch. Unsettled money comes first: it must be looked after before anything is run again.

    Args:
        kinds: Photos by what became of them.
        detached: Generations that run on with nobody waiting for them.
        refused: The account was refused, or is empty.
        cut_short: Not every photo has its outcome.
    """
    if detached or kinds.get(OutcomeKind.UNCERTAIN, 0) or kinds.get(OutcomeKind.UNFINISHED, 0):
        return ExitCode.UNSETTLED
    if refused:
        return ExitCode.ACCOUNT
    if cut_short or kinds.get(OutcomeKind.FAILED, 0) or kinds.get(OutcomeKind.SKIPPED, 0):
        return ExitCode.SOME_LEFT
    return ExitCode.DONE


def of_looks(updates: Iterable[StatusUpdate]) -> ExitCode:
    """The code for the last that is known of each generation. A refused account comes first: it hides the rest."""
    code = ExitCode.DONE
    for update in updates:
        if account_refused(update.error):
            return ExitCode.ACCOUNT
        if update.error is not None or update.status is None or not update.status.finished:
            code = ExitCode.UNSETTLED
        elif update.status is Status.FAILED and code is ExitCode.DONE:
            code = ExitCode.SOME_LEFT
    return code


def of_error(error: DeclutterError) -> ExitCode:
    """The code of a command that an error ended."""
    if isinstance(error, InvalidArgument | SessionMisuse):
        return ExitCode.BAD_USE
    if account_refused(error):
        return ExitCode.ACCOUNT
    return ExitCode.SOME_LEFT if error.money == "none" else ExitCode.UNSETTLED
