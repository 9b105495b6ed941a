"""A plain client for the emulator, with none of the SDK's rules in it, and a studio that serves pictures."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import cv2
import numpy as np
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from declutter_async.emulator import Emulator


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; the test's own time limit ends it if it never does."""
    while not condition():
        await asyncio.sleep(0.002)


@attrs.frozen
class Reply:
    status: int
    body: Any
    headers: Any


@attrs.frozen
class Caller:
    emulator: Emulator
    session: aiohttp.ClientSession

    async def __call__(self, call: str, /, **fields: Any) -> Reply:
        """Make one of the three calls as the account's owner."""
        return await self.post(call, json={"user_id": self.emulator.user_id} | fields)

    async def post(self, call: str, /, **options: Any) -> Reply:
        usual: dict[str, Any] = {"headers": {"x-api-key": self.emulator.api_key}, "allow_redirects": False}
        options = usual | options
        async with self.session.post(f"{self.emulator.url}/api/declutter_total/{call}", **options) as answer:
            return Reply(answer.status, await answer.json(), answer.headers)

    async def finished(self, generation_id: str) -> dict[str, Any]:
        """Look again and again until the generation has finished."""
        state: dict[str, Any] = {}
        while state.get("status") not in {"SUCCEEDED", "FAILED"}:
            await asyncio.sleep(0.002)
            state = (await self("get", generation_id=generation_id)).body
        return state


@asynccontextmanager
async def calling(emulator: Emulator) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(emulator, session)


@attrs.frozen
class Exchange:
    """What a bare socket saw: all bytes until the end, and how it ended ("FIN", "RST" or None, still open)."""

    data: bytes
    end: str | None

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]


async def bare(
    emulator: Emulator, path: str, fields: dict[str, Any] | None, *, ends: bool = False, silent: bool = False
) -> Exchange:
    """Send one request (POST with fields, GET without) and read what comes.

    A connection that `ends` is read to its end. One that does not is read to the end of its answer (if it is
    not `silent`), and must then bring nothing more for a moment.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", int(emulator.url.rpartition(":")[2]))
    body = b"" if fields is None else json.dumps(fields).encode()
    verb = "GET" if fields is None else "POST"
    head = (
        f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {emulator.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    data, end = b"", None
    try:
        if not ends and not silent:
            data = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in data.lower().splitlines() if line.startswith(b"content-length"))
            data += await reader.readexactly(int(length.partition(b":")[2]))
        async with asyncio.timeout(60 if ends else 0.02):
            while chunk := await reader.read(2**16):
                data += chunk
            end = "FIN"
    except TimeoutError:
        pass
    except ConnectionResetError:
        end = "RST"
    writer.close()
    return Exchange(data, end)


@cache
def picture(kind: str, width: int = 64, height: int = 48, *, mask: bool = False) -> bytes:
    """A grey picture with a bright spot; as a mask, black and white."""
    image = np.full((height, width, 3), 0 if mask else 140, np.uint8)
    image[height // 3 : height // 2, width // 3 : width // 2] = 255
    return cv2.imencode(f".{kind}", image)[1].tobytes()


@attrs.define
class Studio:
    """A server of pictures, good ones and others; it counts what was asked for."""

    url: str = ""
    asked: list[str] = attrs.field(factory=list)
    gone: bool = False

    @property
    def photo(self) -> str:
        return f"{self.url}/photo.jpg"

    @property
    def mask(self) -> str:
        return f"{self.url}/mask.png"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.gone:
            return web.Response(status=410)
        if request.path == "/slow.jpg":
            await asyncio.sleep(0.5)
        made = {
            "/slow.jpg": lambda: web.Response(body=picture("jpg")),
            "/photo.jpg": lambda: web.Response(body=picture("jpg")),
            "/photo.png": lambda: web.Response(body=picture("png")),
            "/mask.png": lambda: web.Response(body=picture("png", mask=True)),
            "/small_mask.png": lambda: web.Response(body=picture("png", 32, 32, mask=True)),
            "/cut.jpg": lambda: web.Response(body=picture("jpg")[:-40]),
            "/page.html": lambda: web.Response(text="<html></html>", content_type="text/html"),
            "/huge.jpg": lambda: web.Response(body=bytes(32 * 2**20 + 1)),
            "/broken.gz": lambda: web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
            "/moved.jpg": lambda: web.Response(status=302, headers={"Location": "/photo.jpg"}),
            "/round.jpg": lambda: web.Response(status=302, headers={"Location": "/round.jpg"}),
            "/far.jpg": lambda: web.Response(status=302, headers={"Location": "ftp://127.0.0.1/x"}),
        }.get(request.path)
        return web.Response(status=404) if made is None else made()


@asynccontextmanager
async def run_studio() -> AsyncIterator[Studio]:
    made = Studio()
    application = web.Application()
    application.router.add_get("/{name}", made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
