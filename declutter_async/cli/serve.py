"""`emulator`: the service on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio

from declutter_async.cli.exit_codes import ExitCode
from declutter_async.cli.report import photos
from declutter_async.cli.screen import Screen
from declutter_async.cli.signals import Interrupts
from declutter_async.emulator import Behaviour, Emulator
from declutter_async.errors import InvalidArgument


async def serve(
    *,
    port: int,
    screen: Screen,
    speed: float,
    seed: int,
    failure_rate: float,
    photos_left: int,
    requests_per_second: float | None,
) -> ExitCode:
    """Serve until a signal comes; stdout takes the three lines to paste into another terminal."""
    try:
        behaviour = Behaviour(
            speed=speed,
            seed=seed,
            failure_rate=failure_rate,
            photos=photos_left,
            requests_per_second=requests_per_second,
        )
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    emulator = Emulator(behaviour, port=port)
    try:
        await emulator.start()
    except OSError as error:
        raise InvalidArgument(
            f"port {port} cannot be listened on ({error.strerror or error}): choose another with --port; 0 takes any"
        ) from None
    stopped = asyncio.Event()
    try:
        with Interrupts(stopped.set):
            screen.note(
                f"The emulator listens at {emulator.url} until Ctrl-C: a stand-in by plain image processing, for "
                "trials; it is not the service. In another terminal:"
            )
            screen.result(f"export DECLUTTER_BASE_URL={emulator.url}")
            screen.result(f"export DECLUTTER_API_KEY={emulator.api_key}")
            screen.result(f"export DECLUTTER_USER_ID={emulator.user_id}")
            screen.next(f"declutter-async run {emulator.url}/rooms/7/cluttered.jpg --out results")
            await stopped.wait()
    finally:
        await emulator.stop()
    account = emulator.account
    screen.note(f"Stopped: {photos(account.charged)} charged, {account.refunded} refunded.")
    return ExitCode.DONE
