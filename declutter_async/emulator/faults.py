"""What can go wrong, by name: the table `FAULTS`, and `Fault`, which says how often a fault strikes which calls."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import attrs

from declutter_async.emulator import breakage
from declutter_async.emulator._checks import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PAID_CALLS = frozenset({"generate", "generate-variation"})
API_CALLS = PAID_CALLS | {"get"}
CALLS = API_CALLS | {"result"}
_RESULT = frozenset({"result"})

When = Literal["before", "after"]
_EITHER: tuple[When, ...] = ("before", "after")
_BEFORE: tuple[When, ...] = ("before",)


@attrs.frozen
class FaultKind:
    """What a fault does.

    Attributes:
        text: one line that says it.
        write: what is written instead of, or after, the true answer.
        calls: the calls it can strike; `result` is the download of a result's picture.
        whens: whether it can strike "before" or "after" the request is carried out.
        answered: the request is carried out and answered as it should be; the fault is something beside it.
        uncertain: a client struck on a paid call cannot know whether it was charged.
    """

    text: str
    write: breakage.Writer = attrs.field(repr=False)
    calls: frozenset[str] = API_CALLS
    whens: tuple[When, ...] = _EITHER
    answered: bool = False
    uncertain: bool = True


FAULTS: Mapping[str, FaultKind] = MappingProxyType({
    "refused": FaultKind(
        "answers, then refuses new connections for 0.3 s",
        breakage.refuse, whens=_BEFORE, answered=True, uncertain=False,
    ),
    "stale": FaultKind(
        "answers and promises keep-alive, then closes the connection without saying so",
        breakage.go_stale, answered=True, uncertain=False,
    ),
    "rate_limited": FaultKind(
        "429 with Retry-After", breakage.rate_limited, whens=_BEFORE, uncertain=False,
    ),
    "reset": FaultKind("resets the connection (RST) without an answer", breakage.reset, CALLS),
    "closed": FaultKind("closes the connection (FIN) without an answer", breakage.closed),
    "hang": FaultKind("never answers; ends when the client goes", breakage.hang, CALLS),
    "half": FaultKind("half of the body that Content-Length promises, then closes", breakage.half, CALLS),
    "empty": FaultKind("200 without a body", breakage.empty),
    "garbage": FaultKind("200 with bytes that are neither JSON nor a picture", breakage.garbage, CALLS),
    "list": FaultKind("200 with a JSON list", breakage.json_list),
    "wrong_types": FaultKind("200 with the documented fields in wrong types", breakage.wrong_types),
    "bomb": FaultKind("200 with a small gzip body that expands to more than 64 MiB", breakage.bomb),
    "redirect": FaultKind("302 to another host name of this machine", breakage.redirect),
    "html_502": FaultKind("502 with an HTML page, as a proxy sends it", breakage.html_502, CALLS),
    "status_408": FaultKind("408 Request Timeout", breakage.status(408)),
    "status_409": FaultKind("409 Conflict", breakage.status(409)),
    "status_500": FaultKind("500 Internal Server Error", breakage.status(500), CALLS),
    "status_503": FaultKind("503 with Retry-After", breakage.status(503, retry_after=True)),
    "expired": FaultKind("403: the URL of the result has expired", breakage.expired, _RESULT, _BEFORE),
})  # fmt: skip


def _check_name(_: object, __: object, value: str) -> None:
    if value not in FAULTS:
        raise ValueError(f"Fault: there is no fault {value!r}; there are {', '.join(FAULTS)}")


def _usual_calls(fault: Fault) -> frozenset[str]:
    calls = FAULTS[fault.name].calls if fault.name in FAULTS else API_CALLS
    return calls & API_CALLS or calls


def _calls(value: str | Iterable[str]) -> frozenset[str]:
    return frozenset({value} if isinstance(value, str) else value)


@attrs.frozen
class Fault:
    """A fault of the table `FAULTS` that strikes a share of the requests.

    Attributes:
        name: one of `FAULTS`.
        rate: the share (0 to 1) of each call's requests that it strikes.
        on: the calls it strikes, of "generate", "generate-variation", "get" and "result"; as it stands the
            first three, or what the fault can strike.
        when: "before": the request is read and not carried out. "after": it is carried out, charged, and its
            generation runs; then the answer is broken.
    """

    name: str = attrs.field(validator=_check_name)
    rate: float = attrs.field(validator=number(at_least=0, at_most=1))
    on: frozenset[str] = attrs.field(
        kw_only=True, converter=_calls, default=attrs.Factory(_usual_calls, takes_self=True)
    )
    when: When = attrs.field(default="before", kw_only=True)

    def __attrs_post_init__(self) -> None:
        kind = FAULTS[self.name]
        if not self.on or self.on - kind.calls:
            raise ValueError(
                f"Fault: {self.name!r} can strike {', '.join(sorted(kind.calls))}, "
                f"not {', '.join(sorted(self.on - kind.calls)) or 'nothing'}",
            )
        if self.when not in kind.whens:
            raise ValueError(f"Fault: {self.name!r} can strike {' or '.join(kind.whens)}, not {self.when!r}")
