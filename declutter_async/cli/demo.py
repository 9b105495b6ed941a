"""`demo`: sample rooms, decluttered on an emulator in this process, and a page that shows them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from anyio import to_thread

from declutter_async import DeclutterSession, Outcome, OutcomeKind, Photo
from declutter_async.cli.exit_codes import ExitCode
from declutter_async.cli.page import Pair, Summary, render_page
from declutter_async.cli.pool import Work, tell, work_through
from declutter_async.cli.report import Report, duration, outcome_record, photos
from declutter_async.cli.screen import Screen
from declutter_async.emulator import Behaviour, Emulator
from declutter_async.errors import InvalidArgument
from declutter_async.events import Observer

_SPEED = 45.0  # a generation of a minute and a half takes two seconds
_AHEAD = 2  # rooms that are rendered at once
_BALANCE = 1000  # photos on the demo's account: as many as can be asked for


@attrs.define
class Rooms:
    """The sample rooms, each saved as it is before it is handed on, which has it rendered (about a second).

    Once `stop` was called, the rest is handed on as it is: nothing of it will be submitted.
    """

    emulator_url: str
    seeds: range
    folder: Path
    _stopped: bool = False

    def __len__(self) -> int:
        return len(self.seeds)

    async def __aiter__(self) -> AsyncIterator[Photo]:
        seeds = iter(self.seeds)
        coming: deque[tuple[int, asyncio.Task[None]]] = deque()
        try:
            while True:
                for seed in islice(seeds, _AHEAD - len(coming)):
                    coming.append((seed, asyncio.create_task(self._fetch(seed))))
                if not coming:
                    return
                seed, fetching = coming.popleft()
                await fetching
                yield Photo(self._url(seed), labels={"seed": seed})
        finally:
            for _, fetching in coming:
                fetching.cancel()
                fetching.add_done_callback(_forget)

    def stop(self) -> None:
        """Render no more."""
        self._stopped = True

    async def _fetch(self, seed: int) -> None:
        if not self._stopped:
            await to_thread.run_sync(_copy, self._url(seed), self.folder / before_name(seed))

    def _url(self, seed: int) -> str:
        return f"{self.emulator_url}/rooms/{seed}/cluttered.jpg"


def before_name(seed: int) -> str:
    """The file name of a room as it was."""
    return f"room-{seed:04}-before.jpg"


def after_name(seed: int) -> str:
    """The file name of a room's result."""
    return f"room-{seed:04}-after.jpg"


def new_folder(wanted: Path) -> Path:
    """Make a folder of this name, or of the next free one (`name-2`, ...); an empty one is used as it is.

    Raises `InvalidArgument` where none can be made.
    """
    if wanted.exists() and not wanted.is_dir():
        raise InvalidArgument(f"--out {wanted} is a file; expected a folder, or a name that is free")
    path, count = wanted.absolute(), 1
    while True:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if path.is_dir() and not any(path.iterdir()):
                return path
            count += 1
            path = path.with_name(f"{wanted.absolute().name}-{count}")
        except OSError as error:
            raise InvalidArgument(f"--out {path} cannot be made: {error.strerror or error}") from None
        else:
            return path


async def run_demo(*, count: int, out: Path, seed: int, screen: Screen) -> ExitCode:
    """Declutter `count` rooms from `seed` on, and write the page into a new folder."""
    folder = new_folder(out)
    pictures = folder / "photos"
    pictures.mkdir()
    if not screen.machine:
        screen.note(
            f"{photos(count)} of sample rooms, on an emulator of the service in this process: nothing is paid."
        )
    outcomes: list[Outcome] = []

    def each(outcome: Outcome) -> None:
        kept = _rename(outcome, pictures)
        outcomes.append(kept)
        if screen.machine:
            screen.record(outcome_record(kept))

    async with Emulator(Behaviour(seed=seed, speed=_SPEED, photos=_BALANCE)) as emulator:

        def session(observers: tuple[Observer, ...]) -> DeclutterSession:
            # Both sides share this machine's cores: nothing here is late, however slow it is.
            return DeclutterSession(
                api_key=emulator.api_key,
                user_id=emulator.user_id,
                base_url=emulator.url,
                request_timeout=300.0,
                observers=observers,
            )

        rooms = Rooms(emulator.url, range(seed, seed + count), pictures)
        report = await work_through(
            Work(photos=rooms, title="Decluttering rooms", save_to=pictures, on_stop=rooms.stop),
            session=session,
            screen=screen,
            each=each,
        )
        requests = {call: emulator.account.requests[call] for call in ("generate", "get", "result")}
    page = folder / "index.html"
    page.write_text(render_page(_pairs(outcomes), _summary(report, requests)), "utf-8")
    _tell(report, requests, page, screen)
    return report.exit_code


def _forget(fetching: asyncio.Task[None]) -> None:
    """Nobody waits for it any more, so its error is nobody's."""
    if not fetching.cancelled():
        fetching.exception()


def _copy(url: str, path: Path) -> None:
    """Save what is at a URL of the emulator: by a plain connection, which knows no proxies."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    try:
        connection.request("GET", parts.path)
        path.write_bytes(connection.getresponse().read())
    finally:
        connection.close()


def _rename(outcome: Outcome, folder: Path) -> Outcome:
    """Give the result its room's name. The folder is new and the demo's own, so nothing is in the way."""
    if outcome.kind is not OutcomeKind.DELIVERED:
        return outcome
    path = folder / after_name(outcome.photo.labels["seed"])
    return attrs.evolve(outcome, files=(outcome.files[0].rename(path),))


def _pairs(outcomes: list[Outcome]) -> list[Pair]:
    delivered = [outcome for outcome in outcomes if outcome.kind is OutcomeKind.DELIVERED]
    return [
        Pair(
            title=f"Room {seed}",
            before=f"photos/{before_name(seed)}",
            after=f"photos/{after_name(seed)}",
            generation_id=outcome.generation_id or "",
            seconds=outcome.seconds,
        )
        for seed, outcome in sorted((outcome.photo.labels["seed"], outcome) for outcome in delivered)
    ]


def _summary(report: Report, requests: dict[str, int]) -> Summary:
    progress = report.progress
    return Summary(
        photos=report.kinds.total(),
        delivered=report.kinds[OutcomeKind.DELIVERED],
        spent=progress.spent if progress else 0,
        balance=progress.balance if progress else None,
        requests=requests["generate"] + requests["get"],
        seconds=progress.seconds if progress else 0.0,
    )


def _tell(report: Report, requests: dict[str, int], page: Path, screen: Screen) -> None:
    if screen.machine:
        for record in report.left_running_records():
            screen.record(record)
        screen.record(report.record() | {"requests": requests, "page": str(page)})
        return
    if report.exit_code is not ExitCode.DONE:
        tell(report, screen)
        screen.result(f"What was delivered: {page.as_uri()}")
        return
    summary = _summary(report, requests)
    screen.result(
        f"{summary.delivered} of {photos(summary.photos)} delivered in {duration(summary.seconds)}."
    )
    screen.result(
        f"Money:    {photos(summary.spent)} spent of the emulator's account, {summary.balance} left; each paid for once."
    )
    screen.result(
        f"Requests: {requests['generate']} submissions, {requests['get']} looks, {requests['result']} downloads."
    )
    screen.result(f"Look at:  {page.as_uri()}")
    screen.next(
        "declutter-async check   (your own account: set DECLUTTER_API_KEY and DECLUTTER_USER_ID first)"
    )
