"""The commands and their options. What they do is in a file for each group."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from declutter_async import __version__
from declutter_async.cli.account import Account
from declutter_async.cli.exit_codes import ExitCode, of_error
from declutter_async.cli.look import check_account, show_status, watch_all
from declutter_async.cli.run import run_photos
from declutter_async.cli.screen import Screen, printable
from declutter_async.errors import DeclutterError

_NOBODY = Account()

app = App(
    name="declutter-async",
    version=__version__,
    help="Declutter listing photos: every photo is paid for once, found as soon as it is ready, and never lost.",
    help_epilogue=(
        "Exit codes: 0 all delivered; 1 some failed or were skipped, no money at stake; 2 wrong use; "
        "3 something is uncertain or unfinished: paid for, or maybe; 4 the account was refused, or is empty."
    ),
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
)

Json = Annotated[bool, Parameter(name="--json")]


def run(arguments: Sequence[str]) -> int:
    """Run a command, and say in plain words what is wrong: never a traceback for what a user can meet."""
    # Warnings of the library are told by the commands themselves; its errors are faults of ours, and shown.
    logging.basicConfig(level=logging.ERROR, format="declutter-async: %(message)s")
    try:
        code: int | None = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _complain(f"{error}\nTry: declutter-async --help", ExitCode.BAD_USE)
    except DeclutterError as error:
        return _complain(str(error), of_error(error))
    return code or 0


def _complain(message: str, code: ExitCode) -> ExitCode:
    sys.stderr.write(f"declutter-async: {printable(message)}\n")
    return code


def _finish(command: Coroutine[Any, Any, ExitCode]) -> int:
    return int(asyncio.run(command))


@app.command
def demo(
    *,
    photos: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 24,
    out: Path | None = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    json: Json = False,
) -> int:
    """Declutter sample rooms on an emulated service: no account, no cost, no network.

    Writes a page that shows each room before and after.

    Parameters
    ----------
    photos
        How many rooms, 1 to 1000.
    out
        Folder for the page and the pictures; a new name is chosen if it is taken.
    seed
        Of the first room; each further room has the next.
    json
        JSON Lines on stdout, for machines.
    """
    from declutter_async.cli.demo import run_demo  # noqa: PLC0415 - needs the emulator's extra

    return _finish(
        run_demo(count=photos, out=out or Path("declutter-demo"), seed=seed, screen=Screen(machine=json))
    )


@app.command(name="run", usage="Usage: declutter-async run SOURCE... [OPTIONS]")
def run_command(
    # A lone hyphen is a source; anything else that begins with one and is no option is refused with the sources.
    *source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    out: Path | None = None,
    in_flight: int = 32,
    attempts: int = 2,
    budget: int | None = None,
    reserve: int = 0,
    mask_url: str | None = None,
    requests_per_second: float | None = None,
    timeout: float = 1800.0,
    json: Json = False,
    account: Account = _NOBODY,
) -> int:
    """Declutter the photos at these URLs. Each one costs a photo of your account.

    Ctrl-C submits no more and waits for what is paid; a second one leaves at once, and names what is left running.

    Parameters
    ----------
    source
        URLs of JPEG or PNG photos, text files with one URL a line (# begins a comment), or - for stdin.
    out
        Folder for the results; without it their URLs are printed. A file is never overwritten.
    in_flight
        Photos submitted and not yet finished, at most.
    attempts
        Submissions of a photo that the service refunds as FAILED, at most.
    budget
        Photos to spend, at most.
    reserve
        Photos to leave on the account.
    mask_url
        URL of a mask of what to remove, for every photo; without it the service finds that itself.
    requests_per_second
        A ceiling for all requests.
    timeout
        Seconds after which a generation counts as stuck.
    json
        JSON Lines on stdout, for machines: an object for each photo, and a summary.
    """
    return _finish(
        run_photos(
            source,
            account=account,
            screen=Screen(machine=json),
            out=out,
            in_flight=in_flight,
            attempts=attempts,
            budget=budget,
            reserve=reserve,
            mask_url=mask_url,
            requests_per_second=requests_per_second,
            timeout=timeout,
        )
    )


@app.command(usage="Usage: declutter-async status GENERATION_ID... [OPTIONS]")
def status(*generation_id: str, json: Json = False, account: Account = _NOBODY) -> int:
    """Look once at each generation; free of charge.

    Exit code: 0 all succeeded; 1 some failed (and are refunded); 3 some are not finished or not known; 4 refused.

    Parameters
    ----------
    generation_id
        As `run` prints them.
    json
        JSON Lines on stdout, for machines.
    """
    return _finish(show_status(generation_id, account=account, screen=Screen(machine=json)))


@app.command(usage="Usage: declutter-async watch GENERATION_ID... [OPTIONS]")
def watch(
    *generation_id: str, timeout: float = 1800.0, json: Json = False, account: Account = _NOBODY
) -> int:
    """Tell every change of each generation until all have finished; free of charge.

    Exit codes as of `status`.

    Parameters
    ----------
    generation_id
        As `run` prints them.
    timeout
        Seconds after which a generation counts as stuck.
    json
        JSON Lines on stdout, for machines.
    """
    return _finish(watch_all(generation_id, account=account, screen=Screen(machine=json), timeout=timeout))


@app.command
def check(*, json: Json = False, account: Account = _NOBODY) -> int:
    """Ask the service whether key and user are good; free of charge.

    Parameters
    ----------
    json
        One JSON object on stdout, for machines.
    """
    return _finish(check_account(account=account, screen=Screen(machine=json)))


@app.command
def emulator(
    *,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8123,
    speed: float = 60.0,
    seed: int = 0,
    failure_rate: float = 0.0,
    photos: int = 1000,
    requests_per_second: float | None = None,
) -> int:
    """Run a stand-in for the service on this machine until Ctrl-C.

    Prints the environment variables that point the other commands to it.

    Parameters
    ----------
    port
        On 127.0.0.1; 0 for any free one.
    speed
        Emulated seconds in a real one: 60 makes minutes seconds.
    seed
        Decides all that is drawn, the key included.
    failure_rate
        Share of generations that end FAILED, 0 to 1.
    photos
        Photos on the account.
    requests_per_second
        More than this are answered 429.
    """
    from declutter_async.cli.serve import serve  # noqa: PLC0415 - needs the emulator's extra

    return _finish(
        serve(
            port=port,
            screen=Screen(),
            speed=speed,
            seed=seed,
            failure_rate=failure_rate,
            photos_left=photos,
            requests_per_second=requests_per_second,
        )
    )
