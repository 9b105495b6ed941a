"""What became of the photos: one line for each, one object for machines, and the account of it all at the end. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs

from declutter_async import Outcome, OutcomeKind, Photo, Progress
from declutter_async.cli.exit_codes import ExitCode, account_refused, of_batch
from declutter_async.errors import BadRequest, DeclutterError, NoPhotosLeft
from declutter_async.events import Event, SubmissionEnded, Submitted

_LISTED = 20  # photos that are listed at the end; their own lines have come before


@attrs.define
class Report:
    """A batch, summed up: fed with events and outcomes, then closed with what is known at the end.

    Attributes:
        kinds: Photos by what became of them.
        unfinished: Why, by generation_id: paid for, and to be watched on.
        uncertain: Why, by photo URL: may be paid for.
        bad_requests: FAILED photos that the service would refuse again, as they are.
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
    bad_requests: int = 0
    refusal: DeclutterError | None = None
    delivered: str | None = None
    detached: tuple[str, ...] = ()
    progress: Progress | None = None
    trouble: str | None = None
    left: bool = False
    unanswered: int = 0
    # By photo URL, until its outcome is told: so no more than are in flight.
    _generation_ids: dict[str, str] = attrs.field(factory=dict[str, str])

    def observe(self, event: Event) -> None:
        """An observer: a submission may have been paid for although nobody waits for its outcome any more."""
        if isinstance(event, Submitted):
            self._generation_ids[event.photo] = event.generation_id
        elif isinstance(event, SubmissionEnded) and event.error.money == "unknown":
            self.uncertain[event.photo] = event.error.message
            if event.error.generation_id is not None:
                self._generation_ids[event.photo] = event.error.generation_id

    def add(self, outcome: Outcome) -> None:
        """One more photo has its outcome."""
        self.kinds[outcome.kind] += 1
        self._generation_ids.pop(outcome.photo.url, None)
        message = "" if outcome.error is None else outcome.error.message
        if outcome.kind is OutcomeKind.UNFINISHED and outcome.generation_id is not None:
            self.unfinished[outcome.generation_id] = message
        elif outcome.kind is OutcomeKind.UNCERTAIN:
            self.uncertain[outcome.photo.url] = message
        elif outcome.kind is OutcomeKind.DELIVERED:
            self.delivered = outcome.generation_id
        elif isinstance(outcome.error, BadRequest):
            self.bad_requests += 1
        if account_refused(outcome.error) and self.refusal is None:
            self.refusal = outcome.error

    @property
    def to_watch(self) -> tuple[str, ...]:
        """Every generation that is paid for and not delivered."""
        return tuple(dict.fromkeys([*self.unfinished, *self.detached]))

    @property
    def left_running(self) -> dict[str, str]:
        """The photo URL of every generation that was left without an outcome, by generation_id."""
        urls = {generation_id: url for url, generation_id in self._generation_ids.items()}
        return {i: urls.get(i, "") for i in self.detached if i not in self.unfinished}

    @property
    def not_submitted(self) -> int | None:
        """Photos that were not sent to the service, read or not; None where the number of all is not known."""
        if self.progress is None or self.progress.total is None:
            return None
        told = self.kinds.total() - self.kinds[OutcomeKind.SKIPPED] - self.kinds[OutcomeKind.UNCERTAIN]
        sent = told + self._uncertain_count + len(self.left_running) + self.unanswered
        return max(self.progress.total - sent, 0)

    @property
    def _uncertain_count(self) -> int:
        left = set(self.left_running.values())
        return max(self.kinds[OutcomeKind.UNCERTAIN], sum(url not in left for url in self.uncertain))

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
        """The last object for machines. `photos` and `kinds` count the objects before it, those left running too."""
        progress = self.progress
        kinds = self.kinds + Counter({OutcomeKind.UNFINISHED: len(self.left_running)})
        return {
            "type": "summary",
            "total": progress.total if progress else None,
            "photos": kinds.total(),
            "kinds": {kind.value: kinds[kind] for kind in OutcomeKind},
            "left_running": len(self.left_running),
            "not_submitted": self.not_submitted,
            "spent": progress.spent if progress else 0,
            "balance": progress.balance if progress else None,
            "seconds": round(progress.seconds, 3) if progress else 0.0,
            "unfinished": list(self.to_watch),
            "uncertain": list(self.uncertain),
            "unanswered": self.unanswered,
            "exit_code": int(self.exit_code),
        }

    def left_running_records(self) -> Iterator[dict[str, object]]:
        """An object for machines for each photo left running, like that of an outcome."""
        for generation_id, url in self.left_running.items():
            error = DeclutterError("left running", money="spent", generation_id=generation_id)
            outcome = Outcome(
                photo=Photo(url), kind=OutcomeKind.UNFINISHED, generation_id=generation_id, error=error
            )
            # How often it was submitted, and for how long it has run, was not told.
            yield outcome_record(outcome) | {"url": url or None, "attempts": None, "seconds": None}

    def lines(self) -> Iterator[str]:
        """The account for people, without the next command."""
        yield self._headline()
        if self.unread and not self.left:
            yield f"{photos(self.unread)} skipped before being read: nothing is spent for them"
        if self.progress is not None:
            yield f"Money: {money(self.progress)}"
        if self.trouble is not None:
            yield f"The list of photos could not be read to its end: {self.trouble}"
        if self.refusal is not None:
            yield f"The account: {self.refusal.message}"
        if self.unfinished:
            yield "Paid for and not finished; nothing is lost:"
            yield from _listed(f"{i}  {why}" for i, why in self.unfinished.items())
        if self.left_running:  # all of them: no line of their own has come before
            yield "Paid for and left running; nothing is lost:"
            yield from (f"  {i}  {url or '(photo not known)'}" for i, url in self.left_running.items())
        if self.uncertain:
            yield "May be paid for: look for them in your account before you submit them again:"
            yield from _listed(f"{url}  {why}" for url, why in self.uncertain.items())
        if self.unanswered:
            yield f"May be paid for, too: {photos(self.unanswered)} of those without a line here; no answer was waited for"

    def next_command(self) -> str | None:
        """What to type next, or None where nothing helps but to look at the account."""
        if self.to_watch:
            return shlex.join(["declutter-async", "watch", *self.to_watch])
        if _no_photos_left(self.refusal):
            return (
                "buy photos in the service's Developer Space; then the same command with the photos that were skipped "
                "in place of all: one that is delivered would be paid for again"
            )
        if self.refusal is not None:
            return "declutter-async check"
        if again := self._to_run_again():
            return (
                f"declutter-async run URL...   ({again} alone: one that is delivered would be paid for again"
                f"{'; correct the URL of one that was refused first' if self.bad_requests else ''})"
            )
        if self.delivered is not None:
            return f"declutter-async status {self.delivered}   (free of charge; gives its URLs anew once they expire)"
        return None

    def _headline(self) -> str:
        seconds = duration(self.progress.seconds if self.progress else 0.0)
        if not self.left:
            return (
                f"{photos(self.kinds.total())} in {seconds}: {counted(self.kinds) or 'none has an outcome'}"
            )
        rest = Counter(self.kinds) | Counter({OutcomeKind.UNCERTAIN: self._uncertain_count})
        del rest[OutcomeKind.DELIVERED], rest[OutcomeKind.SKIPPED]
        parts = [f"{self.kinds[OutcomeKind.DELIVERED]} delivered", f"{len(self.left_running)} left running"]
        parts += [counted(rest)] if rest.total() else []
        parts += [f"{self.unanswered} without an answer"] if self.unanswered else []
        missing = self.not_submitted
        parts.append("the rest not submitted" if missing is None else f"{missing} not submitted")
        total = self.progress.total if self.progress else None
        return f"{'Photos' if total is None else photos(total)} in {seconds}: {', '.join(parts)}"

    def _to_run_again(self) -> str:
        """Which photos may be run again; empty if there are none."""
        kinds = [kind.value for kind in (OutcomeKind.SKIPPED, OutcomeKind.FAILED) if self.kinds[kind]]
        named = [f"the {' and '.join(kinds)} ones"] if kinds else []
        unread = ["those without a line above"] if self.unread or self.trouble is not None else []
        return " and ".join([*named, *unread])


def _no_photos_left(error: DeclutterError | None) -> bool:
    return error is not None and any(isinstance(each, NoPhotosLeft) for each in (error, error.__cause__))


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
