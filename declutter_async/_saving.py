"""From a SUCCEEDED generation to files: fetched, asked for anew where the URL has expired, saved by a store."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

import anyio
import attrs

from declutter_async._retry import backoff
from declutter_async.errors import DeclutterError, DownloadFailed
from declutter_async.events import Event, Saved
from declutter_async.models import GenerationState
from declutter_async.outcomes import Outcome, OutcomeKind
from declutter_async.storage import result_name

_TRIES = 5  # of one download


class Store(Protocol):
    """Where results go."""

    async def prepare(self) -> None:
        """See that it can be written to. Raises `InvalidArgument`."""
        ...

    async def save(self, name: str, pieces: AsyncIterator[bytes]) -> tuple[Path, int]:
        """Save one result under the first free name; returns where, and its size in bytes."""
        ...


class Source(Protocol):
    """What saving needs of a session."""

    def time(self) -> float:
        """Seconds."""
        ...

    async def get(self, generation_id: str) -> GenerationState:
        """One look, for new URLs."""
        ...

    def download(self, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes at a URL, in pieces."""
        ...

    def emit(self, event: Event) -> None:
        """Tell the observers."""
        ...


async def save_results(found: Outcome, store: Store, source: Source) -> Outcome:
    """The outcome with its files: DELIVERED if all were saved, UNFINISHED (and its error) if not."""
    generation_id = found.generation_id or ""
    urls, files, asked_anew = found.urls, list[Path](), False
    while len(files) < len(urls):
        name = result_name(found.photo.url, generation_id, len(files), len(urls))
        try:
            files.append(await _save(urls[len(files)], name, generation_id, store, source))
        except DownloadFailed as error:
            expired = error.status is not None and not error.worth_repeating
            if asked_anew or not expired:
                return _not_saved(found, urls, files, error)
            asked_anew = True
            try:
                anew = (await source.get(generation_id)).urls
            except DeclutterError:
                return _not_saved(found, urls, files, error)
            if len(anew) <= len(files):
                return _not_saved(found, urls, files, error)
            urls = anew
    return attrs.evolve(found, kind=OutcomeKind.DELIVERED, urls=urls, files=tuple(files))


def _not_saved(found: Outcome, urls: tuple[str, ...], files: list[Path], error: DownloadFailed) -> Outcome:
    error.generation_id = found.generation_id
    return attrs.evolve(found, kind=OutcomeKind.UNFINISHED, urls=urls, files=tuple(files), error=error)


async def _save(url: str, name: str, generation_id: str, store: Store, source: Source) -> Path:
    """One result; a download is free, so trouble on the way is tried again."""
    started = source.time()
    failures = 0
    while True:
        try:
            async with aclosing(source.download(url)) as pieces:
                path, size = await store.save(name, pieces)
        except DownloadFailed as error:
            failures += 1
            if not error.worth_repeating or failures == _TRIES:
                raise
        else:
            seconds = source.time() - started
            source.emit(Saved(generation_id=generation_id, path=str(path), size=size, seconds=seconds))
            return path
        await anyio.sleep(backoff(failures, jitter=random.random()))  # noqa: S311 - spreads load, no secret
