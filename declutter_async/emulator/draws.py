"""Everything that the seed decides. Pure: the same arguments give the same draw, in whatever order."""

from __future__ import annotations

import hashlib
import uuid
from random import Random
from typing import TYPE_CHECKING

import attrs
from yarl import URL

from declutter_async.emulator.books import Fate

if TYPE_CHECKING:
    from declutter_async.emulator.behaviour import Behaviour
    from declutter_async.emulator.faults import Fault


@attrs.frozen
class Credentials:
    """The account's secrets; `signing_key` signs the URLs of results."""

    api_key: str = attrs.field(repr=False)
    user_id: str
    signing_key: bytes = attrs.field(repr=False)


def credentials(seed: int) -> Credentials:
    """Draw the account's key and user id."""
    random = _random(seed, "account")
    return Credentials(
        api_key=f"emulator-{random.getrandbits(128):032x}",
        user_id=_uuid(random),
        signing_key=hashlib.sha256(random.randbytes(32)).digest(),
    )


def photo_key(image_url: str) -> str:
    """What stands for a photo in draws: path and query, for the port of a loopback server changes."""
    return URL(image_url).raw_path_qs


def fate(behaviour: Behaviour, photo: str, times: int) -> Fate:
    """Draw what becomes of the photo of this key, which was accepted `times` times before."""
    random = _random(behaviour.seed, "photo", photo, times)
    # The order of the draws is part of what a seed means: ids do not depend on durations.
    generation_id, project_id, luck = _uuid(random), _uuid(random), random.random()
    return Fate(
        generation_id=generation_id,
        project_id=project_id,
        duration=max(0.0, behaviour.duration.draw(random)),
        fails=luck < behaviour.failure_rate,
    )


def fault(behaviour: Behaviour, call: str, ordinal: int) -> Fault | None:
    """Draw the fault that strikes the request of this ordinal on `call`, if one does."""
    candidates = [fault for fault in behaviour.faults if call in fault.on]
    if not candidates:
        return None
    luck = _random(behaviour.seed, "fault", call, ordinal).random()
    for candidate in candidates:
        luck -= candidate.rate
        if luck < 0:
            return candidate
    return None


def _random(*parts: str | int) -> Random:
    # A string is hashed by its content, so that the draw is the same in every process.
    return Random(repr(parts))  # noqa: S311 - repeatable on purpose; nothing here is a secret of anyone's


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))
