"""How long a generation takes: distributions of seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import attrs

from declutter_async.emulator._checks import number

if TYPE_CHECKING:
    from random import Random


class Duration(Protocol):
    """Anything that can draw a number of emulated seconds, 0 or more."""

    def draw(self, random: Random, /) -> float:
        """Draw one duration; the same state of `random` gives the same one."""
        ...


@attrs.frozen
class Fixed:
    """Every generation takes the same number of seconds."""

    seconds: float = attrs.field(validator=number(at_least=0))

    def draw(self, random: Random, /) -> float:  # noqa: ARG002 - a Duration is given one
        """Give the fixed number of seconds."""
        return self.seconds


@attrs.frozen
class Uniform:
    """Any number of seconds from `low` to `high` is as likely as any other."""

    low: float = attrs.field(validator=number(at_least=0))
    high: float = attrs.field(validator=number(at_least=0))

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"Uniform: low ({self.low:g}) is above high ({self.high:g}); swap the two")

    def draw(self, random: Random, /) -> float:
        """Draw a number of seconds."""
        return random.uniform(self.low, self.high)


@attrs.frozen
class LogNormal:
    """Half of the generations take less than `median` seconds; `sigma` is the spread of the logarithm."""

    median: float = attrs.field(validator=number(above=0))
    sigma: float = attrs.field(validator=number(at_least=0, at_most=5))

    def draw(self, random: Random, /) -> float:
        """Draw a number of seconds."""
        return random.lognormvariate(math.log(self.median), self.sigma)


@attrs.frozen
class Mixture:
    """Generations of two kinds: the share `other_share` (0 to 1) takes as long as `other` says."""

    usual: Duration
    other: Duration
    other_share: float = attrs.field(validator=number(at_least=0, at_most=1))

    def draw(self, random: Random, /) -> float:
        """Draw a number of seconds."""
        kind = self.other if random.random() < self.other_share else self.usual
        return kind.draw(random)
