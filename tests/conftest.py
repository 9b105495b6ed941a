"""Real parts for every test: an emulator over HTTP, or a server that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from answering_service import Service, run_service

from declutter_async import DeclutterSession
from declutter_async.emulator import Emulator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own key or proxy must not reach a test."""
    for name in ("DECLUTTER_API_KEY", "DECLUTTER_USER_ID", "DECLUTTER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def no_task_left(anyio_backend: str) -> AsyncIterator[None]:
    """Whatever a test opened and closed has ended its tasks."""
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    runner = "TestRunner"  # the plugin's own task, which runs the test
    left = {task for task in asyncio.all_tasks() - before if runner not in repr(task.get_coro())}
    assert not left, f"tasks left: {left}"


@pytest.fixture
async def service(anyio_backend: str) -> AsyncIterator[Service]:
    async with run_service() as service:
        yield service


@pytest.fixture
def service_with() -> Callable[..., AbstractAsyncContextManager[Service]]:
    """A server of a test's own, with options of aiohttp's `AppRunner`."""
    return run_service


@pytest.fixture
def session_of() -> Callable[..., DeclutterSession]:
    """A session on an emulator, as its account's owner."""

    def make(emulator: Emulator, **settings: Any) -> DeclutterSession:
        return DeclutterSession(
            base_url=emulator.url, api_key=emulator.api_key, user_id=emulator.user_id, **settings
        )

    return make
