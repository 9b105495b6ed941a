"""Private certificate authorities and proxies: what was never connected was never sent, and costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import pytest
from raw_server import KEY, RawServer, Request, everything_in, raw_server, reset, session_on, transport_on
from raw_server import http as answer

from declutter_async import DeclutterSession
from declutter_async.errors import ConnectionNotMade, DeclutterError, DownloadFailed, SubmissionUncertain

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("no_task_left"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificates, is not installed"),
]  # fmt: skip

ID = "22222222-2222-4222-8222-222222222222"
PHOTO = "http://photos.test/a.jpg"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(1000)


@attrs.frozen
class Authority:
    """A certificate authority of a test's own, and a server's certificate for 127.0.0.1 and photos.test."""

    folder: Path

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.folder / "ca.pem")

    def server(self, name: str = "server") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _certificate(folder: Path, name: str, names: str) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / f"{name}.ext").write_text(
        f"subjectAltName={names}\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n"
        "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n"
    )
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")
    (folder / "ca.cnf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=ca\nprompt=no\n[name]\nCN=test authority\n"
        "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
    )
    _openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", "ca.key", "-out", "ca.pem", "-config", "ca.cnf",
    )  # fmt: skip
    _certificate(folder, "server", "IP:127.0.0.1,DNS:photos.test")
    _certificate(folder, "stranger", "DNS:stranger.test")
    return Authority(folder)


async def serve(request: Request) -> None:
    """The service, and a result."""
    if request.line.startswith("GET"):
        request.writer.write(answer(JPEG))
    elif "/generate" in request.line:
        fields = {"generation_id": ID, "remaining_photos": 9, "project_id": ID}
        request.writer.write(answer(json.dumps(fields).encode()))
    else:
        request.writer.write(answer(b'{"status": "PROCESSING"}'))


@attrs.define
class Proxy:
    """Answers CONNECT as its script says, then tunnels to the given server whatever name was asked for."""

    target: int
    script: list[str]
    url: str = ""
    asked: list[bytes] = attrs.field(factory=list)
    passed_on: bytearray = attrs.field(factory=bytearray)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            what = self.script[min(len(self.asked), len(self.script)) - 1]
            if what == "hang":
                await reader.read()
            elif what == "reset":
                reset(writer)
            elif what == "tunnel":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._tunnel(reader, writer)
            elif what != "drop":
                writer.write(what.encode())
        writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)

        async def there() -> None:
            while data := await reader.read(2**16):
                self.passed_on += data
                far_writer.write(data)
            far_writer.close()

        async def back() -> None:
            while data := await far_reader.read(2**16):
                writer.write(data)
            writer.close()

        await asyncio.gather(there(), back(), return_exceptions=True)
        far_writer.close()


@asynccontextmanager
async def proxy_to(server: RawServer, *script: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.port, list(script))
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(proxy.handle(reader, writer))
        tasks.add(task)
        await asyncio.wait([task])

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def refusal(status: int, **headers: str) -> str:
    return answer(b"no", status, **headers).decode()


def session_by(by: Proxy, authority: Authority, **settings: object) -> DeclutterSession:
    connector = functools.partial(aiohttp.TCPConnector, ssl=authority.client())
    return session_on("https://photos.test", **({"proxy": by.url, "connector": connector} | settings))


# --- TLS ---


async def test_a_private_authority_works_for_paying_reading_and_fetching(authority: Authority) -> None:
    connector = functools.partial(aiohttp.TCPConnector, ssl=authority.client())
    async with raw_server(serve, tls=authority.server(), keep=True) as server:
        async with session_on(server.url, connector=connector) as session:
            assert (await session.generate(PHOTO)).generation_id == ID
            await session.get(ID)
        async with (
            transport_on(server.url, connector=connector) as transport,
            aclosing(transport.download(f"{server.url}/result.jpg", limit=10**6)) as pieces,
        ):
            assert b"".join([piece async for piece in pieces]) == JPEG


@pytest.mark.parametrize(
    ("name", "why"), [("server", "unable to get|self.signed"), ("stranger", "mismatch|not valid for")]
)
async def test_a_certificate_that_is_not_trusted_means_not_sent(
    authority: Authority, name: str, why: str
) -> None:
    trusted = functools.partial(aiohttp.TCPConnector, ssl=authority.client())
    connector = None if name == "server" else trusted
    async with raw_server(serve, tls=authority.server(name)) as server:
        async with session_on(server.url, connector=connector, outage_timeout=0.0) as session:
            for call in (session.generate(PHOTO), session.get(ID)):
                with pytest.raises(
                    ConnectionNotMade, match=f"certificate is not trusted: .*({why})"
                ) as failed:
                    await call
                assert KEY not in everything_in(failed.value)
        async with transport_on(server.url, connector=connector) as transport:
            with pytest.raises(DownloadFailed, match="certificate is not trusted") as not_fetched:
                await anext(transport.download(f"{server.url}/result.jpg", limit=10**6))
        assert not not_fetched.value.worth_repeating
    assert not server.requests


async def test_a_handshake_that_never_ends_means_not_sent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with session_on(url, connect_timeout=0.3, outage_timeout=0.0) as session:
        with pytest.raises(ConnectionNotMade, match=r"within 0\.3 s") as failed:
            await session.generate(PHOTO)
        assert failed.value.money == "none"
    async with transport_on(url, connect_timeout=0.3) as transport:
        with pytest.raises(DownloadFailed) as not_fetched:
            await anext(transport.download(f"{url}/result.jpg", limit=10**6))
    assert not_fetched.value.worth_repeating
    listener.close()


async def test_a_reset_after_the_handshake_is_uncertain(authority: Authority) -> None:
    async def cut(request: Request) -> None:
        request.writer.transport.abort()

    connector = functools.partial(aiohttp.TCPConnector, ssl=authority.client())
    async with (
        raw_server(cut, tls=authority.server()) as server,
        session_on(server.url, connector=connector) as session,
    ):
        with pytest.raises(SubmissionUncertain):
            await session.generate(PHOTO)
    assert len(server.requests) == 1


# --- proxies ---


async def test_a_tunnel_shows_the_proxy_nothing_of_the_key(authority: Authority) -> None:
    async with (
        raw_server(serve, tls=authority.server()) as server,
        proxy_to(server, "tunnel") as proxy,
        session_by(proxy, authority) as session,
    ):
        assert (await session.generate(PHOTO)).generation_id == ID
        await session.get(ID)
    assert [line.split(b"\r\n")[0] for line in proxy.asked] == [b"CONNECT photos.test:443 HTTP/1.1"] * 2
    assert KEY.encode() not in b"".join(proxy.asked) + proxy.passed_on
    assert [request.headers["x-api-key"] for request in server.requests] == [[KEY], [KEY]]


@pytest.mark.parametrize(
    "what",
    [refusal(502), refusal(429, Retry_After="1"), refusal(407, Proxy_Authenticate="Basic"), refusal(403), "drop", "reset",
     "hang", "no HTTP\r\n\r\n", refusal(302, Location="http://127.0.0.1:9/")],
    ids=["502", "429", "407", "403", "drop", "reset", "hang", "no HTTP", "302"],
)  # fmt: skip
async def test_a_proxy_that_makes_no_tunnel_means_not_sent(authority: Authority, what: str) -> None:
    async with raw_server(serve, tls=authority.server()) as server, proxy_to(server, what) as proxy:
        secret = proxy.url.replace("http://", "http://me:hunter2@")
        settings = {
            "outage_timeout": 0.0,
            "connect_timeout": 0.4 if what == "hang" else 10.0,
            "proxy": secret,
        }
        async with session_by(proxy, authority, **settings) as session:
            with pytest.raises(ConnectionNotMade) as failed:
                await session.generate(PHOTO)
            assert failed.value.money == "none"
            assert len(proxy.asked) == 1
            with pytest.raises(DeclutterError) as not_read:
                await session.get(ID)
        for error in (failed.value, not_read.value):
            told = everything_in(error)
            assert KEY not in told
            assert "hunter2" not in told
        async with transport_on(
            "https://photos.test",
            proxy=proxy.url,
            connector=functools.partial(aiohttp.TCPConnector, ssl=authority.client()),
            connect_timeout=settings["connect_timeout"],
        ) as transport:
            with pytest.raises(DownloadFailed):
                await anext(transport.download("https://photos.test/result.jpg", limit=10**6))
    assert not server.connections


async def test_a_proxy_that_recovers_is_waited_out_and_the_photo_is_sent_once(authority: Authority) -> None:
    script = (refusal(502), "drop", "tunnel")
    async with (
        raw_server(serve, tls=authority.server()) as server,
        proxy_to(server, *script) as proxy,
        session_by(proxy, authority, outage_timeout=60.0) as session,
    ):
        assert (await session.generate(PHOTO)).generation_id == ID
    assert len(proxy.asked) == 3
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_proxy_in_the_open_that_answers_for_the_service_is_uncertain(status: int) -> None:
    """Without TLS the proxy has read the request; nobody knows whether it handed it on."""
    async with (
        raw_server(serve) as server,
        proxy_to(server, refusal(status)) as proxy,
        session_on("http://photos.test", proxy=proxy.url) as session,
    ):
        with pytest.raises(SubmissionUncertain) as failed:
            await session.generate(PHOTO)
    assert failed.value.money == "unknown"
    assert len(proxy.asked) == 1


async def test_the_environments_proxy_is_used_but_not_for_loopback(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(serve, tls=authority.server()) as server, proxy_to(server, "tunnel") as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        async with session_by(proxy, authority, proxy=None) as session:
            await session.generate(PHOTO)
        assert len(proxy.asked) == 1
        connector = functools.partial(aiohttp.TCPConnector, ssl=authority.client())
        async with session_on(server.url, connector=connector) as session:
            await session.generate(PHOTO)
        assert len(proxy.asked) == 1
    assert len(server.requests) == 2
