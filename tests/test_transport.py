"""HTTP over real sockets: foreign exceptions, what counts as connected, bounds, and where the key goes."""

from __future__ import annotations

import asyncio
import binascii
import errno
import functools
import gzip
import json
import logging
import re
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import abc, client_exceptions, http, http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from raw_server import (
    KEY,
    Request,
    everything_in,
    free_port,
    raw_server,
    reset,
    session_on,
    transport_on,
)
from raw_server import http as answer
from yarl import URL

from declutter_async import _transport
from declutter_async._transport import Transport, is_loopback
from declutter_async._wire import MAX_ANSWER
from declutter_async.errors import (
    ConnectionLost,
    ConnectionNotMade,
    DeclutterError,
    DownloadFailed,
    InvalidArgument,
    RequestTimeout,
    SubmissionUncertain,
    UnreadableAnswer,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

STATE = answer(b'{"status": "PROCESSING"}')
ID = "7f1b0c3e-5d2a-4e6f-8a9b-0c1d2e3f4a5b"


async def hang(_: Request) -> None:
    await asyncio.Event().wait()


# --- the map of foreign exceptions ---


def subclasses(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from subclasses(sub)


def foreign_classes() -> list[type[Exception]]:
    """Every exception class of the modules under a request, and every OSError and ValueError there is."""
    modules: list[ModuleType] = [
        client_exceptions, http_exceptions, http, aiohttp, asyncio, ssl, json, zlib, socket, binascii,
    ]  # fmt: skip
    named = [thing for module in modules for thing in vars(module).values() if isinstance(thing, type)]
    families = [*subclasses(OSError), *subclasses(UnicodeError), *subclasses(aiohttp.ClientError)]
    builtin = [
        AttributeError,
        KeyError,
        TypeError,
        AssertionError,
        RecursionError,
        MemoryError,
        OverflowError,
    ]
    below = {"builtins", *(module.__name__.partition(".")[0] for module in modules)}
    found = {
        cls
        for cls in [*named, *families, *builtin, *subclasses(http_exceptions.HttpProcessingError)]
        if issubclass(cls, Exception) and cls.__module__.partition(".")[0] in below
    }
    return sorted(found, key=lambda cls: (cls.__module__, cls.__name__))


def make(cls: type[Exception]) -> Exception:
    """An instance as its library makes it; its text names the key."""
    key = ConnectionKey("host", 1, True, True, None, None, None)  # noqa: FBT003 - positional there
    info = aiohttp.RequestInfo(
        URL("http://host/"), "POST", {}, URL("http://host/")  # type: ignore[arg-type]
    )  # fmt: skip
    trials: list[tuple[Any, ...]] = [
        (key, ssl.SSLCertVerificationError(1, f"untrusted {KEY}")),
        (key, OSError(errno.ECONNREFUSED, f"refused {KEY}")),
        (f"path {KEY}", key, OSError(1, "x")),
        (info, ()),
        (b"a", b"b", "host", 1),
        ("utf-8", b"\xff", 0, 1, f"why {KEY}"),
        ("utf-8", "\ud800", 0, 1, f"why {KEY}"),
        ("\ud800", 0, 1, f"why {KEY}"),
        (f"message {KEY}", "document", 0),
        (b"part", 5),
        (f"message {KEY}", 5),
        (f"line {KEY}".encode(), "5"),
        (f"line {KEY}".encode(), 5),
        (f"message {KEY}",),
        (f"line {KEY}".encode(),),
        (),
    ]
    for trial in trials:
        try:
            made = cls(*trial)
            str(made)
        except Exception:  # noqa: BLE001 - not how this class is made
            continue
        return made
    raise AssertionError(f"{cls} cannot be made; add how")


@pytest.mark.parametrize(
    "moment", ["on_request_start", "on_connection_create_end", "on_request_headers_sent"]
)
async def test_every_foreign_exception_becomes_one_of_ours(moment: str) -> None:
    """Whatever breaks, and wherever: on a request that never had its connection, and on one that had."""
    raising: list[Exception] = []

    async def fail(*_: object) -> None:
        raise raising[-1]

    trace = aiohttp.TraceConfig()
    getattr(trace, moment).append(fail)
    classes = foreign_classes()
    assert len(classes) > 80
    assert http_exceptions.TransferEncodingError in classes
    assert asyncio.LimitOverrunError in classes
    async with (
        raw_server(STATE, keep=True) as server,
        transport_on(server.url, trace_configs=[trace]) as transport,
    ):
        for cls in classes:
            raising.append(make(cls))
            exchange = await transport.post("generate", b"{}", paid=True)
            assert isinstance(exchange.error, DeclutterError), cls
            assert KEY not in f"{exchange.error} {exchange.error.__dict__}", cls
            sent = moment == "on_request_headers_sent"
            assert exchange.connected is sent, cls
            expected = (ConnectionLost, RequestTimeout, UnreadableAnswer) if sent else (ConnectionNotMade,)
            assert isinstance(exchange.error, expected), cls
            assert not isinstance(exchange.error, OSError | TimeoutError)
            with pytest.raises(DownloadFailed) as failed:
                await collect(transport, server.url)
            assert not isinstance(failed.value, OSError | TimeoutError)


async def test_cancelling_passes() -> None:
    async with raw_server(hang) as server, transport_on(server.url) as transport:
        task = asyncio.create_task(transport.post("get", b"{}", paid=False))
        while not server.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_gives_an_error_to_what_is_in_line_for_a_connection() -> None:
    """aiohttp cancels those; a caller that nobody cancelled must not see a CancelledError."""
    async with raw_server(hang) as server, transport_on(server.url, max_connections=1) as transport:
        tasks = [asyncio.create_task(transport.post("get", b"{}", paid=False)) for _ in range(3)]
        downloads = [asyncio.create_task(collect(transport, server.url)) for _ in range(10)]
        while len(server.requests) < 9:
            await asyncio.sleep(0.001)
        await transport.close()
        exchanges = await asyncio.gather(*tasks)
        assert sorted(type(exchange.error).__name__ for exchange in exchanges) == [
            "ConnectionLost", "ConnectionNotMade", "ConnectionNotMade",
        ]  # fmt: skip
        for failure in await asyncio.gather(*downloads, return_exceptions=True):
            assert isinstance(failure, DownloadFailed)
            assert not failure.worth_repeating
        late = await transport.post("get", b"{}", paid=False)
        assert isinstance(late.error, ConnectionNotMade)


# --- connected or not ---


class NoNames(abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:  # noqa: ARG002 - as it is called
        raise OSError(None, f"no such host: {host}")

    async def close(self) -> None:
        pass


async def test_refused_is_not_connected() -> None:
    async with transport_on(f"http://127.0.0.1:{free_port()}") as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert (exchange.connected, exchange.answer) == (False, None)
    assert isinstance(exchange.error, ConnectionNotMade)
    assert exchange.error.money == "none"


async def test_a_name_that_cannot_be_found_is_not_connected() -> None:
    connector = functools.partial(aiohttp.TCPConnector, resolver=NoNames())
    async with transport_on("http://photos.test", connector=connector) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert not exchange.connected
    assert isinstance(exchange.error, ConnectionNotMade)


async def test_no_room_for_a_connection_is_not_connected() -> None:
    """A listener whose queue is full drops what asks for a connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)  # noqa: FBT003 - positional there
            filler.connect_ex(("127.0.0.1", port))
        try:
            async with transport_on(f"http://127.0.0.1:{port}", connect_timeout=0.2) as transport:
                exchange = await transport.post("generate", b"{}", paid=True)
        finally:
            for filler in fillers:
                filler.close()
    assert not exchange.connected
    assert isinstance(exchange.error, ConnectionNotMade)
    assert "0.2 s" in exchange.error.message


async def test_a_failed_handshake_is_not_connected() -> None:
    async def speak_no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(STATE)
        writer.close()

    listener = await asyncio.start_server(speak_no_tls, "127.0.0.1", 0)
    async with transport_on(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    listener.close()
    assert not exchange.connected
    assert isinstance(exchange.error, ConnectionNotMade)


async def test_a_hang_is_connected_and_a_timeout() -> None:
    async with raw_server(hang) as server, transport_on(server.url, request_timeout=0.2) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert (exchange.connected, exchange.answer) == (True, None)
    assert isinstance(exchange.error, RequestTimeout)
    assert not isinstance(exchange.error, TimeoutError)


@pytest.mark.parametrize("paid", [True, False])
async def test_a_reset_after_the_request_is_connected(paid: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async def cut(request: Request) -> None:
        reset(request.writer)

    async with raw_server(cut) as server, transport_on(server.url) as transport:
        exchange = await transport.post("generate", b"{}", paid=paid)
    assert (exchange.connected, exchange.answer) == (True, None)
    assert isinstance(exchange.error, ConnectionLost)
    assert len(server.requests) == 1


HALF = b'{"generation_id": "%s", "remaining' % ID.encode()
CUT = {
    "half": [b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + HALF],
    "half a chunk": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + HALF],
}


@pytest.mark.parametrize("pieces", CUT.values(), ids=CUT.keys())
async def test_half_a_body_is_connected_and_shows_what_came(pieces: list[bytes]) -> None:
    async def part(request: Request) -> None:
        for piece in pieces:
            request.writer.write(piece)
            await request.writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(part) as server, transport_on(server.url) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert exchange.connected
    assert isinstance(exchange.error, ConnectionLost | UnreadableAnswer)
    assert exchange.answer is not None
    assert exchange.answer.trouble == "it is cut short"
    assert exchange.answer.body == HALF[: len(exchange.answer.body)]
    assert len(exchange.answer.body) >= 34


async def test_half_a_body_that_hangs_is_a_timeout_with_what_came() -> None:
    async def part(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + HALF)
        await hang(request)

    async with raw_server(part) as server, transport_on(server.url, request_timeout=0.3) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert isinstance(exchange.error, RequestTimeout)
    assert exchange.answer is not None
    assert exchange.answer.body == HALF


async def test_request_timeout_does_not_count_while_in_line_for_a_connection() -> None:
    async def slowly(request: Request) -> None:
        await asyncio.sleep(0.2)
        request.writer.write(STATE)

    async with (
        raw_server(slowly, keep=True) as server,
        transport_on(server.url, max_connections=1, request_timeout=1.4, connect_timeout=1.4) as transport,
    ):
        exchanges = await asyncio.gather(*(transport.post("get", b"{}", paid=False) for _ in range(8)))
    assert [exchange.error for exchange in exchanges] == [None] * 8
    assert (
        max(exchange.seconds for exchange in exchanges) > 1.5
    )  # so the last was in line for longer than that
    assert server.connections == 1


async def test_a_callers_trace_that_fails_at_the_connection_means_not_sent() -> None:
    async def fail(*_: object) -> None:
        raise KeyError("instrumentation")

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(fail)
    async with raw_server(STATE) as server, transport_on(server.url, trace_configs=[trace]) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert not exchange.connected
    assert not server.requests


async def test_a_whole_answer_counts_whatever_befalls_the_connection_after_it() -> None:
    async def then_reset(request: Request) -> None:
        request.writer.write(STATE)
        await request.writer.drain()
        await asyncio.sleep(0.05)
        reset(request.writer)

    async with raw_server(then_reset) as server, transport_on(server.url) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert exchange.error is None
    assert exchange.answer is not None
    assert exchange.answer.status == 200


# --- connections ---


@pytest.mark.parametrize(("paid", "connections"), [(True, 4), (False, 1)])
async def test_paid_requests_never_reuse_a_connection_and_reads_do(paid: bool, connections: int) -> None:  # noqa: FBT001
    async with raw_server(STATE, keep=True) as server, transport_on(server.url) as transport:
        for _ in range(4):
            exchange = await transport.post("generate", b"{}", paid=paid)
            assert exchange.error is None
    assert server.connections == connections


async def test_a_stale_connection_is_no_matter_for_paid_requests() -> None:
    """The server promises keep-alive and closes."""
    async with raw_server(STATE) as server, transport_on(server.url) as transport:
        for _ in range(10):
            await transport.post("get", b"{}", paid=False)
            exchange = await transport.post("generate", b"{}", paid=True)
            assert exchange.error is None


# --- bounds ---


def bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    blanks = b" " * 2**20
    return b"".join(packer.compress(blanks) for _ in range(mebibytes)) + packer.flush()


async def test_a_gzip_bomb_is_an_error_and_no_memory() -> None:
    packed = answer(bomb(80), Content_Encoding="gzip")
    async with raw_server(packed, keep=True) as server, transport_on(server.url) as transport:
        await transport.post("get", b"{}", paid=False)  # what aiohttp keeps is there now
        tracemalloc.start()
        try:
            exchange = await transport.post("get", b"{}", paid=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(exchange.error, UnreadableAnswer)
    assert "after decompression" in exchange.error.message
    assert peak < 6 * 2**20


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_endless_answer_is_not_read_to_its_end(chunked: bool) -> None:  # noqa: FBT001 - a parameter
    closed = asyncio.Event()
    piece = b"x" * 2**16

    async def endless(request: Request) -> None:
        kind = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 9999999999"
        request.writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n")
        try:
            while True:
                request.writer.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
                await request.writer.drain()
        finally:
            closed.set()

    async with raw_server(endless) as server, transport_on(server.url) as transport:
        exchange = await transport.post("get", b"{}", paid=False)
        await asyncio.wait_for(closed.wait(), 10)
    assert isinstance(exchange.error, UnreadableAnswer)
    assert exchange.answer is not None
    assert len(exchange.answer.body) <= MAX_ANSWER


async def test_the_largest_answer_is_read() -> None:
    body = b'{"status": "PROCESSING"}'.ljust(MAX_ANSWER)
    async with raw_server(answer(body)) as server, transport_on(server.url) as transport:
        exchange = await transport.post("get", b"{}", paid=False)
    assert exchange.error is None
    assert exchange.answer is not None
    assert exchange.answer.body == body


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"{}")), ("X-GZIP", gzip.compress(b"{}")), ("deflate", zlib.compress(b"{}"))],
)
async def test_an_answer_that_is_packed_unasked_is_read(encoding: str, packed: bytes) -> None:
    async with raw_server(answer(packed, Content_Encoding=encoding)) as server:
        async with transport_on(server.url) as transport:
            exchange = await transport.post("get", b"{}", paid=False)
        assert server.requests[0].headers["accept-encoding"] == ["identity"]
    assert exchange.error is None
    assert exchange.answer is not None
    assert exchange.answer.body == b"{}"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("br", b"{}"), ("zstd", b"{}"), ("gzip, gzip", b"{}"), ("gzip", b"{}"), ("gzip", gzip.compress(b"{}")[:-6]),
     (KEY, b"{}")],
)  # fmt: skip
async def test_an_encoding_that_cannot_be_read_is_an_error(encoding: str, packed: bytes) -> None:
    async with (
        raw_server(answer(packed, Content_Encoding=encoding)) as server,
        transport_on(server.url) as transport,
    ):
        exchange = await transport.post("get", b"{}", paid=False)
    assert isinstance(exchange.error, UnreadableAnswer)
    assert exchange.error.where == "$"
    assert KEY not in str(exchange.error)


# --- where requests and the key go ---


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("paid", [True, False])
async def test_a_redirect_of_a_call_is_not_followed(status: int, paid: bool) -> None:  # noqa: FBT001 - a parameter
    async with raw_server(STATE) as elsewhere:
        redirect = answer(b"", status, Location=f"{elsewhere.url}/there")
        async with raw_server(redirect) as server, transport_on(server.url) as transport:
            exchange = await transport.post("generate", b"{}", paid=paid)
        assert elsewhere.connections == 0
    assert isinstance(exchange.error, UnreadableAnswer)
    assert exchange.error.status == status


async def test_what_a_request_looks_like() -> None:
    async with (
        raw_server(answer(b"{}", Set_Cookie="who=you; Path=/"), keep=True) as server,
        transport_on(server.url + "/prefix") as transport,
    ):
        for paid in (True, False, True, False):
            await transport.post("get", b'{"a":1}', paid=paid)
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.line == "POST /prefix/api/declutter_total/get HTTP/1.1"
        assert request.body == b'{"a":1}'
        assert request.headers["x-api-key"] == [KEY]
        assert request.headers["content-type"] == ["application/json"]
        assert re.fullmatch(r"declutter-async/\d\S+", request.headers["user-agent"][0])
        assert "cookie" not in request.headers
        assert "expect" not in request.headers
        assert "authorization" not in request.headers


async def test_the_key_is_nowhere_but_in_its_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[object] = []
    echo = json.dumps({"error": f"bad key {KEY}", "detail": [KEY]}).encode()
    for status in (200, 302, 400, 401, 403, 404, 429, 500, 503):
        reply = answer(echo, status, WWW_Authenticate=KEY, Location=f"http://127.0.0.1:1/{KEY}")
        async with raw_server(reply) as server:
            session = session_on(server.url, observers=[told.append])
            async with session:
                for call in (session.generate("http://photos.test/a.jpg"), session.get(ID)):
                    with pytest.raises(DeclutterError) as failed:
                        await call
                    assert KEY not in everything_in(failed.value)
                assert KEY not in f"{session!r} {vars(session)!r}"
        assert {request.headers["x-api-key"][0] for request in server.requests} == {KEY}
    assert KEY not in caplog.text
    assert told
    assert KEY not in repr(told)


async def test_half_a_key_does_not_show_either() -> None:
    """A long message is cut short; that must not cut the key out of what is taken out of it."""

    async def fail(*_: object) -> None:
        raise aiohttp.ClientError("x" * 285 + KEY)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(fail)
    async with raw_server(STATE) as server, transport_on(server.url, trace_configs=[trace]) as transport:
        exchange = await transport.post("get", b"{}", paid=False)
    assert KEY[:4] not in str(exchange.error)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 " + KEY.encode() + b"\r\n\r\n",
        KEY.encode() + b"\r\n hello",
        b"HTTP/1.1 200 OK\r\nBad Header " + KEY.encode() + b": x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + KEY.encode() * 3000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + KEY.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ" + KEY.encode() + b"\r\n",
    ],
)
async def test_what_is_not_http_is_an_error_without_its_words(raw: bytes) -> None:
    async with raw_server(raw) as server, transport_on(server.url) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
    assert exchange.connected
    assert isinstance(exchange.error, UnreadableAnswer)
    assert "key-that" not in str(exchange.error)


# --- downloads ---


async def collect(transport: Transport, url: str, limit: int = 2**20) -> bytes:
    async with aclosing(transport.download(url, limit=limit)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_download_never_carries_the_key_also_where_it_is_redirected() -> None:
    async with raw_server(answer(b"picture", Set_Cookie="a=b")) as there:
        onward = answer(b"", 302, Location=f"{there.url}/picture.jpg", Set_Cookie="a=b")
        async with raw_server(onward) as here, transport_on(here.url) as transport:
            assert await collect(transport, f"{here.url}/result.jpg") == b"picture"
            assert await collect(transport, f"{there.url}/result.jpg") == b"picture"
    for request in [*here.requests, *there.requests]:
        assert KEY not in repr(request)
        assert "cookie" not in request.headers
        assert request.headers["accept-encoding"] == ["identity"]


@pytest.mark.parametrize(
    ("status", "again"), [(403, False), (404, False), (410, False), (304, False), (206, False), (408, True),
                          (429, True), (500, True), (502, True), (503, True)],
)  # fmt: skip
async def test_a_download_that_is_refused(status: int, again: bool) -> None:  # noqa: FBT001 - a parameter
    async with raw_server(answer(b"", status)) as server, transport_on(server.url) as transport:
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, server.url)
    assert (failed.value.status, failed.value.worth_repeating) == (status, again)
    assert failed.value.money == "spent"


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:image/png;base64,AA", "", "//host/x",
     "http://", "http://[::1", "http://127.0.0.1:99999/", "http://\ud800/", "http://a\x00b/", "relative/path.jpg"],
)  # fmt: skip
async def test_a_download_from_no_web_address_is_refused_for_good(url: str) -> None:
    async with transport_on("http://127.0.0.1:9") as transport:
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, url)
    assert not failed.value.worth_repeating


async def test_a_redirect_of_a_download_to_no_web_address_is_refused_for_good() -> None:
    onward = answer(b"", 302, Location="file:///etc/passwd")
    async with raw_server(onward) as server, transport_on(server.url) as transport:
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, server.url)
    assert not failed.value.worth_repeating


async def test_redirects_in_a_circle_end() -> None:
    async with (
        raw_server(answer(b"", 302, Location="/"), keep=True) as server,
        transport_on(server.url) as transport,
    ):
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, server.url)
    assert not failed.value.worth_repeating
    assert len(server.requests) <= 6


async def test_a_download_is_bounded() -> None:
    async with raw_server(answer(b"x" * 5000)) as server, transport_on(server.url) as transport:
        assert len(await collect(transport, server.url, limit=5000)) == 5000
        with pytest.raises(DownloadFailed, match="larger than 4999 bytes"):
            await collect(transport, server.url, limit=4999)


@pytest.mark.parametrize("chunk", [b"\r\nZZZ\r\n", b"garbage"])
async def test_broken_framing_is_no_wait_without_end(chunk: bytes) -> None:
    """aiohttp tells its reader nothing then, and drops its own timeout."""

    async def broken(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n22\r\n" + HALF[:34])
        await request.writer.drain()
        await asyncio.sleep(0.05)
        request.writer.write(chunk)

    async with raw_server(broken) as server, transport_on(server.url, request_timeout=0.5) as transport:
        exchange = await transport.post("generate", b"{}", paid=True)
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, server.url)
    assert exchange.connected
    assert isinstance(exchange.error, RequestTimeout | ConnectionLost | UnreadableAnswer)
    assert exchange.answer is not None
    assert exchange.answer.body == HALF[:34]
    assert failed.value.worth_repeating


@pytest.mark.parametrize("hanging", [True, False])
@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
async def test_a_download_that_hangs_or_is_cut_is_worth_repeating(part: bytes, hanging: bool) -> None:  # noqa: FBT001
    async def write(request: Request) -> None:
        request.writer.write(part)
        await request.writer.drain()
        if hanging:
            await hang(request)

    async with raw_server(write) as server, transport_on(server.url, request_timeout=0.3) as transport:
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, server.url)
    assert failed.value.worth_repeating


async def test_a_download_from_nobody_is_worth_repeating() -> None:
    async with transport_on("http://127.0.0.1:9") as transport:
        with pytest.raises(DownloadFailed) as failed:
            await collect(transport, f"http://127.0.0.1:{free_port()}/x.jpg")
    assert failed.value.worth_repeating


async def test_a_server_that_drips_does_not_hold_a_download_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "_LONGEST_DOWNLOAD", 0.2)

    async def drip(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
        while True:
            request.writer.write(b"x")
            await request.writer.drain()
            await asyncio.sleep(0.01)

    async with raw_server(drip) as server, transport_on(server.url) as transport:
        with pytest.raises(DownloadFailed, match=r"within 0\.2 s"):
            await collect(transport, server.url)


async def test_a_download_left_early_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def endless(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                request.writer.write(b"x" * 2**16)
                await request.writer.drain()
        finally:
            closed.set()

    async with raw_server(endless) as server, transport_on(server.url) as transport:
        async with aclosing(transport.download(server.url, limit=2**30)) as pieces:
            assert await anext(pieces)
        await asyncio.wait_for(closed.wait(), 10)


# --- connectors ---


async def refusal_of(connector: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument, match="connector") as refused:
        async with transport_on("http://127.0.0.1:9", connector=connector):
            pass
    return refused.value


async def test_a_factory_that_ignores_what_it_is_asked_is_refused() -> None:
    for factory in (
        lambda *, limit, force_close: aiohttp.TCPConnector(limit=limit),  # noqa: ARG005 - that is the point
        lambda *, limit, force_close: aiohttp.TCPConnector(force_close=force_close),  # noqa: ARG005 - as above
        lambda *, limit, force_close: aiohttp.TCPConnector(limit=4, force_close=force_close),  # noqa: ARG005
    ):
        assert "functools.partial" in str(await refusal_of(factory))
    assert "expected an aiohttp connector" in str(await refusal_of(lambda **_: None))
    assert "TypeError" in str(await refusal_of(lambda limit: aiohttp.TCPConnector(limit=limit)))


async def test_a_factory_is_refused_where_the_session_is_opened() -> None:
    session = session_on("http://127.0.0.1:9", connector=lambda **_: aiohttp.TCPConnector())
    with pytest.raises(InvalidArgument, match="connector"):
        async with session:
            pass


# --- proxies of the environment ---


@pytest.fixture
async def by_environment() -> AsyncIterator[Transport]:
    async with transport_on("https://photos.test", trust_env=True) as transport:
        yield transport


async def test_the_environments_proxy_is_honoured_but_not_for_loopback(
    by_environment: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://plain.test:3128")
    monkeypatch.setenv("https_proxy", "secure.test:3129")
    monkeypatch.setenv("no_proxy", "near.test")
    proxy_for = by_environment._proxy_for
    assert proxy_for("http://photos.test/a") == "http://plain.test:3128"
    assert proxy_for("https://photos.test/a") == "http://secure.test:3129"
    for host in ("127.0.0.1", "127.1.2.3", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "x.near.test"):
        assert proxy_for(f"https://{host}:8080/a") is None
    assert proxy_for("https://127.0.0.1.photos.test/") is not None


async def test_a_proxy_of_the_callers_own_is_always_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://other.test:1")
    async with transport_on("https://photos.test", proxy="http://own.test:2", trust_env=True) as transport:
        assert transport._proxy_for("https://127.0.0.1/") == "http://own.test:2"
    async with transport_on("https://photos.test", trust_env=False) as transport:
        assert transport._proxy_for("https://photos.test/") is None


def test_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("localhost.photos.test")


async def test_nothing_is_left_of_many_sessions() -> None:
    """No connection, no task and no warning, with connections open in every state."""
    async with raw_server(answer(b'{"status": "PROCESSING"}'), keep=True) as server:
        for _ in range(3):
            async with session_on(server.url) as session:
                await asyncio.gather(*(session.get(ID) for _ in range(5)))
                with pytest.raises(SubmissionUncertain):
                    await session.generate("http://photos.test/a.jpg")
