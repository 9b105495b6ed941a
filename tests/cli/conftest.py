"""Real emulators in a thread of their own, and a small picture to declutter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_shell import EMPTY, FAILING, FAST, HANGING, SLOW, UNCERTAIN, Shell

from declutter_async.emulator import Behaviour, Emulator


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


@pytest.fixture(scope="session")
def emulators(loop: asyncio.AbstractEventLoop) -> Iterator[Callable[[Behaviour], Emulator]]:
    """Emulators that run beside the tests, one for each behaviour."""
    made: dict[Behaviour, Emulator] = {}

    def get(behaviour: Behaviour) -> Emulator:
        if behaviour not in made:
            made[behaviour] = Emulator(behaviour)
            asyncio.run_coroutine_threadsafe(made[behaviour].start(), loop).result()
        return made[behaviour]

    yield get
    for emulator in made.values():
        asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result()


@pytest.fixture(scope="session")
def photo() -> Iterator[str]:
    """URL of a small picture; with a query it is another photo."""
    image = np.full((48, 64, 3), 140, np.uint8)
    image[16:24, 20:32] = 255
    body = cv2.imencode(".jpg", image)[1].tobytes()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path.startswith("/photo.jpg")
            self.send_response(200 if good else 404)
            self.send_header("Content-Length", str(len(body) if good else 0))
            self.end_headers()
            if good:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/photo.jpg"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shell(emulators: Callable[[Behaviour], Emulator], tmp_path: Path) -> Callable[..., Shell]:
    """A shell in an empty folder, on an emulator that behaves so; `shell(None)` has no account."""

    def make(behaviour: Behaviour | None) -> Shell:
        return Shell(None if behaviour is None else emulators(behaviour), tmp_path)

    return make


@pytest.fixture
def fast(shell: Callable[..., Shell]) -> Shell:
    return shell(FAST)


@pytest.fixture
def slow(shell: Callable[..., Shell]) -> Shell:
    return shell(SLOW)


@pytest.fixture
def failing(shell: Callable[..., Shell]) -> Shell:
    return shell(FAILING)


@pytest.fixture
def empty(shell: Callable[..., Shell]) -> Shell:
    return shell(EMPTY)


@pytest.fixture
def uncertain(shell: Callable[..., Shell]) -> Shell:
    return shell(UNCERTAIN)


@pytest.fixture
def hanging(shell: Callable[..., Shell]) -> Shell:
    return shell(HANGING)


@pytest.fixture
def nobody(shell: Callable[..., Shell]) -> Shell:
    return shell(None)
