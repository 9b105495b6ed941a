"""The door: shut, opened again, and never with a connection lost in between."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from emulator_client import Studio, calling, run_studio

from declutter_async.emulator import Behaviour, Emulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with run_studio() as made:
        yield made


def address(emulator: Emulator) -> tuple[str, int]:
    return "127.0.0.1", int(emulator.url.rpartition(":")[2])


@pytest.mark.anyio
async def test_pause_refuses_and_aborts_and_resume_opens_the_same_port(studio: Studio) -> None:
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        generation_id = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        url = emulator.url
        reader, writer = await asyncio.open_connection(*address(emulator))
        writer.write(_REQUEST)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await emulator.pause()
        await emulator.pause()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address(emulator))
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask("get", generation_id=generation_id)
        await reader.read()
        assert reader.at_eof()
        writer.close()
        await emulator.resume()
        await emulator.resume()
        assert emulator.url == url
        assert (await ask("get", generation_id=generation_id)).status == 200


@pytest.mark.anyio
async def test_a_connection_that_was_made_is_served_though_the_door_shuts() -> None:
    async with Emulator() as emulator:
        door = emulator._open_door()
        for _ in range(20):
            with socket.create_connection(address(emulator)) as client:
                # The system has made the connection; the emulator has had no turn to take it in.
                door.shut()
                client.sendall(_REQUEST)
                client.settimeout(0)
                answer = await asyncio.get_running_loop().sock_recv(client, 100)
                assert answer.startswith(b"HTTP/1.1 200")
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(address(emulator))
            door.open()


@pytest.mark.anyio
async def test_a_paused_door_is_not_opened_by_a_fault_that_ends() -> None:
    async with Emulator() as emulator:
        door = emulator._open_door()
        door.refuse_for(0.02)
        door.refuse_for(0.02)
        await emulator.pause()
        door.refuse_for(0.01)
        await asyncio.sleep(0.06)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address(emulator))
        await emulator.resume()
        door.refuse_for(0.01)
        await emulator.resume()
        socket.create_connection(address(emulator)).close()


@pytest.mark.anyio
async def test_a_connection_not_yet_taken_in_is_aborted_by_pause() -> None:
    async with Emulator() as emulator:
        with socket.create_connection(address(emulator)) as client:
            await emulator.pause()
            client.settimeout(0)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                received = await asyncio.get_running_loop().sock_recv(client, 100)
            assert received == b""


@pytest.mark.anyio
@pytest.mark.parametrize("keepalive", [0, 0.02])
async def test_an_idle_connection_is_closed_without_having_said_so(keepalive: float) -> None:
    async with Emulator(Behaviour(keepalive=keepalive)) as emulator:
        reader, writer = await asyncio.open_connection(*address(emulator))
        writer.write(_REQUEST)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" not in answer.lower()
        writer.close()


@pytest.mark.anyio
async def test_a_connection_that_has_not_asked_yet_is_not_idle() -> None:
    async with Emulator(Behaviour(keepalive=0.01)) as emulator:
        reader, writer = await asyncio.open_connection(*address(emulator))
        await asyncio.sleep(0.1)
        writer.write(_REQUEST)
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.anyio
async def test_a_taken_port_is_an_error_and_leaves_nothing_behind() -> None:
    async with Emulator() as first:
        second = Emulator(port=address(first)[1])
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await second.stop()
    async with Emulator(port=address(first)[1]) as third:
        assert address(third) == address(first)


def test_a_loop_that_cannot_watch_sockets_is_served_by_looking_now_and_then() -> None:
    class Proactorish(asyncio.SelectorEventLoop):
        def add_reader(self, *_: object) -> None:
            raise NotImplementedError

    async def story() -> None:
        async with Emulator() as emulator, aiohttp.ClientSession() as client:
            async with client.get(emulator.url) as answer:
                assert answer.status == 200
            await emulator.pause()
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get(emulator.url)

    with asyncio.Runner(loop_factory=Proactorish) as runner:
        runner.run(story())
