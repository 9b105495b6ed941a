"""The listening socket: open, shut so that connections are refused, and open again on the same port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

_HOST = "127.0.0.1"
_BACKLOG = 1024
# Seconds between looks for a connection, on a loop that cannot say when there is one (Windows' proactor).
_LOOK_EVERY = 0.01


class Door:
    """Lets connections in on 127.0.0.1.

    Connections are accepted here and not by asyncio's own server, because a door that shuts must first have taken
    in every connection that a client believes to be made: one left in the backlog would be reset after its request
    was written, and nobody could tell that from a request that was read.

    Args:
        port: where to listen; 0 for any free port. It is taken at once (OSError if it is not free) and kept.
    """

    def __init__(self, port: int) -> None:
        self._server: web.Server | None = None
        self._loop = asyncio.get_running_loop()
        self._listener: socket.socket | None = None
        self._keeper: socket.socket | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._admitting: set[asyncio.Task[Any]] = set()
        keeper = _bind(port)
        self.port = keeper.getsockname()[1]
        # On Linux a second socket may be bound to the port as long as this one does not listen. This one keeps it
        # for us while the door is shut; otherwise another socket, even a client's, could be given it.
        if sys.platform == "linux":
            self._keeper = keeper
        else:  # pragma: no cover - other systems
            keeper.close()

    def serve(self, server: web.Server) -> None:
        """Open for the first time, and hand every connection to `server`."""
        self._server = server
        self.open()

    def open(self) -> None:
        """Listen on the port; nothing happens if the door is open."""
        self._keep_as_it_is()
        if self._listener is not None:
            return
        self._listener = _bind(self.port)
        self._listener.listen(_BACKLOG)
        try:
            self._loop.add_reader(self._listener, self._accept)
        except NotImplementedError:
            self._look()

    def shut(self) -> None:
        """Refuse new connections; those that were made live on."""
        if self._listener is None:
            return
        if self._looking is None:
            self._loop.remove_reader(self._listener)
        else:
            self._looking.cancel()
        self._accept()
        self._listener.close()
        self._listener = None

    def refuse_for(self, seconds: float) -> None:
        """Shut for a while (real seconds), then open again; a door that was paused stays shut."""
        if self._listener is None and self._reopening is None:
            return
        self._keep_as_it_is()
        self.shut()
        self._reopening = self._loop.call_later(seconds, self.open)

    def pause(self) -> None:
        """Shut until `open`, and abort every connection."""
        self._keep_as_it_is()
        self.shut()
        for task in self._admitting:
            task.cancel()
        for connection in [] if self._server is None else self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """Shut for good."""
        self.pause()
        if self._keeper is not None:
            self._keeper.close()
        if self._admitting:
            await asyncio.wait(self._admitting)

    def _keep_as_it_is(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None

    def _look(self) -> None:
        self._accept()
        self._looking = self._loop.call_later(_LOOK_EVERY, self._look)

    def _accept(self) -> None:
        # Ends when nobody waits (BlockingIOError). Where no file descriptor is left, clients wait in the backlog.
        with contextlib.suppress(OSError):
            while self._listener is not None and self._server is not None:
                self._admit(self._server, self._listener.accept()[0])

    def _admit(self, server: web.Server, connection: socket.socket) -> None:
        connection.settimeout(0)
        task = self._loop.create_task(_serve(server, connection))
        self._admitting.add(task)
        task.add_done_callback(partial(self._admitted, connection))

    def _admitted(self, connection: socket.socket, task: asyncio.Task[Any]) -> None:
        self._admitting.discard(task)
        if task.cancelled() or task.exception() is not None:
            connection.close()


async def _serve(server: web.Server, connection: socket.socket) -> None:
    _, handler = await asyncio.get_running_loop().connect_accepted_socket(server, connection)
    # Stops the handler's first keep-alive timer: a connection is idle after an answer, not before its first
    # request. One that was closed then could lose a paid request, and no fault would account for it.
    handler.keep_alive(True)  # noqa: FBT003 - the method takes it so


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(0)
        sock.bind((_HOST, port))
    except OSError:
        sock.close()
        raise
    return sock
