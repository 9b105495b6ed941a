"""An open session: what it holds in its event loop, and what its calls and batches share."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import TypeVar

import anyio

from declutter_async import _wire
from declutter_async._in_flight import InFlight
from declutter_async._retry import backoff, is_outage, worth_repeating
from declutter_async._settings import Settings
from declutter_async._submission import Submission, Submitter
from declutter_async._throttle import Gate, Pass
from declutter_async._transport import Exchange, Transport
from declutter_async._watch import wait_for
from declutter_async._watcher import Watcher
from declutter_async.errors import (
    DeclutterError,
    NotFound,
    RateLimited,
    RequestError,
    SessionMisuse,
    UnreadableAnswer,
)
from declutter_async.events import Detached, Event, Retried
from declutter_async.models import JSON, Generation, GenerationState, Photo, Status
from declutter_async.outcomes import StatusUpdate
from declutter_async.storage import MAX_RESULT

E = TypeVar("E", bound=DeclutterError)
_logger = logging.getLogger("declutter_async")
_WORDS_LOGGED = 100  # unknown status words, each logged once; more are not told apart


class Core:
    """Connections, gate, watcher and submitter of one session; all of it belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        """Made inside the loop that it serves."""
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.detached: list[str] = []
        self._broken_observers: set[int] = set()
        self._changed = anyio.Event()
        self._unknown_words: set[str] = set()
        self._transport = Transport(
            base_url=settings.base_url,
            api_key=settings.api_key,
            submitting=settings.submitting,
            max_connections=settings.max_connections,
            connect_timeout=settings.connect_timeout,
            request_timeout=settings.request_timeout,
            connector=settings.connector,
            proxy=settings.proxy,
            trust_env=settings.trust_env,
            trace_configs=settings.trace_configs,
        )
        self._gate = Gate(
            requests_per_second=settings.requests_per_second,
            outage_timeout=settings.outage_timeout,
            emit=self.emit,
        )
        self._in_flight = InFlight(settings.in_flight, look_after=self._look_after)
        self.watcher = Watcher(
            look=self._look,
            gate=self._gate,
            policy=settings.polling,
            looks_at_once=settings.max_connections,
            patience=settings.connect_timeout + settings.request_timeout,
            submitted_at=self._in_flight.submitted_at,
            emit=self.emit,
            ended=self._in_flight.finished,
            left_alone=self._in_flight.left_alone,
        )
        self._submitter = Submitter(
            transport=self._transport,
            gate=self._gate,
            in_flight=self._in_flight,
            submitting=settings.submitting,
            outage_timeout=settings.outage_timeout,
            emit=self.emit,
            detach=self.detach,
            ended=self.wake,
        )

    async def close(self) -> None:
        """Wait for the answers to paid requests on the way, end every watch, close every connection."""
        closed = SessionMisuse("the session is closed")
        self._gate.shut(closed)
        self._in_flight.shut(closed)
        await self._submitter.close()
        await self.watcher.close(
            lambda generation_id: SessionMisuse(
                "the session was closed before it finished; it runs on",
                money="spent",
                generation_id=generation_id,
            )
        )
        await self._transport.close()

    # --- paid ---

    def prepare(
        self, photo: Photo, *, webhook: str | None = None, extra: Mapping[str, JSON] | None = None
    ) -> Submission:
        """The paid request for a photo. Raises `InvalidArgument` for what the service would refuse."""
        body = _wire.generate_body(self.settings.user_id, photo, webhook=webhook, extra=extra)
        return Submission("generate", _wire.encode(body), photo.url)

    async def submit(self, submission: Submission) -> Generation:
        """Make the paid request; see `Submitter.submit`."""
        return await self._submitter.submit(submission)

    def balance(self) -> int | None:
        """Photos left on the account, as far as is known."""
        return self._submitter.balance.photos

    def on_the_way(self) -> int:
        """Paid requests without an answer yet, over everything the session does."""
        return self._submitter.on_the_way

    def wake(self) -> None:
        """What may be submitted may have changed."""
        self._changed.set()
        self._changed = anyio.Event()

    async def change(self) -> None:
        """Until `wake` is called."""
        await self._changed.wait()

    def detach(self, generation_id: str) -> None:
        """Keep the id of a generation whose caller is gone."""
        self.detached.append(generation_id)
        _logger.warning("generation %s runs on; its caller is gone before it heard of it", generation_id)
        self.emit(Detached(generation_id=generation_id))

    # --- free ---

    async def get(self, generation_id: str, *, extra: Mapping[str, JSON] | None = None) -> GenerationState:
        """One look, repeated while the service is away, for up to `outage_timeout` seconds."""
        body = _wire.encode(_wire.get_body(self.settings.user_id, generation_id, extra=extra))
        started = self.loop.time()
        attempt = 0
        while True:
            try:
                leave = await self._gate.enter(paid=False)
            except DeclutterError as error:
                raise _paid_for(error, generation_id) from None
            result = await self._look_once(generation_id, body, leave)
            if isinstance(result, GenerationState):
                if result.finished:
                    self._in_flight.finished(generation_id)
                return result
            attempt += 1
            wait = self._wait_before(attempt, result)
            out_of_time = self.loop.time() + wait - started >= self.settings.outage_timeout
            if out_of_time or not worth_repeating(result):
                raise result
            self.emit(
                Retried(call="get", generation_id=generation_id, error=result, attempt=attempt, wait=wait)
            )
            await asyncio.sleep(wait)

    def _wait_before(self, attempt: int, error: RequestError) -> float:
        if is_outage(error) or isinstance(error, RateLimited):
            return 0.0  # the gate knows how long
        return backoff(attempt, jitter=random.random())  # noqa: S311 - spreads load, no secret

    async def wait(self, generation_id: str, *, seconds: float | None, from_submission: bool) -> StatusUpdate:
        """Watch until it has finished or its time (seconds; None: for ever) is up: the last update."""
        return await wait_for(self.watcher, generation_id, seconds=seconds, from_submission=from_submission)

    async def finish(self, generation_id: str) -> StatusUpdate:
        """As `wait`, for `generation_timeout`; then it counts as stuck, and holds no place any more."""
        update = await self.wait(
            generation_id, seconds=self.settings.generation_timeout, from_submission=True
        )
        self._in_flight.finished(generation_id)
        return update

    def download(self, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes at a URL, in pieces, without the key."""
        return self._transport.download(url, limit=MAX_RESULT)

    async def _look(self, generation_id: str, leave: Pass) -> GenerationState | RequestError:
        """One look for the watcher."""
        body = _wire.encode(_wire.get_body(self.settings.user_id, generation_id))
        return await self._look_once(generation_id, body, leave)

    async def _look_once(
        self, generation_id: str, body: bytes, leave: Pass
    ) -> GenerationState | RequestError:
        try:
            exchange = await self._transport.post("get", body, paid=False)
        except BaseException:
            self._gate.give_back(leave)
            raise
        self._gate.report(leave, exchange.error)
        return self._read(exchange, generation_id)

    def _read(self, exchange: Exchange, generation_id: str) -> GenerationState | RequestError:
        if exchange.error is not None or exchange.answer is None:
            return _paid_for(exchange.error or UnreadableAnswer("get: no answer"), generation_id)
        try:
            state = _wire.read_state(exchange.answer, generation_id)
        except UnreadableAnswer as error:
            return _paid_for(error, generation_id)
        if state.status is Status.UNKNOWN:
            word = _wire.unknown_status_word(exchange.answer)
            self._log_unknown(word.replace(self.settings.api_key, "***"))
        return state

    def _log_unknown(self, word: str) -> None:
        if word not in self._unknown_words and len(self._unknown_words) < _WORDS_LOGGED:
            self._unknown_words.add(word)
            _logger.warning(
                "the service says status %r, which is not known here; taken as not finished", word
            )

    # --- places ---

    def _look_after(self, generation_ids: Collection[str]) -> None:
        """Watch generations that nobody watches, because somebody waits for their place."""
        for generation_id in list(generation_ids):
            if not self.watcher.watches(generation_id):
                self.watcher.subscribe(
                    generation_id,
                    self._free_if_stuck,
                    timeout=self.settings.generation_timeout,
                    from_submission=True,
                )

    def _free_if_stuck(self, update: StatusUpdate) -> None:
        if update.error is not None:
            self._in_flight.finished(update.generation_id)

    # --- observers ---

    def time(self) -> float:
        """Seconds on the loop's clock."""
        return self.loop.time()

    def emit(self, event: Event) -> None:
        """Tell every observer. A broken one is logged once, and hurts nobody."""
        for observer in self.settings.observers:
            try:
                observer(event)
            # A cancellation here is one of the observer's own: nothing is awaited, so this task is not cancelled.
            except (Exception, asyncio.CancelledError):
                if id(observer) not in self._broken_observers:
                    self._broken_observers.add(id(observer))
                    _logger.exception("an observer failed; its further failures are not logged")


def _paid_for(error: E, generation_id: str) -> E:
    """The error of a read: whatever it is, the generation has been paid for, if there is one of that id."""
    error.generation_id = generation_id
    error.money = "unknown" if isinstance(error, NotFound) else "spent"
    return error
