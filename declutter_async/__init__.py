"""Asyncio SDK for decluttering listing photos: paid for once, found as soon as ready, never lost."""

from declutter_async._settings import DEFAULT
from declutter_async._transport import ConnectorFactory
from declutter_async._version import __version__
from declutter_async._watch import Watch
from declutter_async.batch import Batch
from declutter_async.models import Generation, GenerationState, Photo, Status
from declutter_async.outcomes import Outcome, OutcomeKind, Progress, StatusUpdate
from declutter_async.polling import AdaptivePolling, FixedPolling, PollingPolicy
from declutter_async.session import DeclutterSession

__all__ = [
    "DEFAULT",
    "AdaptivePolling",
    "Batch",
    "ConnectorFactory",
    "DeclutterSession",
    "FixedPolling",
    "Generation",
    "GenerationState",
    "Outcome",
    "OutcomeKind",
    "Photo",
    "PollingPolicy",
    "Progress",
    "Status",
    "StatusUpdate",
    "Watch",
    "__version__",
]
