"""The decluttering service on 127.0.0.1, for trials and tests: a stand-in, not a model.

    behaviour = Behaviour(speed=60, failure_rate=0.1, faults=[Fault("reset", 0.05, when="after")])
    async with Emulator(behaviour) as emulator:
        ...  # a client with emulator.url, emulator.api_key and emulator.user_id
    assert all(book.net <= 1 for book in emulator.account.photos.values())

`emulator.account` is the truth about the money, `FAULTS` the list of what can go wrong.
"""

try:
    from declutter_async.emulator.server import Emulator
except ModuleNotFoundError as error:
    if error.name not in {"cv2", "numpy"}:
        raise
    raise ImportError(
        f"the emulator needs {error.name}, which is not installed: pip install 'declutter-async[emulator]'",
        name=error.name,
    ) from error

from declutter_async.emulator.behaviour import Behaviour
from declutter_async.emulator.books import Account, PhotoBook, Strike
from declutter_async.emulator.durations import Duration, Fixed, LogNormal, Mixture, Uniform
from declutter_async.emulator.faults import FAULTS, Fault, FaultKind

__all__ = [
    "FAULTS",
    "Account",
    "Behaviour",
    "Duration",
    "Emulator",
    "Fault",
    "FaultKind",
    "Fixed",
    "LogNormal",
    "Mixture",
    "PhotoBook",
    "Strike",
    "Uniform",
]
