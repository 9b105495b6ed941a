"""The source is read one photo at a time, and only as places come free."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from declutter_async import Photo
from declutter_async._photo_source import read_photos

pytestmark = pytest.mark.anyio


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def place(self) -> None:
        self.events.append("place")

    def delivered(self) -> None:
        self.events.append("delivered")

    def rows(self, rows: list[Any]) -> Iterator[Any]:
        for number, row in enumerate(rows):
            self.events.append(f"read {number}")
            yield row

    async def rows_later(self, rows: list[Any]) -> AsyncIterator[Any]:
        for row in self.rows(rows):
            yield row


@pytest.mark.parametrize("later", [False, True])
async def test_no_photo_is_read_before_there_is_a_place_for_it(*, later: bool) -> None:
    log = Log()
    source: Any = (
        log.rows_later(["https://h/0", "https://h/1"]) if later else log.rows(["https://h/0", "https://h/1"])
    )
    photos = [photo async for photo in read_photos(source, log.place, log.delivered)]
    assert photos == [Photo("https://h/0"), Photo("https://h/1")]
    delivered = ["delivered"] if later else []
    assert log.events == ["place", "read 0", *delivered, "place", "read 1", *delivered, "place"]


@pytest.mark.parametrize("later", [False, True])
async def test_whatever_a_row_is_it_becomes_a_photo(*, later: bool) -> None:
    log = Log()
    mine = Photo("https://h/p", key="k")
    rows: list[Any] = [mine, "https://h/q", None, b"https://h/r", {"url": "x" * 1000}]
    source: Any = log.rows_later(rows) if later else rows
    photos = [photo async for photo in read_photos(source, log.place, log.delivered)]
    assert photos[0] is mine
    assert [photo.url for photo in photos[1:4]] == ["https://h/q", "None", "b'https://h/r'"]
    assert len(photos[4].url) == 200


async def test_a_broken_source_is_the_callers_error() -> None:
    def rows() -> Iterator[str]:
        yield "https://h/0"
        raise LookupError("the caller's own")

    log = Log()
    photos = read_photos(rows(), log.place, log.delivered)
    assert await anext(photos) == Photo("https://h/0")
    with pytest.raises(LookupError):
        await anext(photos)
