"""`DeclutterSession`: everything an app asks of the service goes through one of these."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from declutter_async import _wire
from declutter_async._core import Core
from declutter_async._photo_source import as_photo
from declutter_async._settings import (
    DEFAULT,
    Default,
    Settings,
    as_observers,
    check_count,
    check_timeout,
    who,
)
from declutter_async._submission import Submission, outlast
from declutter_async._transport import ConnectorFactory
from declutter_async._watch import Watch, succeeded
from declutter_async.batch import Batch, Limits
from declutter_async.errors import (
    DeclutterError,
    GenerationFailed,
    GenerationTimeout,
    InvalidArgument,
    SessionMisuse,
    SubmissionUncertain,
)
from declutter_async.events import Observer
from declutter_async.models import JSON, Generation, GenerationState, Photo
from declutter_async.outcomes import Outcome
from declutter_async.polling import AdaptivePolling, PollingPolicy
from declutter_async.storage import FolderStore

if TYPE_CHECKING:
    import aiohttp


class DeclutterSession:
    """Starts generations, watches them, and runs batches of them, within one event loop.

    Use it as `async with DeclutterSession() as session:`, or construct it anywhere and `await session.aclose()`.

    Args:
        api_key: Else `DECLUTTER_API_KEY`.
        user_id: UUID from the service's Developer Space; else `DECLUTTER_USER_ID`.
        base_url: Else `DECLUTTER_BASE_URL`, else the service's own.
        in_flight: Generations submitted and not yet finished, at most, over everything the session does.
        submitting: Paid requests on the way at once: all that a crash can make uncertain.
        max_connections: Connections for reading.
        requests_per_second: A ceiling; below it the session adapts to 429 by itself.
        connect_timeout: Seconds to get a connection made.
        request_timeout: Seconds for one request, counted from when it has a connection.
        generation_timeout: Seconds from submission until a generation counts as stuck.
        outage_timeout: Seconds for which an unreachable or overloaded service is waited out.
        polling: When to look; by default an `AdaptivePolling` of the session's own.
        observers: Callables that receive every event (see `declutter_async.events`), in the event loop.
        connector: A factory of aiohttp connectors, called with `limit=` and `force_close=`, once for paid requests,
            once for reading, once for downloads: `functools.partial(aiohttp.TCPConnector, ssl=context)`.
        proxy: URL of a proxy for every request.
        trust_env: Honour the environment's proxies, though never for loopback.
        trace_configs: aiohttp's, for instrumentation.

    Raises:
        InvalidArgument: An argument is missing or wrong; it says which, and the environment variable.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        user_id: str | UUID | None = None,
        base_url: str | None = None,
        in_flight: int = 32,
        submitting: int = 16,
        max_connections: int = 32,
        requests_per_second: float | None = None,
        connect_timeout: float = 10.0,
        request_timeout: float = 30.0,
        generation_timeout: float = 1800.0,
        outage_timeout: float = 600.0,
        polling: PollingPolicy | None = None,
        observers: Iterable[Observer] = (),
        connector: ConnectorFactory | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        key, user, base = who(api_key, user_id, base_url)
        self._settings = Settings(
            api_key=key,
            user_id=user,
            base_url=base,
            in_flight=in_flight,
            submitting=submitting,
            max_connections=max_connections,
            requests_per_second=requests_per_second,
            connect_timeout=connect_timeout,
            request_timeout=request_timeout,
            generation_timeout=generation_timeout,
            outage_timeout=outage_timeout,
            polling=AdaptivePolling() if polling is None else polling,
            observers=as_observers(observers),
            connector=connector,
            proxy=proxy,
            trust_env=trust_env,
            trace_configs=tuple(trace_configs),
        )
        self._core: Core | None = None
        self._closed = False
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not yet used" if self._core is None else "open"
        return f"<DeclutterSession {self._settings.base_url} user {self._settings.user_id} {state}>"

    # --- life ---

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close it, from any task of its loop. Answers to paid requests on the way are waited for first.

        Whoever still waits for a generation gets `SessionMisuse` with its generation_id. Closing twice is fine.
        """
        if self._core is not None:
            _check_loop(self._core)
        self._closed = True
        if self._core is None:
            return
        if self._closing is None:
            self._closing = self._core.loop.create_task(self._core.close(), name="declutter-async close")
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await outlast(self._closing)
            raise

    def _open(self) -> Core:
        """What it holds in this loop; made at the first use."""
        if self._closed:
            raise SessionMisuse("the session is closed; make a new one")
        if self._core is None:
            _running_loop()
            self._core = Core(self._settings)
        _check_loop(self._core)
        return self._core

    # --- the service's three calls ---

    async def generate(
        self,
        image_url: str,
        *,
        auto: bool | None = None,
        mask_url: str | None = None,
        webhook: str | None = None,
        extra: Mapping[str, JSON] | None = None,
    ) -> Generation:
        """Start a generation. Costs a photo.

        Args:
            image_url: http or https URL of a JPEG or PNG.
            auto: Let the service find what to remove; None: unless there is a mask.
            mask_url: URL of a mask. The service's page says that one is needed without `auto`, and names no
                parameter for it; its sister calls name it so, and it is sent only when it is given.
            webhook: URL that the service calls once the generation is finished.
            extra: Further fields of the body, merged in last.

        Raises:
            InvalidArgument: Before anything is sent.
            SubmissionUncertain: It may have been accepted; it is not repeated.
            RequestError: It was refused, or never sent; nothing is spent.
        """
        core = self._open()
        photo = Photo(image_url, auto=auto, mask_url=mask_url)
        return await core.submit(core.prepare(photo, webhook=webhook, extra=extra))

    async def generate_variation(
        self,
        generation_id: str | UUID,
        *,
        original_url: str,
        mask_url: str,
        extra: Mapping[str, JSON] | None = None,
    ) -> Generation:
        """Start a variation of an earlier generation; whether it costs a photo depends on the subscription.

        Args:
            generation_id: Of the earlier one.
            original_url: URL of the original photo.
            mask_url: URL of the mask of what to remove.
            extra: Further fields of the body, merged in last.

        Raises as `generate` does. The answer's `project_id` is None.
        """
        core = self._open()
        original = _wire.check_uuid("generation_id", generation_id)
        body = _wire.variation_body(
            self._settings.user_id, original, original_url=original_url, mask_url=mask_url, extra=extra
        )
        submission = Submission("generate-variation", _wire.encode(body), original_url, original=original)
        return await core.submit(submission)

    async def get(
        self, generation_id: str | UUID, *, extra: Mapping[str, JSON] | None = None
    ) -> GenerationState:
        """One look at a generation; free. Waits out outages and 429 for up to `outage_timeout` seconds.

        Raises:
            NotFound: The service does not know it.
            RequestError: Refused, unreachable for too long, or an unreadable answer.
        """
        return await self._open().get(_wire.check_uuid("generation_id", generation_id), extra=extra)

    # --- waiting ---

    async def wait(
        self,
        generation_id: str | UUID,
        *,
        timeout: float | Default | None = DEFAULT,  # noqa: ASYNC109 - a detach, not a cancellation: the error carries the id
    ) -> GenerationState:
        """Wait until a generation has SUCCEEDED.

        Args:
            generation_id: Of any generation of this account.
            timeout: Seconds from now; None: for ever; by default the session's `generation_timeout`, counted from
                the submission where this session made it.

        Raises:
            GenerationFailed: The service says FAILED.
            GenerationTimeout: Not finished in time; it runs on.
            RequestError: The service refuses to tell.
        """
        core = self._open()
        return await self._wait(core, _wire.check_uuid("generation_id", generation_id), timeout)

    def watch(self, generation_ids: Iterable[str | UUID] | AsyncIterable[str | UUID]) -> Watch:
        """An async iterator over every change of status of these generations, until each has finished.

        One id's trouble (unknown, refused, not finished within `generation_timeout`) is an update with `error`
        set; it ends that id and no other. Use it as `async with session.watch(ids) as updates:` or directly in
        `async for`; with ids from an async iterable, use `async with`.
        """
        core = self._open()
        return Watch(core.watcher, generation_ids, generation_timeout=self._settings.generation_timeout)

    async def declutter(
        self,
        photo: Photo | str,
        *,
        timeout: float | Default | None = DEFAULT,  # noqa: ASYNC109 - a detach, not a cancellation: the error carries the id
    ) -> GenerationState:
        """Submit a photo and wait until it has SUCCEEDED. Costs a photo; FAILED is refunded.

        Args:
            photo: A `Photo` or its URL.
            timeout: Seconds to wait for it once it is submitted; None: for ever.

        Raises as `generate` and `wait` do. If the caller is cancelled meanwhile, the generation_id is kept in
        `detached`.
        """
        core = self._open()
        check_timeout(timeout)
        uncertain: SubmissionUncertain | None = None
        try:
            generation_id = (await core.submit(core.prepare(as_photo(photo)))).generation_id
        except SubmissionUncertain as error:
            if error.generation_id is None:
                raise
            uncertain, generation_id = error, error.generation_id  # a broken answer still showed it
        try:
            return await self._wait(core, generation_id, timeout)
        except asyncio.CancelledError:
            core.detach(generation_id)
            raise
        except DeclutterError as error:
            seen = isinstance(error, GenerationFailed | GenerationTimeout) and error.state is not None
            if uncertain is None or seen:
                raise
            raise uncertain from None  # no look has confirmed what the broken answer showed

    @property
    def detached(self) -> tuple[str, ...]:
        """The generation_ids whose caller was gone before hearing of them, or that could not be recorded."""
        return () if self._core is None else tuple(self._core.detached)

    # --- many ---

    def batch(
        self,
        photos: Iterable[Photo | str] | AsyncIterable[Photo | str],
        *,
        in_flight: int | None = None,
        attempts: int = 2,
        budget: int | None = None,
        reserve: int = 0,
        save_to: str | PathLike[str] | None = None,
    ) -> Batch:
        """Declutter many photos: `async with session.batch(photos) as batch: async for outcome in batch: ...`.

        Args:
            photos: Read only as places come free, so it may be a million long.
            in_flight: Photos at once, at most; the session's own `in_flight` holds beside it.
            attempts: Submissions of a photo that the service refunds as FAILED, at most.
            budget: Photos that the batch may spend; one that may have been spent counts as spent.
            reserve: Photos to leave on the account. Its balance is known only from the answer to a submission, so
                the first is sent alone, and is sent even if it leaves less.
            save_to: A folder for the results; a name is never overwritten.

        Raises:
            InvalidArgument: An argument is wrong, or (on entering) the folder cannot be written to.
        """
        core = self._open()
        limits = Limits(
            in_flight=self._settings.in_flight if in_flight is None else in_flight,
            attempts=attempts,
            budget=budget,
            reserve=reserve,
        )
        check_count("in_flight", limits.in_flight, at_least=1)
        check_count("attempts", attempts, at_least=1)
        check_count("reserve", reserve, at_least=0)
        if budget is not None:
            check_count("budget", budget, at_least=0)
        if save_to is not None and not isinstance(save_to, str | PathLike):
            raise InvalidArgument(f"save_to is {type(save_to).__name__}, expected a folder: a str or a Path")
        store = None if save_to is None else FolderStore(Path(save_to))
        return Batch(core, photos, limits=limits, store=store)

    async def declutter_all(
        self,
        photos: Iterable[Photo | str] | AsyncIterable[Photo | str],
        *,
        in_flight: int | None = None,
        attempts: int = 2,
        budget: int | None = None,
        reserve: int = 0,
        save_to: str | PathLike[str] | None = None,
    ) -> list[Outcome]:
        """As `batch`, all at once: the outcomes in the order of the photos. Raises as `batch` does."""
        batch = self.batch(
            photos, in_flight=in_flight, attempts=attempts, budget=budget, reserve=reserve, save_to=save_to
        )
        numbered: list[tuple[int, Outcome]] = []
        try:
            async with batch:
                async for pair in batch.numbered():
                    numbered.append(pair)  # noqa: PERF401 - what is there must be known where it ends early
        except BaseException:
            for _, outcome in numbered:
                batch.detach(outcome)
            raise
        return [outcome for _, outcome in sorted(numbered, key=lambda pair: pair[0])]

    async def _wait(
        self,
        core: Core,
        generation_id: str,
        timeout: float | Default | None,  # noqa: ASYNC109 - as in `wait`
    ) -> GenerationState:
        check_timeout(timeout)
        default = isinstance(timeout, Default)
        seconds = self._settings.generation_timeout if isinstance(timeout, Default) else timeout
        return succeeded(await core.wait(generation_id, seconds=seconds, from_submission=default))


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise SessionMisuse(
            "no asyncio event loop runs here; a session works in asyncio (not trio) code"
        ) from None


def _check_loop(core: Core) -> None:
    if _running_loop() is not core.loop:
        raise SessionMisuse("the session belongs to another event loop; make one session for each event loop")
