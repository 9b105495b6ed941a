"""The display of a running batch: drawn anew on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from declutter_async import OutcomeKind, Progress
from declutter_async.cli.report import duration, money, photos, progress_line
from declutter_async.cli.screen import Screen, printable
from declutter_async.events import Event, Throttled

_FRAME = 0.2  # seconds between two drawings
_LINE = 10.0  # seconds between two lines where nothing can be drawn
STYLES = {
    OutcomeKind.DELIVERED: "green",
    OutcomeKind.FAILED: "red",
    OutcomeKind.UNFINISHED: "yellow",
    OutcomeKind.UNCERTAIN: "magenta",
    OutcomeKind.SKIPPED: "dim",
}


def throttle_line(event: Throttled) -> str:
    """Why everything waits, in one line."""
    rate = "" if event.rate is None else f", then at most {event.rate:.1f} requests/s"
    return f"waiting {duration(event.wait)}{rate}: {event.error.message}"


def draw(title: str, progress: Progress, trouble: str | None) -> RenderableType:
    """The display as it stands; every line fits the terminal's width, cut where it must be."""
    done, total = progress.done, progress.total
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True)
    left = "" if progress.eta is None or done == total else f"  {duration(progress.eta)} left"
    head.add_row(
        Text(title, style="bold"),
        ProgressBar(total=total, completed=done),
        Text(f"{done}/{'?' if total is None else total}  {duration(progress.seconds)}{left}"),
    )
    kinds = [
        Text(f"{progress.kinds[kind]} {kind.lower()}", style=STYLES[kind])
        for kind in OutcomeKind
        if progress.kinds[kind] or kind is OutcomeKind.DELIVERED
    ]
    running = Text(f"{progress.running} running")
    speed = Text(f"{progress.rate * 60:.0f} photos/min")
    lines: list[RenderableType] = [
        head,
        _one_line([*kinds, running, speed]),
        _one_line([Text(money(progress))]),
    ]
    if trouble is not None:
        lines.append(_one_line([Text(printable(trouble), style="yellow")]))
    return Group(*lines)


def _one_line(parts: list[Text]) -> Text:
    line = Text(" · ", style="dim").join(parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


class Display:
    """Shows a batch while it runs. It is an observer: it must be told of the session's events."""

    def __init__(self, screen: Screen, title: str) -> None:
        self._screen = screen
        self._title = title
        self._trouble: str | None = None
        self._trouble_until = 0.0
        self._told = float("-inf")

    def __call__(self, event: Event) -> None:
        """Take an event: why everything waits is shown for as long as it does."""
        if not isinstance(event, Throttled):
            return
        now = asyncio.get_running_loop().time()
        self._trouble, self._trouble_until = throttle_line(event), now + max(event.wait, 2.0)
        if not self._screen.live and now - self._told >= _LINE:
            self._told = now
            self._screen.note(self._trouble)

    @asynccontextmanager
    async def showing(self, progress: Callable[[], Progress]) -> AsyncGenerator[None]:
        """While entered the batch is shown; the last drawing stays where it is."""
        if self._screen.live:
            live = Live(
                get_renderable=lambda: draw(self._title, progress(), self._current_trouble()),
                console=self._screen.console,
                auto_refresh=False,  # its thread would read the figures while the event loop changes them
                redirect_stdout=False,
            )
            with live:
                task = asyncio.create_task(self._repeat(_FRAME, live.refresh))
                try:
                    yield
                finally:
                    await _end(task)
        elif self._screen.machine:
            yield
        else:
            total = progress().total
            self._screen.note(self._title if total is None else f"{self._title}: {photos(total)}")
            task = asyncio.create_task(
                self._repeat(_LINE, lambda: self._screen.note(progress_line(progress())))
            )
            try:
                yield
            finally:
                await _end(task)

    def _current_trouble(self) -> str | None:
        return self._trouble if asyncio.get_running_loop().time() < self._trouble_until else None

    async def _repeat(self, seconds: float, show: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(seconds)
            show()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # raises what went wrong with the drawing
