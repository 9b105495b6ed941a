"""An emulator leaves no task, socket or warning behind, however it ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys

import aiohttp
import anyio
import pytest
from emulator_client import until

from declutter_async.emulator import Behaviour, Emulator, Fault
from declutter_async.emulator.background import to_its_end
from declutter_async.emulator.door import Door


async def busy(emulator: Emulator, silent: str) -> None:
    """Leave something of every kind under way, until cancelled."""
    async with emulator, aiohttp.ClientSession(headers={"x-api-key": emulator.api_key}) as client:
        room = f"{emulator.url}/rooms/5/cluttered.jpg"

        async def ask(call: str, image_url: str) -> None:
            fields = {"user_id": emulator.user_id, "image_url": image_url, "auto": True, "webhook": silent}
            async with client.post(f"{emulator.url}/api/declutter_total/{call}", json=fields) as answer:
                assert answer.status == 200

        await asyncio.gather(
            ask("get", room), ask("generate", silent), *(ask("generate", room) for _ in range(5))
        )


async def until_busy(emulator: Emulator) -> None:
    await until(lambda: emulator.account.requests.total() == 7)


async def break_out(emulator: Emulator, silent: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(busy(emulator, silent))
        await until_busy(emulator)
        raise LookupError


async def end(how: str, emulator: Emulator, silent: str) -> None:
    """Cancel what is busy, in one of the ways in which callers do it."""
    if how == "scope":
        async with anyio.create_task_group() as group:
            group.start_soon(busy, emulator, silent)
            await until_busy(emulator)
            group.cancel_scope.cancel()
    elif how == "exception":
        with pytest.raises(ExceptionGroup):
            await break_out(emulator, silent)
    else:
        task = asyncio.create_task(busy(emulator, silent))
        await until_busy(emulator)
        for _ in range(5):  # again and again, while it stops
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("how", ["cancel", "scope", "exception"])
def test_nothing_is_left_when_cancelled(how: str) -> None:
    emulator = Emulator(Behaviour(duration=0.001, webhooks="twice", faults=[Fault("hang", 1, on="get")]))

    async def story(silent: str) -> None:
        await end(how, emulator, silent)
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(story(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
    gc.collect()  # an unclosed socket would warn here
    account = emulator.account
    assert account.photos_left + account.charged == 1000
    assert account.requests == {"generate": 6, "get": 1}


@pytest.mark.anyio
async def test_started_once_and_stopped_as_often_as_one_likes() -> None:
    emulator = Emulator()
    assert "not started" in repr(emulator)
    with pytest.raises(RuntimeError, match="not started"):
        _ = emulator.url
    with pytest.raises(RuntimeError, match="not started"):
        await emulator.pause()
    await emulator.stop()
    await emulator.start()
    assert emulator.url in repr(emulator)
    assert emulator.api_key not in repr(emulator)
    with pytest.raises(RuntimeError, match="started once"):
        await emulator.start()
    await emulator.stop()
    await emulator.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        await emulator.resume()


@pytest.mark.anyio
async def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no file descriptor left")

    monkeypatch.setattr(Door, "serve", fail)
    emulator = Emulator()
    with pytest.raises(OSError, match="no file descriptor left"):
        await emulator.start()
    gc.collect()  # an unclosed socket or client session would warn here
    with pytest.raises(RuntimeError, match="started once"):
        await emulator.start()


@pytest.mark.anyio
async def test_the_clock_stands_still_after_the_end() -> None:
    async with Emulator(Behaviour(speed=1000)) as emulator:
        first = emulator._clock.now()
        await emulator._clock.sleep_until(first + 5)
        assert emulator._clock.now() >= first + 5
    stopped = emulator._clock.now()
    await asyncio.sleep(0.01)
    assert emulator._clock.now() == stopped
    assert Emulator()._clock.now() == 0


@pytest.mark.anyio
async def test_work_is_run_to_its_end_and_the_cancellation_let_through() -> None:
    done: list[object] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append(1)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await to_its_end(work())
        await asyncio.sleep(0)  # where the scope's cancellation arrives
        done.append("not reached")
    task = asyncio.create_task(to_its_end(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1, 1]


@pytest.mark.parametrize("module", ["numpy", "cv2"])
def test_without_numpy_or_opencv_the_error_says_what_to_install(module: str) -> None:
    # None in sys.modules makes an import fail as if the module were not installed.
    program = f"import sys; sys.modules[{module!r}] = None; from declutter_async.emulator import Emulator"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"ImportError: the emulator needs {module}" in run.stderr
    assert "pip install 'declutter-async[emulator]'" in run.stderr
