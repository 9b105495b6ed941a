"""A batch with its display, its Ctrl-C and its report: what `run` and `demo` share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Callable, Iterable
from pathlib import Path

import anyio
import attrs

from declutter_async import DeclutterSession, Outcome, Photo
from declutter_async.cli.exit_codes import ExitCode
from declutter_async.cli.progress import Display
from declutter_async.cli.report import Report
from declutter_async.cli.screen import Screen
from declutter_async.cli.signals import Interrupts
from declutter_async.events import Observer

_FIRST = (
    "Stopping: nothing more is submitted; what is paid for is waited for. Ctrl-C again to leave it running."
)
_SECOND = (
    "Leaving. Requests whose answer is on the way are waited for (30 s at most), so that no generation_id is lost; "
    "Ctrl-C again to give them up."
)


@attrs.frozen(kw_only=True)
class Work:
    """What a batch is to do; see `DeclutterSession.batch`.

    `on_stop` is called when nothing more is to be submitted: a source that works for its photos can spare itself that.
    """

    photos: Iterable[Photo] | AsyncIterable[Photo]
    title: str = "Decluttering"
    attempts: int = 2
    budget: int | None = None
    reserve: int = 0
    save_to: Path | None = None
    on_stop: Callable[[], None] = lambda: None


async def work_through(
    work: Work,
    *,
    session: Callable[[tuple[Observer, ...]], DeclutterSession],
    screen: Screen,
    each: Callable[[Outcome], None],
) -> Report:
    """Run the batch to its end, or to where Ctrl-C ends it.

    Args:
        work: What to do.
        session: Makes the session, with these observers.
        screen: Where to show it.
        each: Called with every outcome, as it comes.

    Raises `DeclutterError` where nothing could be begun.
    """
    report = Report()
    display = Display(screen, work.title)
    async with session((report.observe, display)) as opened:
        batch = opened.batch(
            work.photos,
            attempts=work.attempts,
            budget=work.budget,
            reserve=work.reserve,
            save_to=work.save_to,
        )
        leaving = anyio.CancelScope()
        stopping: list[asyncio.Task[None]] = []

        def stop() -> None:
            work.on_stop()
            stopping.append(asyncio.create_task(batch.stop()))

        def ctrl_c() -> None:
            screen.note(_FIRST, style="bold")
            stop()

        def leave() -> None:
            screen.note(_SECOND, style="bold")
            leaving.cancel()

        def close_report() -> None:
            report.detached, report.progress = opened.detached, batch.progress

        def give_up() -> None:
            close_report()
            report.left, report.unanswered = True, batch.progress.submitting
            tell(report, screen)
            os._exit(ExitCode.UNSETTLED)

        screen.on_closed = stop
        with Interrupts(ctrl_c, leave, give_up):
            with leaving:
                async with batch, display.showing(lambda: batch.progress):
                    try:
                        async for outcome in batch:
                            report.add(outcome)
                            each(outcome)
                    except OSError as error:  # of the file that the photos are read from
                        report.trouble = error.strerror or str(error)
            report.left = leaving.cancelled_caught
            await opened.aclose()  # here, where Ctrl-C still works: it waits for answers to paid requests
        close_report()
    return report


def tell(report: Report, screen: Screen) -> None:
    """Say what became of the photos, and what to type next."""
    if screen.machine:
        for record in report.left_running_records():
            screen.record(record)
        screen.record(report.record())
        return
    for line in report.lines():
        screen.note(line)
    command = report.next_command()
    if command is not None:
        screen.next(command)
