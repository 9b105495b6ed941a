"""What an emulator does: everything that can be set, checked when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import attrs

from declutter_async.emulator._checks import complain, number, whole
from declutter_async.emulator.durations import Duration, Fixed, LogNormal
from declutter_async.emulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

WebhookMode = Literal["on", "late", "twice", "never"]

_ROUNDING = 1e-9


def _duration(value: Duration | float) -> Duration:
    # Whatever is neither is left to the validator, which knows the field's name.
    return Fixed(value) if isinstance(value, int | float) else value


def _check_duration(instance: object, attribute: attrs.Attribute[Duration], value: object) -> None:
    if not callable(getattr(value, "draw", None)):
        expected = "a number of seconds or a distribution such as LogNormal(90, 0.35)"
        raise complain(instance, attribute, expected, value)


def _check_webhooks(instance: object, attribute: attrs.Attribute[WebhookMode], value: object) -> None:
    if value not in get_args(WebhookMode):
        raise complain(instance, attribute, f"one of {', '.join(get_args(WebhookMode))}", value)


def _faults(value: Iterable[Fault] | Fault) -> tuple[Fault, ...]:
    return (value,) if isinstance(value, Fault) else tuple(value)


def _check_faults(
    instance: object, attribute: attrs.Attribute[tuple[Fault, ...]], value: tuple[Fault, ...]
) -> None:
    total: dict[str, float] = {}
    for fault in value:
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance] # callers err
            raise complain(instance, attribute, 'Fault objects, such as Fault("reset", 0.1)', fault)
        for call in fault.on:
            total[call] = total.get(call, 0.0) + fault.rate
    for call, rate in total.items():
        if rate > 1 + _ROUNDING:
            raise ValueError(
                f"{type(instance).__name__}: the rates of the faults on {call!r} add up to {rate:g}; "
                "they are shares of its requests, so they may not add up to more than 1",
            )


@attrs.frozen(kw_only=True)
class Behaviour:
    """How the emulator behaves; as it stands, like a service without trouble.

    The same seed gives the same durations, failures and ids for the same photos, whatever the order in which
    concurrent requests arrive: they follow from the seed, the path and query of the photo's URL, and how many
    times that photo has been accepted. Faults follow from the seed, the call, and how many times it was called.

    Attributes:
        seed: decides everything that is drawn, the API key and the user id included.
        duration: emulated seconds that a generation takes: a number, or a distribution (`Fixed`, `Uniform`,
            `LogNormal`, `Mixture`, or anything with their `draw` method).
        speed: emulated seconds that pass in one real second. It scales durations and the delays of webhooks,
            not rate limits, the lifetime of results, keep-alive or the pauses of faults: those are real.
        failure_rate: share (0 to 1) of generations that end FAILED and are refunded.
        photos: photos on the account at the start. A variation costs one photo, like a generation; what the
            real service takes for one depends on the subscription.
        requests_per_second: more than this over the three calls together is answered 429 with Retry-After,
            before any charge; None for no limit. As many as one second gives may come at once.
        webhooks: "on" delivers each once, "late" 30 emulated seconds after the end, "twice" does it twice,
            "never" not at all.
        result_lifetime: seconds for which the URL of a result works; later it answers 403 and `get` gives a
            fresh one. None for ever.
        keepalive: seconds for which an idle connection is kept; 0 closes it after each answer, without having
            said so.
        faults: what goes wrong, and how often.
    """

    seed: int = attrs.field(default=0, validator=whole(at_least=0))
    duration: Duration = attrs.field(
        factory=lambda: LogNormal(90, 0.35), converter=_duration, validator=_check_duration
    )
    speed: float = attrs.field(default=1.0, validator=number(above=0))
    failure_rate: float = attrs.field(default=0.0, validator=number(at_least=0, at_most=1))
    photos: int = attrs.field(default=1000, validator=whole(at_least=0))
    requests_per_second: float | None = attrs.field(default=None, validator=number(above=0, or_none=True))
    webhooks: WebhookMode = attrs.field(default="on", validator=_check_webhooks)
    result_lifetime: float | None = attrs.field(default=None, validator=number(above=0, or_none=True))
    keepalive: float = attrs.field(default=75.0, validator=number(at_least=0))
    faults: tuple[Fault, ...] = attrs.field(default=(), converter=_faults, validator=_check_faults)
