"""A server that writes whatever bytes a test wants, and a session on it."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from declutter_async import DeclutterSession
from declutter_async._transport import Transport

KEY = "key-that-must-never-show-0123456789"
USER = "3b241101-e2bb-4255-8caf-4136c566a962"


@attrs.frozen
class Request:
    """One request as it came."""

    line: str
    headers: dict[str, list[str]]
    body: bytes
    writer: asyncio.StreamWriter = attrs.field(repr=False)


@attrs.define
class RawServer:
    port: int
    scheme: str = "http"
    connections: int = 0
    requests: list[Request] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


Answer = bytes | Callable[[Request], Awaitable[None]]


def http(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """A whole answer; a header's `_` stands for `-`."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode() + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Close it with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.strip().split("\r\n")
    headers: dict[str, list[str]] = {}
    for entry in rest:
        name, _, value = entry.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    body = await reader.readexactly(int(headers.get("content-length", ["0"])[0]))
    return Request(line, headers, body, writer)


@asynccontextmanager
async def raw_server(
    answer: Answer, *, keep: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Answers every request so; closes the connection after each unless it is to `keep` it."""
    server = RawServer(0, "https" if tls else "http")
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            while True:
                request = await _read(reader, writer)
                server.requests.append(request)
                if callable(answer):
                    await answer(request)
                else:
                    writer.write(answer)
                    await writer.drain()
                if not keep:
                    break
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks))


def everything_in(error: BaseException) -> str:
    """All that an error tells, its chain and its pickle included."""
    told = []
    chain: BaseException | None = error
    while chain is not None:
        told.append(f"{chain} {chain!r} {chain.args!r} {chain.__dict__!r}")
        chain = chain.__cause__ or chain.__context__
    return " ".join(told) + repr(pickle.dumps(error))


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def session_on(url: str, **settings: Any) -> DeclutterSession:
    settings = {"outage_timeout": 0.2, "connect_timeout": 10.0, "request_timeout": 10.0} | settings
    return DeclutterSession(api_key=KEY, user_id=USER, base_url=url, **settings)


@asynccontextmanager
async def transport_on(url: str, **settings: Any) -> AsyncIterator[Transport]:
    settings = {
        "submitting": 4,
        "max_connections": 4,
        "connect_timeout": 10.0,
        "request_timeout": 10.0,
        "connector": None,
        "proxy": None,
        "trust_env": False,
        "trace_configs": (),
    } | settings
    transport = Transport(base_url=url, api_key=KEY, **settings)
    try:
        yield transport
    finally:
        await transport.close()
