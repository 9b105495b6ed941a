"""How each fault breaks an answer: what is written to the client, or done to its connection."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs
from aiohttp import web

if TYPE_CHECKING:
    from declutter_async.emulator.door import Door

REFUSED_SECONDS = 0.3
_RETRY_AFTER = {"Retry-After": "1"}
_BOMB_MIB = 65
_ID = "00000000-0000-4000-8000-000000000000"
_PLAUSIBLE: dict[str, bytes] = {
    "generate": json.dumps({"generation_id": _ID, "remaining_photos": 10, "project_id": _ID}).encode(),
    "generate-variation": json.dumps({"generation_id": _ID, "remaining_photos": 10}).encode(),
    "get": json.dumps({"status": "PROCESSING", "variationNumber": 0}).encode(),
    "result": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(1000),
}
_WRONG_TYPES: dict[str, object] = {
    "generate": {"generation_id": 7, "remaining_photos": "many", "project_id": ["?"]},
    "generate-variation": {"generation_id": {"id": 7}, "remaining_photos": "many"},
    "get": {"status": 7, "urls": "nowhere", "variationNumber": "two"},
}


@attrs.frozen
class Struck:
    """A request that a fault strikes; `answer` is the true answer if the request was carried out."""

    request: web.Request
    call: str
    answer: web.Response | None
    door: Door


Writer = Callable[[Struck], Awaitable[web.StreamResponse]]


async def refuse(struck: Struck) -> web.StreamResponse:
    """Shut the door for a while; the struck request itself is answered."""
    struck.door.refuse_for(REFUSED_SECONDS)
    return struck.answer or web.Response()


async def go_stale(struck: Struck) -> web.StreamResponse:
    """Answer as if the connection were kept, and close it."""
    answer = struck.answer or web.Response()
    await answer.prepare(struck.request)
    await answer.write_eof()
    return await closed(struck, answer)


async def closed(struck: Struck, answer: web.StreamResponse | None = None) -> web.StreamResponse:
    """Close the connection when what was written has gone out."""
    if struck.request.transport is not None:
        struck.request.transport.close()
    return answer or web.Response()


async def reset(struck: Struck) -> web.StreamResponse:
    """Abort the connection so that the client sees it reset."""
    transport = struck.request.transport
    if transport is not None:
        # Lingering for 0 seconds makes the system send RST in place of FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


async def hang(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
    """Wait until the handler is cancelled, because the client or the emulator goes."""
    await asyncio.get_running_loop().create_future()
    return web.Response()  # pragma: no cover - never reached


async def half(struck: Struck) -> web.StreamResponse:
    """Promise a whole body and write half of it."""
    true = struck.answer
    body = _PLAUSIBLE[struck.call] if true is None or not isinstance(true.body, bytes) else true.body
    answer = web.StreamResponse(status=200 if true is None else true.status)
    answer.content_type = "image/jpeg" if struck.call == "result" else "application/json"
    answer.content_length = len(body)
    await answer.prepare(struck.request)
    await answer.write(body[: len(body) // 2])
    return await closed(struck, answer)


async def empty(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
    """Answer 200 and nothing."""
    return web.Response(content_type="application/json")


async def garbage(struck: Struck) -> web.StreamResponse:
    """Answer 200 with bytes that mean nothing, in the type that was to be expected."""
    kind = "image/jpeg" if struck.call == "result" else "application/json"
    return web.Response(body=b'{"status": \x00\xfe\xff <<' * 40, content_type=kind)


async def json_list(struck: Struck) -> web.StreamResponse:
    """Answer 200 with a list where an object should be."""
    return web.Response(body=b"[" + _PLAUSIBLE[struck.call] + b"]", content_type="application/json")


async def wrong_types(struck: Struck) -> web.StreamResponse:
    """Answer 200 with fields whose types are wrong."""
    return web.json_response(_WRONG_TYPES[struck.call])


async def bomb(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
    """Answer 200 with a body that grows a thousandfold when it is decompressed."""
    return web.Response(body=_bomb(), content_type="application/json", headers={"Content-Encoding": "gzip"})


async def redirect(struck: Struck) -> web.StreamResponse:
    """Send the client to another host name, where the emulator counts who comes."""
    location = f"http://localhost:{struck.door.port}/elsewhere"
    return web.Response(status=302, headers={"Location": location})


async def rate_limited(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
    """Answer 429."""
    return web.json_response({"error": "too many requests"}, status=429, headers=_RETRY_AFTER)


async def html_502(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
    """Answer as a proxy does when the service behind it is gone."""
    page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return web.Response(status=502, text=page, content_type="text/html")


async def expired(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
    """Answer as for a URL whose time has passed."""
    return web.json_response({"error": "this URL has expired; ask get for a fresh one"}, status=403)


def status(code: int, *, retry_after: bool = False) -> Writer:
    """Make a writer that answers with this status."""

    async def write(struck: Struck) -> web.StreamResponse:  # noqa: ARG001 - a Writer is given one
        body = {"error": f"the emulator was told to answer {code}"}
        return web.json_response(body, status=code, headers=_RETRY_AFTER if retry_after else None)

    return write


@functools.cache
def _bomb() -> bytes:
    # One compressed block of blanks, repeated: a full flush makes blocks independent of each other.
    blanks = b" " * 2**20
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(blanks) + deflate.flush(zlib.Z_FULL_FLUSH)
    check = functools.reduce(lambda crc, _: zlib.crc32(blanks, crc), range(_BOMB_MIB), 0)
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    trailer = struct.pack("<II", check, _BOMB_MIB * len(blanks))
    return header + block * _BOMB_MIB + deflate.flush(zlib.Z_FINISH) + trailer
