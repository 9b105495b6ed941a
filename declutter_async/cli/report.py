"""What became of the photos: one line for each, one object for machines, and the account of it all at the end. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs

from declutter_async import Outcome, OutcomeKind, Progress
from declutter_async.cli.exit_codes import ExitCode, account_refused, of_batch
from declutter_async.errors import DeclutterError
from declutter_async.events import Event, SubmissionEnded

_LISTED = 20  # photos that are listed at the end; their own lines have come before


@attrs.define
class Report:
    """A batch, summed up: fed with events and outcomes, then closed with what is known at the end.

    Attributes:
        kinds: Photos by what became of them.
        unfinished: Why, by generation_id: paid for, and to be watched on.
        uncertain: Why, by photo URL: may be paid for.
        refusal: What the service said of the account, if it refused it.
        delivered: A generation_id that was delivered, to show what can be done with one.
        detached: Generations that run on, left by a second Ctrl-C.
        progress: The batch's own figures at its end.
        trouble: Why the source of photos could not be read to its end.
        left: Whether a second Ctrl-C ended it before every photo had its outcome.
        unanswered: Submissions whose answer was given up, by a third one.
    """

    kinds: Counter[OutcomeKind] = attrs.field(factory=Counter[OutcomeKind])
    unfinished: dict[str, str] = attrs.field(factory=dict[str, str])
    uncertain: dict[str, str] = attrs.field(factory=dict[str, str])
    refusal: DeclutterError | None = None
    delivered: str | None = None
    detached: tuple[str, ...] = ()
    progress: Progress | None = None
    trouble: str | None = None
    left: bool = False
    unanswered: int = 0

    def observe(self, event: Event) -> None:
        """An observer: a submission may have been paid for although nobody waits for its outcome any more."""
        if isinstance(event, SubmissionEnded) and event.error.money == "unknown":
            self.uncertain[event.photo] = event.error.message

    def add(self, outcome: Outcome) -> None:
        """One more photo has its outcome."""
        self.kinds[outcome.kind] += 1
        message = "" if outcome.error is None else outcome.error.message
        if outcome.kind is OutcomeKind.UNFINISHED and outcome.generation_id is not None:
            self.unfinished[outcome.generation_id] = message
        elif outcome.kind is OutcomeKind.UNCERTAIN:
            self.uncertain[outcome.photo.url] = message
        elif outcome.kind is OutcomeKind.DELIVERED:
            self.delivered = outcome.generation_id
        if account_refused(outcome.error) and self.refusal is None:
            self.refusal = outcome.error

    @property
    def to_watch(self) -> tuple[str, ...]:
        """Every generation that is paid for and not delivered."""
        return tuple(dict.fromkeys([*self.unfinished, *self.detached]))

    @property
    def unread(self) -> int:
        """Photos that a stopped batch did not even read, where their number is known."""
        if self.progress is None or self.progress.total is None:
            return 0
        return max(self.progress.total - self.progress.read, 0)

    @property
    def exit_code(self) -> ExitCode:
        """The code of the whole."""
        kinds = self.kinds | {OutcomeKind.UNCERTAIN: len(self.uncertain) + self.unanswered}
        cut_short = self.left or self.trouble is not None or self.unread > 0
        return of_batch(
            kinds, detached=len(self.detached), refused=self.refusal is not None, cut_short=cut_short
        )

    def record(self) -> dict[str, object]:
        """The last object for machines."""
        progress = self.progress
        return {
            "type": "summary",
            "photos": self.kinds.total(),
            "kinds": {kind.value: self.kinds[kind] for kind in OutcomeKind},
            "spent": progress.spent if progress else 0,
            "balance": progress.balance if progress else None,
            "seconds": round(progress.seconds, 3) if progress else 0.0,
            "unfinished": list(self.to_watch),
            "uncertain": list(self.uncertain),
            "unanswered": self.unanswered,
            "exit_code": int(self.exit_code),
        }

    def lines(self) -> Iterator[str]:
        """The account for people, without the next command."""
        seconds = self.progress.seconds if self.progress else 0.0
        yield f"{photos(self.kinds.total())} in {duration(seconds)}: {counted(self.kinds) or 'none has an outcome'}"
        if self.unread:
            yield f"{photos(self.unread)} skipped before being read: nothing is spent for them"
        if self.progress is not None:
            yield f"Money: {money(self.progress)}"
        if self.trouble is not None:
            yield f"The list of photos could not be read to its end: {self.trouble}"
        if self.refusal is not None:
            yield f"The account: {self.refusal.message}"
        if self.to_watch:
            yield "Paid for and not finished; nothing is lost:"
            yield from _listed(f"{i}  {self.unfinished.get(i, 'left running')}" for i in self.to_watch)
        if self.uncertain:
            yield "May be paid for: look for them in your account before you submit them again:"
            yield from _listed(f"{url}  {why}" for url, why in self.uncertain.items())
        if self.unanswered:
            yield f"May be paid for, too: {photos(self.unanswered)} of those without a line here; no answer was waited for"

    def next_command(self) -> str | None:
        """What to type next, or None where nothing helps but to look at the account."""
        if self.to_watch:
            return shlex.join(["declutter-async", "watch", *self.to_watch])
        if self.refusal is not None:
            return "declutter-async check"
        if self.kinds[OutcomeKind.FAILED] or self.kinds[OutcomeKind.SKIPPED]:
            return "declutter-async run URL...   (those photos alone: one that is delivered would be paid for again)"
        if self.delivered is not None:
            return f"declutter-async status {self.delivered}   (free of charge; gives its URLs anew once they expire)"
        return None


def outcome_line(outcome: Outcome) -> str:
    """One photo for people: what became of it, its generation, its URL, and its results or why there are none."""
    results = [str(path) for path in outcome.files] or list(outcome.urls)
    if outcome.kind is not OutcomeKind.DELIVERED:
        results = [] if outcome.error is None else [outcome.error.message]
    return "  ".join([f"{outcome.kind:<10}", outcome.generation_id or "-", outcome.photo.url, *results])


def outcome_record(outcome: Outcome) -> dict[str, object]:
    """One photo for machines."""
    return {
        "type": "outcome",
        "url": outcome.photo.url,
        "kind": outcome.kind.value,
        "generation_id": outcome.generation_id,
        "urls": list(outcome.urls),
        "files": [str(path) for path in outcome.files],
        "attempts": outcome.attempts,
        "confirmed_by": outcome.confirmed_by,
        "seconds": round(outcome.seconds, 3),
        "error": error_record(outcome.error),
    }


def error_record(error: DeclutterError | None) -> dict[str, object] | None:
    """An error for machines."""
    if error is None:
        return None
    return {"type": type(error).__name__, "message": error.message, "money": error.money}


def progress_line(progress: Progress) -> str:
    """How far a batch is, in one line."""
    of_all = "" if progress.total is None else f" of {progress.total}"
    parts = [f"{progress.done}{of_all} photos done", f"{progress.running} running", money(progress)]
    parts.append(
        f"{progress.rate:.1f} photos/s" if progress.rate >= 1 else f"{progress.rate * 60:.1f} photos/min"
    )
    if progress.eta is not None:
        parts.append(f"about {duration(progress.eta)} left")
    return ", ".join(parts)


def money(progress: Progress) -> str:
    """What is spent, and what is left."""
    left = "balance not known yet" if progress.balance is None else f"{progress.balance} left on the account"
    return f"{photos(progress.spent)} spent, {left}"


def counted(kinds: Mapping[OutcomeKind, int]) -> str:
    """Outcomes by kind, those that there are."""
    return ", ".join(f"{kinds[kind]} {kind.lower()}" for kind in OutcomeKind if kinds.get(kind))


def photos(count: int) -> str:
    """So many photos."""
    return f"{count} photo{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time span, short: `4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _listed(rows: Iterable[str]) -> Iterator[str]:
    hidden = 0
    for count, row in enumerate(rows):
        if count < _LISTED:
            yield f"  {row}"
        else:
            hidden += 1
    if hidden:
        yield f"  and {hidden} more"
