"""Photos out of the caller's iterable, one at a time, as places come free."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable

import anyio.lowlevel

from declutter_async.errors import InvalidArgument
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
            yield _any_row(photo)
            await place()
    else:
        for photo in photos:
            yield _any_row(photo)
            await place()
            await anyio.lowlevel.checkpoint()


def as_photo(photo: Photo | str) -> Photo:
    """A photo, or one with this URL. Raises `InvalidArgument` for anything else."""
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, str):
        return Photo(photo)
    raise InvalidArgument(f"photo is {type(photo).__name__}, expected a Photo or a str: an http or https URL")


def _any_row(row: object) -> Photo:
    """Whatever it is, it gets its outcome: a bad row never stops a batch."""
    return as_photo(row if isinstance(row, Photo | str) else repr(row)[:200])
