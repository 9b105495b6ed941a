"""The decluttered pictures: computed from the photo, and handed out under signed URLs."""

from __future__ import annotations

import hashlib
import hmac
import time
from functools import partial
from typing import TYPE_CHECKING

import attrs
from aiohttp import web

from declutter_async.emulator.pictures import PictureError, declutter
from declutter_async.emulator.validation import RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from declutter_async.emulator.background import Tasks, ThreadCache
    from declutter_async.emulator.books import Account, Generation
    from declutter_async.emulator.fetching import Fetcher, Picture

# So many pictures are computed ahead; others, when they are downloaded. Each holds its photo in memory.
_MOST_AHEAD = 64
EXPIRED = "this URL has expired; ask get for a fresh one"


@attrs.frozen
class Source:
    """Where a generation's photo and mask came from, and the key under which its result is kept."""

    photo_url: str
    mask_url: str | None
    key: tuple[str, str | None]


class Signer:
    """Signs the URLs of results, for as long as they are to work."""

    def __init__(self, key: bytes, base_url: str, lifetime: float | None) -> None:
        self._key = key
        self._base_url = base_url
        self._lifetime = lifetime

    def url(self, generation_id: str) -> str:
        """The URL of a generation's result, valid from now on for the lifetime in seconds."""
        expires = "" if self._lifetime is None else f"{time.time() + self._lifetime:.3f}"
        query = f"expires={expires}&" if expires else ""
        signature = self._signature(generation_id, expires)
        return f"{self._base_url}/results/{generation_id}.jpg?{query}signature={signature}"

    def check(self, generation_id: str, query: Mapping[str, str]) -> None:
        """Raise RefusalError (403) for a query without a sound signature, or past its time."""
        expires, signature = query.get("expires", ""), query.get("signature", "")
        if not hmac.compare_digest(signature.encode(), self._signature(generation_id, expires).encode()):
            raise RefusalError(403, "this URL is not signed as it should be")
        if expires and time.time() > float(expires):
            raise RefusalError(403, EXPIRED)

    def _signature(self, generation_id: str, expires: str) -> str:
        return hmac.new(self._key, f"{generation_id} {expires}".encode(), hashlib.sha256).hexdigest()[:32]


class Results:
    """Computes, keeps and hands out the results of generations."""

    def __init__(
        self, computed: ThreadCache[bytes], tasks: Tasks, fetcher: Fetcher, account: Account
    ) -> None:
        self._computed = computed
        self._tasks = tasks
        self._fetcher = fetcher
        self._account = account
        self._sources: dict[str, Source] = {}

    def start(self, generation: Generation, source: Source, photo: Picture, mask: Picture | None) -> None:
        """Start to compute a generation's result in the background, unless too many wait already."""
        self._sources[generation.generation_id] = source
        if source.key in self._computed or self._computed.pending < _MOST_AHEAD:
            self._tasks.spawn(self._ahead(generation, source, photo, mask))

    async def answer(self, request: web.Request) -> web.Response:
        """Answer for a result's picture; waits until it is computed.

        Raises:
            RefusalError: 404 without a result, 410 for one that is kept no longer and cannot be computed again.
        """
        generation_id = request.match_info["generation_id"]
        generation = self._account.find(generation_id)
        if generation is None or self._account.status(generation) != "SUCCEEDED":
            raise RefusalError(404, "there is no such result")
        data = await self._picture(self._sources[generation_id])
        return web.Response(body=data, content_type="image/jpeg")

    async def _picture(self, source: Source) -> bytes:
        try:
            known = await self._computed.known(source.key)
            if known is not None:
                return known
            photo, mask = await self._fetcher.pair(source.photo_url, source.mask_url, ("photo", "mask"))
            return await self._compute(source, photo, mask)
        except (RefusalError, PictureError) as error:
            raise RefusalError(
                410, f"the result is kept no longer and cannot be computed again: {error}"
            ) from error

    async def _ahead(
        self, generation: Generation, source: Source, photo: Picture, mask: Picture | None
    ) -> None:
        try:
            await self._compute(source, photo, mask)
        except PictureError:
            self._account.fail(generation)

    async def _compute(self, source: Source, photo: Picture, mask: Picture | None) -> bytes:
        work = partial(_compute, photo.data, None if mask is None else mask.data)
        return await self._computed.get(source.key, work)


def _compute(photo: bytes, mask: bytes | None) -> bytes:
    try:
        return declutter(photo, mask)
    except Exception as error:
        # The picture was found good before; whatever OpenCV has against it, the generation fails.
        raise PictureError(f"the result could not be computed: {error}") from error
