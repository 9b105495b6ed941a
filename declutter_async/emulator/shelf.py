"""The sample rooms, rendered when they are asked for and the latest kept."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web
from yarl import URL

from declutter_async.emulator.rooms import Room, render_room

if TYPE_CHECKING:
    from declutter_async.emulator.background import ThreadCache

_PATH = re.compile(r"/rooms/(?P<seed>[0-9]{1,15})/(?P<file>cluttered\.jpg|clean\.jpg|mask\.png)")


def weigh_room(room: Room) -> int:
    """A rendered room's size in bytes."""
    return len(room.cluttered) + len(room.clean) + len(room.mask)


class RoomShelf:
    """Hands out rooms: to whoever asks over HTTP, and to the emulator itself without a detour."""

    def __init__(self, rooms: ThreadCache[Room], port: int) -> None:
        self._rooms = rooms
        self._origins = {
            URL.build(scheme="http", host=host, port=port) for host in ("127.0.0.1", "localhost")
        }

    async def answer(self, request: web.Request) -> web.Response:
        """Answer for a room's picture; the query is ignored, so that one room can have many URLs."""
        data = await self._picture(request.path)
        if data is None:
            raise web.HTTPNotFound
        return web.Response(
            body=data, content_type="image/png" if request.path.endswith("png") else "image/jpeg"
        )

    async def own_picture(self, url: str) -> bytes | None:
        """The picture behind a URL of one of our rooms, None for any other URL; works while the door is shut."""
        parsed = URL(url)
        return await self._picture(parsed.path) if parsed.origin() in self._origins else None

    async def _picture(self, path: str) -> bytes | None:
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        seed = int(found["seed"])
        room = await self._rooms.get(seed, partial(render_room, seed))
        return {"cluttered.jpg": room.cluttered, "clean.jpg": room.clean, "mask.png": room.mask}[
            found["file"]
        ]
