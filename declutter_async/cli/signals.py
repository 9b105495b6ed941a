"""Ctrl-C and SIGTERM, counted: each press may mean something else."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While entered, the first signal calls the first step, the second the second; the last serves all further.

    The steps are called in the event loop that runs when it is entered. For the main thread only.
    """

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = steps
        self._received = 0
        self._before: dict[
            signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None
        ] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def wake(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._step)  # also where the loop sleeps; on every platform

        for number in _SIGNALS:
            self._before[number] = signal.signal(number, wake)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _step(self) -> None:
        step = self._steps[min(self._received, len(self._steps) - 1)]
        self._received += 1
        step()
