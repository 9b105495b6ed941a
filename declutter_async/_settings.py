"""The settings of a session, checked before anything is opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

import attrs

from declutter_async._transport import ConnectorFactory
from declutter_async._wire import check_url, check_uuid
from declutter_async.errors import InvalidArgument
from declutter_async.events import Observer
from declutter_async.polling import PollingPolicy

if TYPE_CHECKING:
    import aiohttp

SERVICE_URL = "https://iacrea.com"


@attrs.frozen(kw_only=True)
class Settings:
    """Who asks, where, and how much at once. Raises `InvalidArgument`, naming the argument."""

    api_key: str = attrs.field(repr=False)
    user_id: str
    base_url: str
    in_flight: int
    submitting: int
    max_connections: int
    requests_per_second: float | None
    connect_timeout: float
    request_timeout: float
    generation_timeout: float
    outage_timeout: float
    polling: PollingPolicy
    observers: tuple[Observer, ...]
    connector: ConnectorFactory | None
    proxy: str | None = attrs.field(repr=False)
    trust_env: bool
    trace_configs: tuple[aiohttp.TraceConfig, ...]

    def __attrs_post_init__(self) -> None:
        for name in ("in_flight", "submitting", "max_connections"):
            check_count(name, getattr(self, name), at_least=1)
        for name in ("connect_timeout", "request_timeout", "generation_timeout"):
            check_seconds(name, getattr(self, name))
        check_seconds("outage_timeout", self.outage_timeout, or_zero=True)
        if self.requests_per_second is not None:
            check_seconds("requests_per_second", self.requests_per_second, unit="requests a second")
        if self.proxy is not None:
            check_url("proxy", self.proxy)
        if not all(callable(getattr(self.polling, name, None)) for name in ("delay", "record")):
            raise InvalidArgument(
                f"polling is {self.polling!r}, expected a PollingPolicy such as FixedPolling(5.0)"
            )
        if self.connector is not None and not callable(self.connector):
            raise InvalidArgument(
                f"connector is {type(self.connector).__name__}, expected a factory of aiohttp connectors"
            )


def as_observers(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    """Callables that each take one event, or `InvalidArgument`."""
    if not isinstance(observers, Iterable):
        raise InvalidArgument(
            f"observers is {type(observers).__name__}, expected an iterable of callables: observers=[observer]"
        )
    checked = tuple(observers)
    for observer in checked:
        if not callable(observer):
            raise InvalidArgument(
                f"observers holds {type(observer).__name__}, expected callables of one event"
            )
    return checked


def who(
    api_key: str | None,
    user_id: str | UUID | None,
    base_url: str | None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[str, str, str]:
    """Key, user and address, from the arguments or else from the environment."""
    key = api_key if api_key is not None else environment.get("DECLUTTER_API_KEY", "").strip()
    user = user_id if user_id is not None else environment.get("DECLUTTER_USER_ID", "").strip()
    url = (
        base_url if base_url is not None else environment.get("DECLUTTER_BASE_URL", "").strip() or SERVICE_URL
    )
    if not key:
        raise InvalidArgument("api_key is missing: pass api_key=, or set DECLUTTER_API_KEY")
    if not _could_be_a_key(key):
        raise InvalidArgument(
            "api_key (or DECLUTTER_API_KEY) is no text, or has characters that no key has; it is not shown here"
        )
    if not user:
        raise InvalidArgument(
            "user_id is missing: pass user_id=, or set DECLUTTER_USER_ID (a UUID, from the service's Developer Space)"
        )
    return key, check_uuid("user_id (or DECLUTTER_USER_ID)", user), _check_base(url)


def _could_be_a_key(key: object) -> bool:
    return isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key


def _check_base(url: str) -> str:
    name = "base_url (or DECLUTTER_BASE_URL)"
    parts = urlsplit(check_url(name, url))
    if "?" in url or "#" in url or "@" in parts.netloc:
        raise InvalidArgument(
            f"{name} has a query, a fragment or a login in it, expected scheme, host and path alone"
        )
    return url.rstrip("/")


def check_count(name: str, value: object, *, at_least: int) -> None:
    """A whole number, at least so much, or `InvalidArgument`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise InvalidArgument(f"{name} is {value!r}, expected a whole number of at least {at_least}")


def check_seconds(name: str, value: object, *, unit: str = "seconds", or_zero: bool = False) -> None:
    """A positive finite number, or `InvalidArgument`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        good = 0 < value <= sys.float_info.max or (or_zero and value == 0)
    else:
        good = False
    if not good:
        least = "of 0 or more" if or_zero else "above 0"
        raise InvalidArgument(f"{name} is {value!r}, expected {unit}: a finite number {least}")


class Default:
    """The type of `DEFAULT`: the session's own setting."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default()


def check_timeout(timeout: float | Default | None) -> None:
    """Seconds, None (for ever) or the session's own, or `InvalidArgument`."""
    if timeout is not None and not isinstance(timeout, Default):
        check_seconds("timeout", timeout, or_zero=True)
