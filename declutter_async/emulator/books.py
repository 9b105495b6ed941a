"""The account's books: what was accepted, charged and refunded. Pure apart from the clock it is given."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

Status = Literal["STARTING", "PROCESSING", "SUCCEEDED", "FAILED"]

# The share of a generation's duration for which it is STARTING.
_STARTING_SHARE = 0.1


class NoPhotosLeftError(Exception):
    """The account has no photo left to charge."""


@attrs.frozen
class Fate:
    """What the seed has in store for one accepted photo; `duration` is in emulated seconds."""

    generation_id: str
    project_id: str
    duration: float
    fails: bool


@attrs.define(eq=False)
class Generation:
    """One accepted photo. Moments are emulated seconds since the emulator's start."""

    generation_id: str
    project_id: str
    image_url: str
    accepted_at: float
    ends_at: float
    fails: bool

    def status(self, now: float) -> Status:
        """The status by the clock alone."""
        if now >= self.ends_at:
            return "FAILED" if self.fails else "SUCCEEDED"
        started = self.accepted_at + _STARTING_SHARE * (self.ends_at - self.accepted_at)
        return "STARTING" if now < started else "PROCESSING"


@attrs.frozen
class PhotoBook:
    """One photo's money: how often it was charged and refunded, and by which generations."""

    charges: int
    refunds: int
    generation_ids: tuple[str, ...]

    @property
    def net(self) -> int:
        """Charges that were not refunded."""
        return self.charges - self.refunds


@attrs.frozen
class Strike:
    """One fault that struck.

    `image_url` is the photo of a paid request (for a variation its `original_url`). `generation_id` is the
    one that the request made, or for `get` and `result` the one it asked for. `charged` says whether the
    struck request was accepted and charged all the same, `uncertain` whether its client cannot know that.
    """

    fault: str
    call: str
    when: Literal["before", "after"]
    image_url: str | None
    generation_id: str | None
    charged: bool
    uncertain: bool


class Account:
    """The books of the one account. Reading them changes nothing.

    At every moment `photos_left + charged - refunded` is the number of photos at the start.

    Attributes:
        requests: how many requests each call has had, whatever came of them ("generate",
            "generate-variation", "get", "result", and "elsewhere" for a redirect that was followed).
        strikes: every fault that struck, in order.
    """

    def __init__(self, photos: int, clock: Callable[[], float]) -> None:
        self.requests: Counter[str] = Counter()
        self.strikes: list[Strike] = []
        self._photos = photos
        self._clock = clock
        self._generations: dict[str, Generation] = {}
        self._by_photo: dict[str, list[Generation]] = {}
        self._times: Counter[str] = Counter()
        self._variations: Counter[str] = Counter()
        # Generations that had not finished at the last acceptance: a heap by the moment of their end.
        self._open: list[tuple[float, int, Generation]] = []
        self._settled_refunds = 0
        self._max_running = 0

    @property
    def photos_left(self) -> int:
        """Photos that can still be charged."""
        return self._photos - self.charged + self.refunded

    @property
    def charged(self) -> int:
        """Photos charged so far, refunded ones included."""
        return len(self._generations)

    @property
    def refunded(self) -> int:
        """Photos given back because their generation has FAILED."""
        now = self._clock()
        return self._settled_refunds + sum(_refunded(generation, now) for _, _, generation in self._open)

    @property
    def running(self) -> int:
        """Generations accepted and not finished by the clock."""
        now = self._clock()
        return sum(end > now for end, _, _ in self._open)

    @property
    def max_running(self) -> int:
        """The most generations that ever ran at one time."""
        return self._max_running

    @property
    def photos(self) -> Mapping[str, PhotoBook]:
        """Each photo's own book by its `image_url` (for a variation, by its `original_url`)."""
        return _Photos(self._by_photo, self._clock)

    def accept(self, image_url: str, key: str, fate: Fate, *, project_id: str | None = None) -> Generation:
        """Charge a photo and start its generation.

        Args:
            image_url: the photo, as it will stand in the books.
            key: what stands for the photo in draws, counted by `times_accepted`.
            fate: what becomes of it.
            project_id: the project of which this is a variation; None makes a project.

        Raises:
            NoPhotosLeftError: nothing was charged.
        """
        now = self._clock()
        self._settle(now)
        if self._photos - self.charged + self._settled_refunds < 1:
            raise NoPhotosLeftError
        generation = Generation(
            generation_id=fate.generation_id,
            project_id=fate.project_id if project_id is None else project_id,
            image_url=image_url,
            accepted_at=now,
            ends_at=now + fate.duration,
            fails=fate.fails,
        )
        if project_id is not None:
            self._variations[project_id] += 1
        self._generations[generation.generation_id] = generation
        self._by_photo.setdefault(image_url, []).append(generation)
        self._times[key] += 1
        heapq.heappush(self._open, (generation.ends_at, len(self._generations), generation))
        self._settle(now)  # one that takes no time has never run
        self._max_running = max(self._max_running, len(self._open))
        return generation

    def fail(self, generation: Generation) -> None:
        """Let a generation that has not finished end FAILED; too late, nothing changes."""
        if self._clock() < generation.ends_at:
            generation.fails = True

    def find(self, generation_id: str) -> Generation | None:
        """The generation of this id, if there is one."""
        return self._generations.get(generation_id)

    def status(self, generation: Generation) -> Status:
        """The generation's status now."""
        return generation.status(self._clock())

    def times_accepted(self, key: str) -> int:
        """How often the photo of this key has been accepted."""
        return self._times[key]

    def variations(self, project_id: str) -> int:
        """How many variations the project has had."""
        return self._variations[project_id]

    def _settle(self, now: float) -> None:
        while self._open and self._open[0][0] <= now:
            _, _, generation = heapq.heappop(self._open)
            self._settled_refunds += generation.fails


class _Photos(Mapping[str, PhotoBook]):
    """The books by photo, made when they are read."""

    def __init__(self, by_photo: Mapping[str, list[Generation]], clock: Callable[[], float]) -> None:
        self._by_photo = by_photo
        self._clock = clock

    def __getitem__(self, image_url: str) -> PhotoBook:
        generations = self._by_photo[image_url]
        now = self._clock()
        return PhotoBook(
            charges=len(generations),
            refunds=sum(_refunded(generation, now) for generation in generations),
            generation_ids=tuple(generation.generation_id for generation in generations),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._by_photo))

    def __len__(self) -> int:
        return len(self._by_photo)

    def __repr__(self) -> str:
        return repr(dict(self))


def _refunded(generation: Generation, now: float) -> bool:
    return generation.status(now) == "FAILED"
