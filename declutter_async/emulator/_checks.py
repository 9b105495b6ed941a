"""Validators of attrs fields, with messages that say what was expected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import attrs


def complain(instance: object, attribute: attrs.Attribute[Any], expected: str, value: object) -> ValueError:
    """Build the error for a field with a wrong value."""
    return ValueError(f"{type(instance).__name__}: {attribute.name} must be {expected}, not {value!r}")


def number(
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    or_none: bool = False,
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Accept a finite number within the bounds; `or_none` accepts None too."""
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("above", above), ("of at least", at_least), ("of at most", at_most))
        if bound is not None
    ]
    expected = f"a number {' and '.join(bounds)}" + (" or None" if or_none else "")

    def within(value: float) -> bool:
        return (
            math.isfinite(value)
            and (above is None or value > above)
            and (at_least is None or value >= at_least)
            and (at_most is None or value <= at_most)
        )

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and or_none:
            return
        if not isinstance(value, int | float) or isinstance(value, bool) or not within(value):
            raise complain(instance, attribute, expected, value)

    return check


def whole(*, at_least: int) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Accept a whole number that is not below `at_least`."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise complain(instance, attribute, f"a whole number of at least {at_least}", value)

    return check
