"""Which photos of a batch have been paid for: what the pool asks, and an answer from memory."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Protocol

import attrs

from declutter_async.errors import DeclutterError, InvalidArgument
from declutter_async.models import Generation, Photo
from declutter_async.outcomes import Outcome, OutcomeKind


class Records(Protocol):
    """The record of every photo's money, by the photo's key."""

    async def claim(self, photo: Photo) -> Outcome | None:
        """None: the photo is the caller's to submit. Else what became of it already, once that is known."""
        ...

    async def submitting(self, photo: Photo) -> None:
        """A paid request for the photo is about to be written."""
        ...

    async def submitted(self, photo: Photo, generation_id: str, generation: Generation | None) -> None:
        """It was accepted; nobody has heard of the id before this returns."""
        ...

    async def settle(self, photo: Photo, outcome: Outcome) -> None:
        """The photo has its outcome."""
        ...


class MemoryRecords:
    """The records of one batch, gone with it: the same photo twice is one submission and two outcomes.

    Only what was submitted is remembered, packed: some 600 bytes a photo. Whatever cost nothing may be tried anew.
    """

    def __init__(self) -> None:
        self._options: dict[str, str] = {}
        self._pending: dict[str, asyncio.Future[Outcome]] = {}
        self._settled: dict[bytes, bytes] = {}
        self._errors: dict[bytes, DeclutterError] = {}

    async def claim(self, photo: Photo) -> Outcome | None:
        """As the protocol says; a second photo waits for the first one of its key."""
        key = photo.key
        digest = _digest(key)
        if digest in self._settled:
            packed = self._settled[digest]
            return _conflict(photo, _options(packed)) or _unpack(photo, packed, self._errors.get(digest))
        pending = self._pending.get(key)
        if pending is None:
            self._pending[key] = asyncio.get_running_loop().create_future()
            self._options[key] = photo.options
            return None
        if (conflict := _conflict(photo, self._options[key])) is not None:
            return conflict
        return attrs.evolve(await asyncio.shield(pending), photo=photo)

    async def submitting(self, photo: Photo) -> None:
        """Memory has nothing to make durable."""

    async def submitted(self, photo: Photo, generation_id: str, generation: Generation | None) -> None:
        """Memory has nothing to make durable."""

    async def settle(self, photo: Photo, outcome: Outcome) -> None:
        """Remember what was submitted, and tell whoever waits."""
        key = photo.key
        if outcome.attempts:
            digest = _digest(key)
            self._settled[digest] = _pack(photo, outcome)
            if outcome.error is not None:
                self._errors[digest] = _without_frames(outcome.error)
        del self._options[key]
        self._pending.pop(key).set_result(outcome)


def _without_frames(error: DeclutterError) -> DeclutterError:
    """The error, less what it holds in memory and nobody sees: frames, and with them whole answers."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        if link.__suppress_context__:
            link.__context__ = None
        link = link.__cause__ or link.__context__
    return error


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _conflict(photo: Photo, options: str) -> Outcome | None:
    if photo.options == options:
        return None
    error = InvalidArgument(
        f"key {photo.key[:100]!r} stands for two sets of options (auto, mask_url, extra) in one batch; "
        "give each its own key, or none"
    )
    return Outcome(photo=photo, kind=OutcomeKind.FAILED, error=error)


def _pack(photo: Photo, outcome: Outcome) -> bytes:
    generation = outcome.generation and attrs.astuple(outcome.generation)
    files = [str(file) for file in outcome.files]
    fields = (
        photo.options, outcome.kind, generation, outcome.generation_id, outcome.urls, files,
        outcome.attempts, outcome.confirmed_by, outcome.seconds,
    )  # fmt: skip
    return json.dumps(fields, separators=(",", ":")).encode()


def _options(packed: bytes) -> str:
    return str(json.loads(packed)[0])


def _unpack(photo: Photo, packed: bytes, error: DeclutterError | None) -> Outcome:
    _, kind, generation, generation_id, urls, files, attempts, confirmed_by, seconds = json.loads(packed)
    return Outcome(
        photo=photo,
        kind=OutcomeKind(kind),
        generation=None if generation is None else Generation(*generation),
        generation_id=generation_id,
        urls=tuple(urls),
        files=tuple(map(Path, files)),
        attempts=attempts,
        confirmed_by=confirmed_by,
        error=error,
        seconds=seconds,
    )
