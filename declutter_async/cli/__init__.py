"""The command line. This file imports nothing but the standard library, so that it can say what is missing."""

from __future__ import annotations

import sys
from typing import NoReturn

_EXTRAS = {"cyclopts": "cli", "rich": "cli", "cv2": "emulator", "numpy": "emulator"}


def main() -> NoReturn:
    """Run the command in `sys.argv`, and leave with its exit code."""
    try:
        from declutter_async.cli.app import run  # noqa: PLC0415 - may be missing what the extra brings

        sys.exit(run(sys.argv[1:]))
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        extra = _EXTRAS[missing]
        sys.stderr.write(
            f"declutter-async: {missing} is not installed: pip install 'declutter-async[{extra}]'\n"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\ndeclutter-async: stopped before anything was sent\n")
        sys.exit(1)
