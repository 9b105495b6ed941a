"""`status`, `watch` and `check`: what is looked at costs nothing."""

from __future__ import annotations

import asyncio
import shlex
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping

import anyio

from declutter_async import DeclutterSession, Status, StatusUpdate
from declutter_async.cli.account import Account
from declutter_async.cli.exit_codes import ExitCode, of_looks
from declutter_async.cli.report import error_record
from declutter_async.cli.screen import Screen
from declutter_async.cli.signals import Interrupts
from declutter_async.errors import (
    BadRequest,
    DeclutterError,
    GenerationTimeout,
    InvalidArgument,
    KeyRefused,
    NotFound,
    RequestError,
    RequestRefused,
    UnknownUser,
)
from declutter_async.events import Event, Looked

_PATIENCE = 15.0  # seconds for which a single look waits out an outage: somebody sits there
_UNREACHABLE = "(again, once the service answers; is DECLUTTER_BASE_URL right?)"
_UNKNOWN = (NotFound, BadRequest)  # what a look is answered for an id that is none of the user's


def checked_ids(ids: Iterable[str]) -> list[str]:
    """The generation_ids, each once. Raises `InvalidArgument` with all that are none."""
    good: dict[str, None] = {}
    wrong: list[str] = []
    for text in ids:
        try:
            good[str(uuid.UUID(text))] = None
        except ValueError:
            wrong.append(ascii(text[:100]))
    if not good and not wrong:
        raise InvalidArgument("there is no generation_id: give one or more, as `run` prints them")
    if wrong:
        raise InvalidArgument(f"no generation_id: {', '.join(wrong)}; expected UUIDs, as `run` prints them")
    return list(good)


async def show_status(ids: Iterable[str], *, account: Account, screen: Screen) -> ExitCode:
    """One look at each, all at once; told in the order in which they were given."""
    asked = checked_ids(ids)
    async with account.session(outage_timeout=_PATIENCE) as session:
        leaving = anyio.CancelScope()
        updates: list[StatusUpdate] = []
        with Interrupts(leaving.cancel), leaving:
            updates = await asyncio.gather(*(_look(session, generation_id) for generation_id in asked))
    last = {generation_id: StatusUpdate(generation_id) for generation_id in asked}
    for update in updates:
        last[update.generation_id] = update
        _show(update, screen)
    return _conclude(last, screen)


async def watch_all(
    ids: Iterable[str],
    *,
    account: Account,
    screen: Screen,
    timeout: float,  # noqa: ASYNC109 - of each generation; it detaches, and cancels nothing
) -> ExitCode:
    """Every change of each, until all have finished or Ctrl-C."""
    asked = checked_ids(ids)
    last = {generation_id: StatusUpdate(generation_id) for generation_id in asked}
    told = screen.machine

    def tell_first_trouble(event: Event) -> None:
        nonlocal told
        if told or not isinstance(event, Looked) or event.error is None:
            return
        if not isinstance(event.error, RequestRefused) and all(map(_no_answer, last.values())):
            told = True
            screen.note(f"Asking again: {event.error.message}; if that lasts: is DECLUTTER_BASE_URL right?")

    async with account.session(observers=(tell_first_trouble,), generation_timeout=timeout) as session:
        leaving = anyio.CancelScope()
        with Interrupts(leaving.cancel), leaving:
            async with session.watch(asked) as updates:
                async for update in updates:
                    last[update.generation_id] = update
                    _show(update, screen)
    if leaving.cancelled_caught and not screen.machine:
        screen.note("Stopped watching; the generations run on, and nothing is lost.")
    return _conclude(last, screen)


async def check_account(*, account: Account, screen: Screen) -> ExitCode:
    """Ask for a generation that cannot exist: the answer tells whether key and user are accepted, free of charge."""
    accepted, error = True, None
    async with account.session(outage_timeout=_PATIENCE) as session:
        leaving = anyio.CancelScope()
        with Interrupts(leaving.cancel), leaving:
            try:
                await session.get(uuid.uuid4())
            except _UNKNOWN:
                pass
            except RequestError as trouble:
                accepted, error = False, trouble
    if leaving.cancelled_caught:
        raise KeyboardInterrupt
    refused = isinstance(error, KeyRefused | UnknownUser)
    code = ExitCode.ACCOUNT if refused else ExitCode.SOME_LEFT if error else ExitCode.DONE
    if screen.machine:
        screen.record(
            {
                "type": "summary",
                "accepted": accepted if accepted or refused else None,
                "error": error_record(error),
                "exit_code": int(code),
            }
        )
    elif error is None:
        screen.result("The key and the user are accepted (asked free of charge).")
        screen.note(
            "This says nothing about the photos left: the service tells their number only once one is spent."
        )
        screen.next("declutter-async run URL... --out results")
    elif refused:
        screen.result(f"Refused: {error.message}")
        screen.note(
            "Look up the API key and the user id in the service's Developer Space, and set DECLUTTER_API_KEY and "
            "DECLUTTER_USER_ID."
        )
        screen.next("declutter-async check")
    else:
        screen.result(f"Not known: {error.message}")
        screen.next(f"declutter-async check   {_UNREACHABLE}")
    return code


async def _look(session: DeclutterSession, generation_id: str) -> StatusUpdate:
    try:
        state = await session.get(generation_id)
    except DeclutterError as error:
        return StatusUpdate(generation_id, error=error)
    return StatusUpdate(generation_id, status=state.status, state=state)


def _no_answer(update: StatusUpdate) -> bool:
    """Whether no look at it was ever answered, as far as the last update tells."""
    if isinstance(update.error, GenerationTimeout):
        return update.error.state is None
    return update.status is None


def _show(update: StatusUpdate, screen: Screen) -> None:
    urls = update.state.urls if update.state else ()
    if screen.machine:
        screen.record(
            {
                "type": "status",
                "generation_id": update.generation_id,
                "status": update.status.value if update.status else None,
                "urls": list(urls),
                "error": error_record(update.error),
            }
        )
        return
    word = update.status.value if update.status else "?"
    why = [update.error.message] if update.error else []
    screen.result("  ".join([f"{word:<10}", update.generation_id, *urls, *why]))


def _conclude(last: Mapping[str, StatusUpdate], screen: Screen) -> ExitCode:
    code = of_looks(last.values())
    if screen.machine:
        kinds = Counter(update.status.value if update.status else "?" for update in last.values())
        screen.record(
            {"type": "summary", "generations": len(last), "statuses": kinds, "exit_code": int(code)}
        )
        return code
    unknown = {i for i, update in last.items() if isinstance(update.error, _UNKNOWN)}
    unfinished = [i for i, update in last.items() if update.status is None or not update.status.finished]
    open_ids = [i for i in unfinished if i not in unknown]
    failed = [i for i, update in last.items() if update.status is Status.FAILED]
    if unknown:
        screen.note(
            f"Not known to the service: {', '.join(i for i in last if i in unknown)}. Check the id, and which user it belongs to: "
            "DECLUTTER_USER_ID or --user-id."
        )
    if code is ExitCode.ACCOUNT:
        screen.next("declutter-async check")
    elif open_ids:
        away = any(_no_answer(last[i]) for i in open_ids)
        command = shlex.join(["declutter-async", "watch", *open_ids])
        screen.next(f"{command}   {_UNREACHABLE}" if away else command)
    elif failed:
        screen.note("What is FAILED is refunded by the service, and may be submitted again.")
        screen.next("declutter-async run URL... --out results   (the photos that failed)")
    elif not unknown:
        screen.next("fetch the pictures from the URLs above; they may expire, and `status` gives new ones")
    return code
