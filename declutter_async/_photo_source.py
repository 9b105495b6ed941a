"""Photos out of the caller's iterable, one at a time, as places come free."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable

import anyio.lowlevel

from declutter_async.models import Photo


async def read_photos(
    photos: Iterable[Photo | str] | AsyncIterable[Photo | str],
    place: Callable[[], Awaitable[None]],
    delivered: Callable[[], None],
) -> AsyncGenerator[Photo, None]:
    """Every photo, each read only after a place was taken for it; the place of the end is not given back."""
    await place()
    if isinstance(photos, AsyncIterable):
        async for photo in photos:
            delivered()
            yield _as_photo(photo)
            await place()
    else:
        for photo in photos:
            yield _as_photo(photo)
            await place()
            await anyio.lowlevel.checkpoint()


def _as_photo(photo: object) -> Photo:
    if isinstance(photo, Photo):
        return photo
    # Whatever else it is, it gets its outcome: a bad row never stops a batch.
    return Photo(photo if isinstance(photo, str) else repr(photo)[:200])
