"""HTTP, and the only file that knows aiohttp's client.

Paid requests and reads have connectors of their own: a paid request never rides a reused connection, so that a
connection gone stale cannot make it uncertain. There is no redirect, no middleware and no repetition underneath;
only a download (a GET, free and without the key) is redirected, and repeated once by aiohttp.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import urllib.request
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from types import SimpleNamespace
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import attrs
from aiohttp.http import HttpProcessingError

from declutter_async._refusals import read_refusal
from declutter_async._version import __version__
from declutter_async._wire import MAX_ANSWER, PATH, Answer, Call, decompress
from declutter_async.errors import (
    ConnectionLost,
    ConnectionNotMade,
    DownloadFailed,
    InvalidArgument,
    RequestError,
    RequestTimeout,
    UnreadableAnswer,
)

_DOWNLOADS = 8  # connections for results, so that large files never stand before a look
_CHUNK = 256 * 1024  # bytes
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_LASTING = (ValueError, aiohttp.NonHttpUrlClientError, aiohttp.TooManyRedirects)  # a bad URL or certificate
_LONGEST_DOWNLOAD = 600.0  # seconds: a server that drips must not hold a result for ever


class ConnectorFactory(Protocol):
    """Makes aiohttp connectors: `functools.partial(aiohttp.TCPConnector, ssl=context)`, for example."""

    def __call__(self, *, limit: int, force_close: bool) -> aiohttp.BaseConnector:
        """A new connector with these two settings; everything else is the caller's."""
        ...


@attrs.define(eq=False)
class Attempt:
    """One request on its way, as seen by aiohttp's trace signals.

    Each new connection of it (a download may be redirected) has `connect_timeout` seconds to be made, and then
    `request_timeout` seconds for the rest. Waiting in line for one counts as neither.
    """

    connect_timeout: float
    request_timeout: float
    connected: bool = False
    deadline: asyncio.Timeout | None = None
    status: int | None = None
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    body: bytearray = attrs.field(factory=bytearray)
    whole: bool = False
    on_connected: Callable[[], object] | None = None

    def connecting(self) -> None:
        """It left the queue; now `connect_timeout` counts."""
        self._within(self.connect_timeout)

    def connection_made(self) -> None:
        """It has its connection; now `request_timeout` counts."""
        self.connected = True
        self._within(self.request_timeout)
        if self.on_connected is not None:
            self.on_connected()

    def _within(self, seconds: float) -> None:
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + seconds)


@attrs.frozen
class Exchange:
    """How one request ended: an answer (perhaps cut short), or an error, or both.

    A whole 2xx answer has no error here, whatever befell the connection after it.
    """

    connected: bool
    answer: Answer | None
    error: RequestError | None
    seconds: float


class Transport:
    """The connections of one session."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        submitting: int,
        max_connections: int,
        connect_timeout: float,
        request_timeout: float,
        connector: ConnectorFactory | None,
        proxy: str | None,
        trust_env: bool,
        trace_configs: Sequence[aiohttp.TraceConfig],
    ) -> None:
        """Made inside the event loop that it will serve. Raises `InvalidArgument` for a connector that cannot."""
        self._base = base_url + PATH
        self._api_key = api_key
        self._connect_timeout = connect_timeout
        self._request_timeout = request_timeout
        self._proxy = proxy
        self._trust_env = trust_env
        self._api_proxy = self._proxy_for(self._base)
        make = connector or aiohttp.TCPConnector
        paid = _connector(make, limit=submitting, force_close=True)
        reading = _connector(make, limit=max_connections, force_close=False)
        downloads = _connector(make, limit=_DOWNLOADS, force_close=False)
        # Ours come last: where a caller's own fails as a connection is made, nothing has been sent on it.
        traces = [*trace_configs, _attempt_trace()]
        self._paid = _session(paid, traces)
        self._reading = _session(reading, traces)
        self._download = _session(downloads, traces)
        self._closed = False
        self._deadlines: set[asyncio.Timeout] = set()

    async def close(self) -> None:
        """Close every connection, and end what still goes on over one."""
        self._closed = True
        for deadline in self._deadlines:  # aiohttp does not tell who reads a body
            if not deadline.expired():
                deadline.reschedule(asyncio.get_running_loop().time())
        for session in (self._paid, self._reading, self._download):
            await session.close()

    async def post(
        self, call: Call, body: bytes, *, paid: bool, on_connected: Callable[[], object] | None = None
    ) -> Exchange:
        """Send one request, once. Raises nothing but `CancelledError`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        attempt = Attempt(self._connect_timeout, self._request_timeout, on_connected=on_connected)
        error: RequestError | None = None
        try:
            async with self._deadline() as attempt.deadline:
                await self._exchange(call, body, attempt, paid=paid)
        except asyncio.CancelledError as cancelled:
            if _is_cancelled():
                raise
            error = self._ours(call, cancelled, connected=attempt.connected)
        except Exception as foreign:  # noqa: BLE001 - whatever goes wrong, a paid request's end must be judged
            error = self._ours(call, foreign, connected=attempt.connected)
        answer = None if attempt.status is None else _finished(attempt, secret=self._api_key)
        if answer is not None and not 200 <= answer.status < 300:
            error = read_refusal(answer, call, secret=self._api_key)
        elif answer is not None and attempt.whole:
            error = None
            if answer.trouble:
                error = UnreadableAnswer(
                    f"{call}: the answer cannot be read: {answer.trouble} @ $",
                    status=answer.status,
                    where="$",
                )
        return Exchange(attempt.connected, answer, error, loop.time() - started)

    @contextlib.asynccontextmanager
    async def _deadline(self, seconds: float | None = None) -> AsyncGenerator[asyncio.Timeout, None]:
        """A deadline that may be moved, and that closing brings at once."""
        async with asyncio.timeout(seconds) as deadline:
            self._deadlines.add(deadline)
            try:
                yield deadline
            finally:
                self._deadlines.discard(deadline)

    async def _exchange(self, call: Call, body: bytes, attempt: Attempt, *, paid: bool) -> None:
        session = self._paid if paid else self._reading
        async with session.post(
            self._base + call,
            data=body,
            headers={
                "x-api-key": self._api_key,
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            allow_redirects=False,
            proxy=self._api_proxy,
            trace_request_ctx=attempt,
        ) as response:
            attempt.status = response.status
            attempt.headers = {name.lower(): value for name, value in response.headers.items()}
            async for piece in response.content.iter_any():
                attempt.body += piece
                if len(attempt.body) > MAX_ANSWER:
                    break  # leaving the block closes a connection that is not read to its end
            attempt.whole = True

    def _ours(self, call: Call, foreign: BaseException, *, connected: bool) -> RequestError:
        """The error of our tree that a foreign exception stands for."""
        foreign = self._cause(foreign)
        timed_out = isinstance(foreign, TimeoutError)
        what = _what(foreign, self._api_key)
        if not connected:
            why = f"none within {self._connect_timeout:g} s" if timed_out else what
            return ConnectionNotMade(f"{call}: no connection to the service: {why}")
        if timed_out:
            return RequestTimeout(f"{call}: no whole answer within {self._request_timeout:g} s")
        if isinstance(foreign, aiohttp.ClientResponseError | HttpProcessingError):
            # Not its message: that quotes what the server sent, the key perhaps, and perhaps half of it.
            return UnreadableAnswer(f"{call}: the answer is not HTTP ({type(foreign).__name__})", where="$")
        return ConnectionLost(f"{call}: the connection broke: {what}")

    def _cause(self, foreign: BaseException) -> BaseException:
        if self._closed or isinstance(foreign, asyncio.CancelledError):
            return aiohttp.ClientConnectionError("the session was closed")
        return foreign

    async def download(self, url: str, *, limit: int) -> AsyncGenerator[bytes, None]:
        """The bytes at a URL, in pieces, without the key. Raises `DownloadFailed`, also past `limit` bytes.

        Each piece may take `request_timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline, count = loop.time() + _LONGEST_DOWNLOAD, 0
        with self._download_errors():
            _check_result_url(url)
            async with await self._open(url) as response:
                if response.status != 200:
                    raise DownloadFailed(
                        f"the result answered HTTP {response.status}",
                        status=response.status,
                        worth_repeating=response.status >= 500 or response.status in {408, 425, 429},
                    )
                while True:
                    # Not aiohttp's sock_read, which is dropped where the answer's framing breaks.
                    async with self._deadline(self._request_timeout):
                        piece = await response.content.read(_CHUNK)
                    if not piece:
                        break
                    count += len(piece)
                    if count > limit:
                        raise DownloadFailed(f"the result is larger than {limit} bytes")
                    if loop.time() > deadline:
                        raise DownloadFailed(f"the result was not there within {_LONGEST_DOWNLOAD:g} s")
                    yield piece

    @contextlib.contextmanager
    def _download_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except DownloadFailed:
            raise
        except asyncio.CancelledError as cancelled:
            if _is_cancelled():
                raise
            raise DownloadFailed(
                f"the result could not be fetched: {_what(self._cause(cancelled))}"
            ) from None
        except Exception as foreign:
            raise DownloadFailed(
                f"the result could not be fetched: {_what(self._cause(foreign))}",
                worth_repeating=not (self._closed or isinstance(foreign, _LASTING)),
            ) from foreign

    async def _open(self, url: str) -> aiohttp.ClientResponse:
        """A download, up to its headers."""
        attempt = Attempt(self._connect_timeout, self._request_timeout)
        async with self._deadline() as attempt.deadline:
            return await self._download.get(
                url,
                max_redirects=5,
                proxy=self._proxy_for(url),
                trace_request_ctx=attempt,
            )

    def _proxy_for(self, url: str) -> str | None:
        """The proxy to use: the caller's own; else the environment's, but never for loopback."""
        if self._proxy is not None or not self._trust_env:
            return self._proxy
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_loopback(host) or urllib.request.proxy_bypass(host):
            return None
        proxy = urllib.request.getproxies().get(parts.scheme)
        return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _connector(make: ConnectorFactory, *, limit: int, force_close: bool) -> aiohttp.BaseConnector:
    """One of the caller's connectors, checked: the money rules hang on its settings."""
    asked = f"limit={limit} and force_close={force_close}"
    try:
        connector = make(limit=limit, force_close=force_close)
    except Exception as error:
        raise InvalidArgument(
            f"connector: the factory failed when asked for {asked}: {_what(error)}"
        ) from error
    if not isinstance(connector, aiohttp.BaseConnector):  # pyright: ignore[reportUnnecessaryIsInstance] # callers err
        raise InvalidArgument(
            f"connector: the factory gave {type(connector).__name__}, expected an aiohttp connector"
        )
    if connector.force_close is not force_close or connector.limit != limit:
        raise InvalidArgument(
            f"connector: the factory was asked for {asked} and gave another; "
            "pass both on: functools.partial(aiohttp.TCPConnector, ssl=context)"
        )
    return connector


def _session(connector: aiohttp.BaseConnector, traces: list[aiohttp.TraceConfig]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=_NO_TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=traces,
        # Answers are small. Unpacked, one that is cut short still shows the generation_id that it had.
        headers={"User-Agent": f"declutter-async/{__version__}", "Accept-Encoding": "identity"},
        auto_decompress=False,
    )


def _check_result_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme.lower() not in {"http", "https"} or not host or not host.isprintable():
        raise DownloadFailed("the result is at no http or https URL")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")


def _finished(attempt: Attempt, *, secret: str) -> Answer:
    """The answer, as far as it came: what is there of a broken one may still show a generation_id."""
    status, raw = attempt.status or 0, bytes(attempt.body)
    if not attempt.whole:
        return Answer(status, attempt.headers, raw, "it is cut short")
    try:
        plain = decompress(raw, attempt.headers.get("content-encoding", ""))
    except ValueError as error:
        return Answer(status, attempt.headers, raw[:MAX_ANSWER], str(error).replace(secret, "***"))
    return Answer(status, attempt.headers, plain)


def _attempt_trace() -> aiohttp.TraceConfig:
    async def connecting(_: object, context: SimpleNamespace, __: object) -> None:
        _attempt(context).connecting()

    async def connected(_: object, context: SimpleNamespace, __: object) -> None:
        _attempt(context).connection_made()

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(connecting)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


def _attempt(context: SimpleNamespace) -> Attempt:
    attempt: Attempt = context.trace_request_ctx
    return attempt


def _what(foreign: BaseException, secret: str = "") -> str:
    """An exception in one line. A secret goes before the line is cut, so that no half of one is left."""
    if isinstance(foreign, aiohttp.ClientConnectorCertificateError):
        foreign = foreign.certificate_error
    name, text = type(foreign).__name__, str(foreign)
    if isinstance(foreign, ssl.SSLCertVerificationError):
        name, text = "the certificate is not trusted", getattr(foreign, "verify_message", text)
    elif isinstance(foreign, aiohttp.ClientHttpProxyError):
        name, text = "the proxy refused to connect", f"HTTP {foreign.status}"
    elif isinstance(foreign, aiohttp.ClientResponseError):
        text = ""  # it quotes what was sent, and names the URL, also a proxy's with its password
    text = " ".join(text.split())
    if secret:
        text = text.replace(secret, "***")
    return f"{name}: {text[:300]}" if text else name


def _is_cancelled() -> bool:
    """Whether somebody cancelled this task. aiohttp also cancels what waits in a connector that is closed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
