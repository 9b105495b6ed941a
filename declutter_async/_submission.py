"""A paid request from its place in line to its answer, such that no cancellation loses a generation_id."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs

from declutter_async._balance import Balance
from declutter_async._in_flight import InFlight
from declutter_async._retry import Verdict, judge
from declutter_async._throttle import Gate, Pass
from declutter_async._transport import Exchange, Transport
from declutter_async._wire import Call, read_generation, shown_generation_id
from declutter_async.errors import (
    DeclutterError,
    RequestError,
    SessionMisuse,
    SubmissionUncertain,
    UnreadableAnswer,
)
from declutter_async.events import Event, Retried, SubmissionEnded, Submitted
from declutter_async.models import Generation

_logger = logging.getLogger("declutter_async")


async def _nothing() -> None:
    pass


async def _no_record(_: str, __: Generation | None) -> None:
    pass


@attrs.define(eq=False)
class Submission:
    """One paid request to make.

    Attributes:
        call: Which of the two.
        body: As it is sent.
        photo: URL of the photo, for the events.
        original: generation_id that the request itself names, or None.
        before_sending: Awaited each time directly before the request is written: the record of intent.
        record: Awaited with the generation_id (and the answer, if it was readable) before anybody is told of it.
        sent_at: Loop time at which the request was last sent.
        connected: Whether the request has its connection now: from here on its answer is waited for.
        abandoned: Whether its caller is gone, so that nothing is repeated.
        withdrawn: Why it shall not be sent any more, if so.
    """

    call: Call
    body: bytes
    photo: str
    original: str | None = None
    before_sending: Callable[[], Awaitable[None]] = _nothing
    record: Callable[[str, Generation | None], Awaitable[None]] = _no_record
    sent_at: float = 0.0
    connected: bool = False
    abandoned: bool = False
    withdrawn: DeclutterError | None = None
    task: asyncio.Task[Generation] | None = None

    def has_connection(self) -> None:
        """The transport says so."""
        self.connected = True

    def why_withdrawn(self) -> DeclutterError:
        """The error for its caller."""
        return self.withdrawn or SessionMisuse("the submission was withdrawn")

    def withdraw(self, why: DeclutterError) -> None:
        """Do not send it: its caller gets this error. One that has its connection is waited for instead."""
        self.abandoned = True
        if not self.connected and self.withdrawn is None:
            self.withdrawn = why
            if self.task is not None:
                self.task.cancel()


class Submitter:
    """Makes paid requests in tasks that the session owns; callers only wait for them."""

    def __init__(
        self,
        *,
        transport: Transport,
        gate: Gate,
        in_flight: InFlight,
        submitting: int,
        outage_timeout: float,
        emit: Callable[[Event], None],
        detach: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        """Made in the event loop that it serves. `detach` is told of ids whose caller is gone, `ended` of every end."""
        self._transport = transport
        self._gate = gate
        self._in_flight = in_flight
        self._on_the_way = asyncio.Semaphore(submitting)
        self._outage_timeout = outage_timeout
        self._emit = emit
        self._detach = detach
        self._a_submission_ended = ended
        self._loop = asyncio.get_running_loop()
        self._submissions: set[Submission] = set()
        self.balance = Balance()

    async def submit(self, submission: Submission) -> Generation:
        """Make the request. Raises its error; `SubmissionUncertain` where no answer tells.

        Cancelling the caller is immediate until the request has its connection. From then on its answer is
        waited for (at most `request_timeout`), and a generation_id is kept before the cancellation goes on.
        """
        if submission.withdrawn is not None:
            raise submission.why_withdrawn()
        task = self._loop.create_task(self._run(submission), name=f"declutter-async {submission.call}")
        submission.task = task
        self._submissions.add(submission)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled() or _is_cancelled():
                submission.abandoned = True
                if not submission.connected:
                    task.cancel()
                await outlast(task)
                self._keep(task)
                raise
        finally:
            self._submissions.discard(submission)
            self._a_submission_ended()
        raise submission.why_withdrawn()  # here, since one error may serve many: an except clause would be its context

    @property
    def on_the_way(self) -> int:
        """Submissions of this session without an answer yet, those in line included."""
        return len(self._submissions)

    async def close(self) -> None:
        """Let go of what was not sent, and wait for the answers to what was."""
        for submission in list(self._submissions):
            submission.withdraw(SessionMisuse("the session was closed before this was submitted"))
        for task in [submission.task for submission in self._submissions if submission.task]:
            await outlast(task)

    def _keep(self, task: asyncio.Task[Generation]) -> None:
        """The caller hears of nothing any more: keep the id."""
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._detach(task.result().generation_id)
        elif isinstance(error, SubmissionUncertain):
            if error.generation_id is not None:
                self._detach(error.generation_id)
            else:
                _logger.warning("a cancelled submission may have been accepted: %s", error)

    async def _run(self, submission: Submission) -> Generation:
        await self._in_flight.acquire()
        generation_id: str | None = None
        started = self._loop.time()
        try:
            async with self._on_the_way:
                started = self._loop.time()
                generation = await self._until_answered(submission)
            generation_id = generation.generation_id
        except SubmissionUncertain as error:
            generation_id = error.generation_id
            self._ended(submission, error, started)
            if generation_id is not None:
                await self._record(submission, generation_id, None)
            raise
        except DeclutterError as error:
            self._ended(submission, error, started)
            raise
        finally:
            if generation_id is None:
                self._in_flight.give_back()
            else:
                self._in_flight.bind(generation_id, submission.sent_at)
        await self._record(submission, generation.generation_id, generation)
        return generation

    async def _record(
        self, submission: Submission, generation_id: str, generation: Generation | None
    ) -> None:
        try:
            await submission.record(generation_id, generation)
        except Exception:  # the photo is paid for: what cannot be recorded must still be told
            _logger.exception("generation %s could not be recorded", generation_id)
            self._detach(generation_id)

    def _ended(self, submission: Submission, error: DeclutterError, started: float) -> None:
        self._emit(SubmissionEnded(photo=submission.photo, error=error, seconds=self._loop.time() - started))

    async def _until_answered(self, submission: Submission) -> Generation:
        """Repeat while the request was not sent, or was not accepted; everything else ends it."""
        trouble_since: float | None = None
        attempt = 0
        while True:
            submission.connected = False
            leave = await self._gate.enter(paid=True)
            sent = submission.sent_at = self._loop.time()
            exchange = await self._send(submission, leave)
            generation, error = _read(exchange)
            self._gate.report(leave, exchange.error)
            status = exchange.answer.status if exchange.answer else None
            verdict = judge(connected=exchange.connected, status=status, readable=generation is not None)
            if verdict is Verdict.ACCEPTED and generation is not None:
                self._accepted(submission, generation, sent)
                return generation
            if error is None:
                error = UnreadableAnswer("the answer cannot be read")
            if verdict is Verdict.UNKNOWN:
                self.balance.not_told(self._loop.time())
                raise _uncertain(submission, exchange, error) from error
            trouble_since = sent if trouble_since is None else trouble_since
            given_up = self._loop.time() - trouble_since >= self._outage_timeout
            if verdict is Verdict.REFUSED or submission.abandoned or given_up:
                raise error
            attempt += 1
            self._emit(
                Retried(
                    call=submission.call,
                    generation_id=submission.original,
                    error=error,
                    attempt=attempt,
                    wait=error.retry_after or 0.0,
                )
            )

    async def _send(self, submission: Submission, leave: Pass) -> Exchange:
        try:
            await submission.before_sending()
            return await self._transport.post(
                submission.call, submission.body, paid=True, on_connected=submission.has_connection
            )
        except BaseException:
            self._gate.give_back(leave)
            raise

    def _accepted(self, submission: Submission, generation: Generation, sent: float) -> None:
        now = self._loop.time()
        self.balance.heard(generation.remaining_photos, sent=sent, received=now)
        self._emit(
            Submitted(
                generation_id=generation.generation_id,
                photo=submission.photo,
                remaining_photos=generation.remaining_photos,
                seconds=now - sent,
            )
        )


def _read(exchange: Exchange) -> tuple[Generation | None, RequestError | None]:
    if exchange.error is not None or exchange.answer is None:
        return None, exchange.error
    try:
        return read_generation(exchange.answer), None
    except UnreadableAnswer as error:
        return None, error


def _uncertain(submission: Submission, exchange: Exchange, error: RequestError) -> SubmissionUncertain:
    answer = exchange.answer
    shown = None if answer is None else shown_generation_id(answer, asked=submission.original)
    what = "it may have been accepted, and is not repeated" + (
        ", but its broken answer shows an id" if shown else ""
    )
    return SubmissionUncertain(
        f"{what}: {error.message}",
        status=error.status,
        service_message=error.service_message,
        generation_id=shown,
    )


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def outlast(task: asyncio.Task[Any]) -> None:
    """Wait until the task is done, whatever cancels the waiter meanwhile.

    It takes both: the scope holds back anyio's cancellation, which else comes anew at every turn of the loop; the
    except clause a native `cancel()`, which pierces the scope once for each call.
    """
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
