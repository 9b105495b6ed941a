"""`run`: declutter the photos at many URLs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from declutter_async import DeclutterSession, Outcome, OutcomeKind
from declutter_async.cli.account import Account
from declutter_async.cli.exit_codes import ExitCode
from declutter_async.cli.pool import Work, tell, work_through
from declutter_async.cli.progress import STYLES
from declutter_async.cli.report import outcome_line, outcome_record
from declutter_async.cli.screen import Screen
from declutter_async.cli.sources import photo_list
from declutter_async.events import Observer


async def run_photos(
    sources: Iterable[str],
    *,
    account: Account,
    screen: Screen,
    out: Path | None,
    in_flight: int,
    attempts: int,
    budget: int | None,
    reserve: int,
    mask_url: str | None,
    requests_per_second: float | None,
    timeout: float,  # noqa: ASYNC109 - of each generation; it detaches, and cancels nothing
) -> ExitCode:
    """Declutter them all; every outcome is a line on stdout."""

    def session(observers: tuple[Observer, ...]) -> DeclutterSession:
        return account.session(
            observers=observers,
            in_flight=in_flight,
            requests_per_second=requests_per_second,
            generation_timeout=timeout,
        )

    def show(outcome: Outcome) -> None:
        if screen.machine:
            screen.record(outcome_record(outcome))
        elif out is None or outcome.kind is not OutcomeKind.DELIVERED or not screen.watched:
            # Before somebody's eyes the folder and the display say enough of what went well.
            screen.result(outcome_line(outcome), style=STYLES[outcome.kind])

    with photo_list(sources, mask_url=mask_url) as found:
        work = Work(photos=found, attempts=attempts, budget=budget, reserve=reserve, save_to=out)
        report = await work_through(work, session=session, screen=screen, each=show)
    if out is not None and report.kinds[OutcomeKind.DELIVERED] and not screen.machine:
        screen.note(f"Results: {out}")
    tell(report, screen)
    return report.exit_code
