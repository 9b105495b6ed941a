"""Getting the pictures that a request names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import aiohttp
import attrs
from yarl import URL

from declutter_async.emulator.pictures import PictureError, inspect_picture
from declutter_async.emulator.validation import RefusalError

if TYPE_CHECKING:
    from declutter_async.emulator.background import ThreadCache
    from declutter_async.emulator.pictures import PictureInfo
    from declutter_async.emulator.shelf import RoomShelf

MAX_PICTURE_BYTES = 32 * 2**20
_TIMEOUT = aiohttp.ClientTimeout(total=10)


@attrs.frozen
class Picture:
    """A fetched and checked picture."""

    data: bytes = attrs.field(repr=False)
    digest: str
    info: PictureInfo


class Fetcher:
    """Fetches pictures and checks that they are whole JPEGs or PNGs; the checks are remembered by digest."""

    def __init__(
        self, client: aiohttp.ClientSession, rooms: RoomShelf, inspections: ThreadCache[PictureInfo]
    ) -> None:
        self._client = client
        self._rooms = rooms
        self._inspections = inspections

    async def pair(
        self, photo_url: str, mask_url: str | None, names: tuple[str, str]
    ) -> tuple[Picture, Picture | None]:
        """Fetch a photo and, where one is given, its mask of the same size.

        Args:
            photo_url: where the photo is.
            mask_url: where the mask is, or None.
            names: the two fields' names, for the messages.

        Raises:
            RefusalError: 400, if one cannot be fetched, is no picture, or the mask is of another size.
        """
        photo_name, mask_name = names
        photo = await self._picture(photo_url, photo_name)
        if mask_url is None:
            return photo, None
        mask = await self._picture(mask_url, mask_name)
        if (photo.info.width, photo.info.height) != (mask.info.width, mask.info.height):
            message = (
                f"{mask_name}: the mask is {mask.info.width} x {mask.info.height} pixels, "
                f"the photo {photo.info.width} x {photo.info.height}; make them the same size"
            )
            raise RefusalError(400, message)
        return photo, mask

    async def _picture(self, url: str, name: str) -> Picture:
        data = await self._rooms.own_picture(url)
        if data is None:
            data = await self._download(url, name)
        digest = hashlib.sha256(data).hexdigest()
        try:
            info = await self._inspections.get(digest, lambda: inspect_picture(data))
        except PictureError as error:
            raise RefusalError(
                400, f"{name}: not a picture that can be used (jpg or png): {error}"
            ) from error
        return Picture(data=data, digest=digest, info=info)

    async def _download(self, url: str, name: str) -> bytes:
        data = bytearray()
        try:
            # An address is asked for as it was written: a signature may cover its escapes.
            address = URL(url, encoded=url.isascii())
            async with self._client.get(address, timeout=_TIMEOUT, max_redirects=5) as answer:
                if answer.status != 200:
                    raise RefusalError(400, f"{name} could not be fetched: it was answered {answer.status}")
                async for chunk in answer.content.iter_chunked(2**16):
                    data += chunk
                    if len(data) > MAX_PICTURE_BYTES:
                        raise RefusalError(400, f"{name}: larger than {MAX_PICTURE_BYTES // 2**20} MiB")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: a URL that cannot be asked for, or a body that cannot be decompressed.
            raise RefusalError(400, f"{name} could not be fetched: {type(error).__name__}") from error
        return bytes(data)
