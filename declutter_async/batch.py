"""The pool: many photos at once, each to its outcome, with what a batch may spend."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sized
from types import TracebackType
from typing import Protocol, Self

import anyio
import attrs
from anyio.abc import TaskGroup

from declutter_async._early_end import EarlyEnd, kind_of_refusal
from declutter_async._photo_source import read_photos
from declutter_async._purse import Purse
from declutter_async._records import MemoryRecords, Records
from declutter_async._saving import Store, save_results
from declutter_async._submission import Submission
from declutter_async._tally import Tally
from declutter_async.errors import (
    DeclutterError,
    GenerationFailed,
    GenerationTimeout,
    InvalidArgument,
    NotSubmitted,
    SessionMisuse,
    SubmissionUncertain,
    UnreadableAnswer,
)
from declutter_async.events import Event, Settled
from declutter_async.models import Generation, GenerationState, Photo, Status
from declutter_async.outcomes import Outcome, OutcomeKind, Progress, StatusUpdate

_STOPPED_SOURCE = 1.0  # seconds that a stopped batch waits for the next photo of an async source


class Engine(Protocol):
    """What the pool needs of a session."""

    def time(self) -> float:
        """Seconds on the loop's clock."""
        ...

    def balance(self) -> int | None:
        """Photos left on the account, as far as is known."""
        ...

    def on_the_way(self) -> int:
        """Paid requests without an answer yet, over everything the session does."""
        ...

    def wake(self) -> None:
        """What may be submitted may have changed."""
        ...

    async def change(self) -> None:
        """Until `wake` is called."""
        ...

    def prepare(self, photo: Photo) -> Submission:
        """The paid request for a photo. Raises `InvalidArgument` for what the service would refuse."""
        ...

    async def submit(self, submission: Submission) -> Generation:
        """Make the paid request."""
        ...

    async def finish(self, generation_id: str) -> StatusUpdate:
        """Watch until it has finished, or its time is up: the last update."""
        ...

    async def get(self, generation_id: str) -> GenerationState:
        """One look."""
        ...

    def download(self, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes at a URL, in pieces."""
        ...

    def detach(self, generation_id: str) -> None:
        """Nobody will hear of this generation from the batch."""
        ...

    def emit(self, event: Event) -> None:
        """Tell the observers."""
        ...


@attrs.frozen(kw_only=True)
class Limits:
    """How much a batch may do; see `DeclutterSession.batch`."""

    in_flight: int
    attempts: int
    budget: int | None
    reserve: int


class Batch:
    """Photos on their way; made by `DeclutterSession.batch`.

    `async with batch: async for outcome in batch: ...` yields one `Outcome` for every photo, in order of
    completion. Photos are read and submitted only as outcomes are taken, so a slow reader slows it down. Leaving
    the block early submits no more; generations that still run are kept in the session's `detached`.
    """

    def __init__(
        self,
        engine: Engine,
        photos: Iterable[Photo | str] | AsyncIterable[Photo | str],
        *,
        limits: Limits,
        store: Store | None = None,
        records: Records | None = None,
    ) -> None:
        """Nothing starts before `async with`. Raises `InvalidArgument` where `photos` is no iterable of them."""
        if isinstance(photos, str | bytes | Photo) or not isinstance(photos, Iterable | AsyncIterable):
            raise InvalidArgument(f"photos is {type(photos).__name__}, expected an iterable of Photo or str")
        self._engine = engine
        self._photos = photos
        self._limits = limits
        self._store = store
        self._records = MemoryRecords() if records is None else records
        self._purse = Purse(budget=limits.budget, reserve=limits.reserve)
        self._tally = Tally(total=len(photos) if isinstance(photos, Sized) else None)
        self._places = anyio.Semaphore(limits.in_flight)
        self._ended_by: NotSubmitted | None = None
        self._early_end = EarlyEnd()
        self._submissions: set[Submission] = set()
        self._source_scope = anyio.CancelScope()
        self._source_failure: Exception | None = None
        self._tasks: TaskGroup | None = None
        self._reading = self._stopping = False
        # Outcomes that nobody has taken: each keeps its place, so there are never more than places.
        self._ready: deque[tuple[int, Outcome]] = deque()
        self._news = anyio.Event()
        self._over = False

    # --- for the caller ---

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise SessionMisuse("a batch can be entered once; make a new one")
        if self._store is not None:
            await self._store.prepare()
        self._tally.begin(self._engine.time())
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks is not None:
            # The caller's own error is not handed to the task group, which would wrap it in another.
            self._tasks.cancel_scope.cancel()
            try:
                await self._tasks.__aexit__(None, None, None)
            finally:
                self._over = True
                while self._ready:
                    self.detach(self._ready.popleft()[1])

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self._unnumbered()

    async def _unnumbered(self) -> AsyncGenerator[Outcome, None]:
        async for _, outcome in self.numbered():
            yield outcome

    async def numbered(self) -> AsyncGenerator[tuple[int, Outcome], None]:
        """The outcomes in order of completion, each with its photo's place in the source, from 0."""
        if self._tasks is None:
            raise SessionMisuse("a batch is read inside its block: async with session.batch(...) as batch")
        while self._ready or not self._over:
            if self._ready:  # taken and given in one go: no cancellation comes between
                self._places.release()
                yield self._ready.popleft()
            else:
                await self._news.wait()
        if self._source_failure is not None:
            raise self._source_failure

    @property
    def progress(self) -> Progress:
        """How far it is, now."""
        return self._tally.progress(
            now=self._engine.time(),
            submitting=sum(submission.connected for submission in self._submissions),
            running=self._purse.running,
            spent=self._purse.spent,
            balance=self._engine.balance(),
        )

    async def stop(self) -> None:
        """Submit no more, and let the running ones finish. What was not submitted is SKIPPED."""
        self._end(NotSubmitted("not submitted: the batch was stopped", reason="stopped"))
        # A source that still delivers is read to its end; one that waits for what may never come is not.
        self._stopping = isinstance(self._photos, AsyncIterable)
        self._limit_source()

    # --- the pool ---

    async def _run(self) -> None:
        async with anyio.create_task_group() as pool:
            try:
                with self._source_scope:
                    async for photo in read_photos(self._photos, self._place, self._limit_source):
                        pool.start_soon(self._one, self._tally.read, photo)
                        self._tally.read += 1
            except Exception as error:  # noqa: BLE001 - the caller's source; raised when all outcomes are read
                self._source_failure = error
            if self._tally.total is None or self._ended_by is None:
                self._tally.total = self._tally.read
        self._over = True
        self._tell()

    async def _place(self) -> None:
        self._reading = False
        self._limit_source()
        await self._places.acquire()
        self._reading = True
        self._limit_source()

    def _limit_source(self) -> None:
        """A stopped batch waits only so long for the source's next photo, but as long as it takes for a place."""
        if self._stopping:
            self._source_scope.deadline = (
                anyio.current_time() + _STOPPED_SOURCE if self._reading else math.inf
            )

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def _one(self, number: int, photo: Photo) -> None:
        started = self._engine.time()
        outcome = await self._outcome_of(photo)
        outcome = attrs.evolve(outcome, seconds=self._engine.time() - started)
        self._tally.settled(outcome.kind, self._engine.time())
        self._engine.emit(
            Settled(outcome=outcome, generation_id=outcome.generation_id, seconds=outcome.seconds)
        )
        self._ready.append((number, outcome))
        self._tell()

    async def _outcome_of(self, photo: Photo) -> Outcome:
        try:
            submission = self._engine.prepare(photo)
        except InvalidArgument as error:
            return Outcome(photo=photo, kind=OutcomeKind.FAILED, error=error)
        known = await self._records.claim(photo)
        if known is not None:
            return known
        outcome = await self._attempt_until_finished(photo, submission)
        await self._records.settle(photo, outcome)
        return outcome

    async def _attempt_until_finished(self, photo: Photo, submission: Submission) -> Outcome:
        failed: Outcome | None = None
        for attempt in range(1, self._limits.attempts + 1):
            outcome = await self._attempt(photo, submission, attempt)
            if failed is not None and outcome.kind is OutcomeKind.SKIPPED:
                return failed
            if not isinstance(outcome.error, GenerationFailed):
                return outcome
            failed = outcome
            submission = self._engine.prepare(photo)
        if failed is None:
            raise SessionMisuse("a batch makes at least one attempt")
        return failed

    async def _attempt(self, photo: Photo, submission: Submission, attempt: int) -> Outcome:
        """One submission and its generation, to the end."""
        left_out = await self._permit()
        if left_out is not None:
            return Outcome(photo=photo, kind=OutcomeKind.SKIPPED, error=left_out)
        try:
            generation = await self._submit(photo, submission)
        except SubmissionUncertain as error:
            uncertain = Outcome(
                photo=photo,
                kind=OutcomeKind.UNCERTAIN,
                generation_id=error.generation_id,
                error=error,
                attempts=attempt,
            )
            if error.generation_id is None:
                return uncertain
            return await self._finish_or_detach(uncertain, error.generation_id)
        except DeclutterError as error:
            return Outcome(photo=photo, kind=kind_of_refusal(error), error=error, attempts=attempt - 1)
        submitted = Outcome(photo=photo, kind=OutcomeKind.UNFINISHED, generation=generation, attempts=attempt)
        return await self._finish_or_detach(submitted, generation.generation_id)

    async def _finish_or_detach(self, submitted: Outcome, generation_id: str) -> Outcome:
        try:
            return await self._finish(submitted, generation_id)
        except BaseException:
            self._engine.detach(generation_id)
            raise

    async def _submit(self, photo: Photo, submission: Submission) -> Generation:
        purse = self._purse
        submission.before_sending = lambda: self._records.submitting(photo)
        submission.record = lambda generation_id, answer: self._records.submitted(
            photo, generation_id, answer
        )
        self._submissions.add(submission)
        try:
            generation = await self._engine.submit(submission)
        except SubmissionUncertain as error:
            if error.generation_id is None:
                purse.uncertain()
            else:
                purse.accepted()
            self._early_end.accepted()
            raise
        except DeclutterError as error:
            purse.not_accepted()
            self._end(self._early_end.not_accepted(error))
            raise
        finally:
            self._submissions.discard(submission)
            self._engine.wake()
        purse.accepted()
        self._early_end.accepted()
        return generation

    async def _finish(self, submitted: Outcome, generation_id: str) -> Outcome:
        """Watch it to its end. `submitted` is UNCERTAIN where only a broken answer showed the id."""
        update = await self._engine.finish(generation_id)
        state = update.state
        self._purse.finished(refunded=state is not None and state.status is Status.FAILED)
        self._engine.wake()
        if state is None or update.error is not None:
            return self._not_finished(submitted, update.error)
        submitted = attrs.evolve(
            submitted, kind=OutcomeKind.UNFINISHED, confirmed_by="get", urls=state.urls, error=None
        )
        if state.status is Status.FAILED:
            failed = GenerationFailed("the service says FAILED; the photo is refunded", state=state)
            return attrs.evolve(submitted, kind=OutcomeKind.FAILED, error=failed)
        if not state.urls:
            nothing = UnreadableAnswer(
                "get: SUCCEEDED, but without urls", where="$.urls", money="spent", generation_id=generation_id
            )
            return attrs.evolve(submitted, error=nothing)
        if self._store is None:
            return attrs.evolve(submitted, kind=OutcomeKind.DELIVERED)
        return await save_results(submitted, self._store, self._engine)

    def _not_finished(self, submitted: Outcome, error: DeclutterError | None) -> Outcome:
        self._end(self._early_end.looked(error))
        seen = isinstance(error, GenerationTimeout) and error.state is not None
        if submitted.kind is OutcomeKind.UNCERTAIN and not seen:
            return submitted  # an id of a broken answer that no look has confirmed proves nothing
        return attrs.evolve(submitted, kind=OutcomeKind.UNFINISHED, error=error)

    # --- what may still be submitted ---

    async def _permit(self) -> NotSubmitted | None:
        """Wait until one more may be submitted, and count it as on the way; or why none may."""
        while self._ended_by is None:
            decision = self._purse.decide(self._engine.balance(), self._engine.on_the_way())
            if decision == "go":
                self._purse.send()
                return None
            if decision == "budget":
                return NotSubmitted(
                    f"not submitted: the budget of {self._limits.budget} photos is spent", reason="budget"
                )
            if decision == "reserve":
                return NotSubmitted(
                    f"not submitted: {self._engine.balance()} photos are left, and {self._limits.reserve} are reserved",
                    reason="reserve",
                )
            await self._engine.change()
        return self._ended_by

    def _end(self, why: NotSubmitted | None) -> None:
        """If there is a reason, submit no more: what is not on the way yet is withdrawn."""
        if why is not None and self._ended_by is None:
            self._ended_by = why
            for submission in list(self._submissions):
                submission.withdraw(why)
            self._engine.wake()

    def detach(self, outcome: Outcome) -> None:
        """Keep what was paid for: nobody hears of this outcome."""
        if outcome.generation_id is not None:
            self._engine.detach(outcome.generation_id)
