"""Settings: each wrong one is named, with what was expected; the key is never shown."""

import functools
import math
import uuid
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import AdaptivePolling, DeclutterSession, FixedPolling
from declutter_async._settings import SERVICE_URL, Settings, check_count, check_seconds, who
from declutter_async.errors import InvalidArgument

KEY = "key-that-must-never-show-0123456789"
USER = "3b241101-e2bb-4255-8caf-4136c566a962"


def settings(**changed: Any) -> Settings:
    values: dict[str, Any] = {
        "api_key": KEY,
        "user_id": USER,
        "base_url": "http://127.0.0.1:1",
        "in_flight": 32,
        "submitting": 16,
        "max_connections": 32,
        "requests_per_second": None,
        "connect_timeout": 10.0,
        "request_timeout": 30.0,
        "generation_timeout": 1800.0,
        "outage_timeout": 600.0,
        "polling": AdaptivePolling(),
        "observers": (),
        "connector": None,
        "proxy": None,
        "trust_env": True,
        "trace_configs": (),
    }
    return Settings(**values | changed)


# --- who asks ---


def test_the_arguments_come_before_the_environment() -> None:
    environment = {
        "DECLUTTER_API_KEY": " env-key\n",
        "DECLUTTER_USER_ID": f" {USER} ",
        "DECLUTTER_BASE_URL": " https://env.example.com/ ",
    }
    assert who(None, None, None, environment) == ("env-key", USER, "https://env.example.com")
    other = uuid.uuid4()
    given_ones = who(KEY, other, "http://127.0.0.1:8000/v2//", environment)
    assert given_ones == (KEY, str(other), "http://127.0.0.1:8000/v2")
    assert who(KEY, USER, None, {}) == (KEY, USER, SERVICE_URL)
    assert who(KEY, USER, None, {"DECLUTTER_BASE_URL": "  "})[2] == SERVICE_URL


def test_the_environment_is_read_when_a_session_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECLUTTER_API_KEY", KEY)
    monkeypatch.setenv("DECLUTTER_USER_ID", USER)
    monkeypatch.setenv("DECLUTTER_BASE_URL", "http://127.0.0.1:9")
    shown = repr(DeclutterSession())
    assert "http://127.0.0.1:9" in shown
    assert USER in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("api_key", "user_id", "environment", "named"),
    [
        (None, USER, {}, ["api_key", "DECLUTTER_API_KEY"]),
        ("", USER, {"DECLUTTER_API_KEY": KEY}, ["api_key", "DECLUTTER_API_KEY"]),
        (None, USER, {"DECLUTTER_API_KEY": " "}, ["api_key", "DECLUTTER_API_KEY"]),
        (KEY, None, {}, ["user_id", "DECLUTTER_USER_ID"]),
        (KEY, "", {}, ["user_id", "DECLUTTER_USER_ID"]),
        (KEY, "me", {}, ["user_id", "DECLUTTER_USER_ID", "UUID", "'me'"]),
        (KEY, None, {"DECLUTTER_USER_ID": "me"}, ["user_id", "DECLUTTER_USER_ID", "UUID", "'me'"]),
        (KEY, 5, {}, ["user_id", "int"]),
    ],
)
def test_what_is_missing_names_the_argument_and_the_variable(
    api_key: Any, user_id: Any, environment: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        who(api_key, user_id, None, environment)
    for name in named:
        assert name in str(caught.value)


@pytest.mark.parametrize(
    "bad", [KEY + "\n", "a " + KEY, KEY + "é", KEY + "\x00", KEY + "\x7f", KEY.encode(), 123, [KEY]]
)
def test_a_key_that_is_none_is_refused_and_not_shown(bad: Any) -> None:
    with pytest.raises(InvalidArgument, match="api_key") as caught:
        who(bad, USER, None, {})
    assert KEY not in str(caught.value)
    assert "123" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "iacrea.com",
        "ftp://h",
        "https://",
        "https://h?",
        "https://h/?a=b",
        "https://h#",
        "https://h#top",
        "https://me:pass-word@h",
        "https://@h",
        "socks5://me:pass-word@h",
        "https://h/a b",
        5,
    ],
)
def test_a_base_url_is_scheme_host_and_path_alone(url: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^base_url \(or DECLUTTER_BASE_URL\) ") as caught:
        who(KEY, USER, url, {})
    assert "pass-word" not in str(caught.value)


# --- how much at once ---


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(settings())
    assert settings().api_key == KEY


COUNTS = ["in_flight", "submitting", "max_connections"]
SECONDS = [
    "connect_timeout",
    "request_timeout",
    "generation_timeout",
    "outage_timeout",
    "requests_per_second",
]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.0, "5", None, True, math.inf])
def test_a_count_is_a_whole_number_of_at_least_one(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{name} is .*, expected a whole number of at least 1"):
        settings(**{name: value})


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan, "5", True, 10**400])
def test_seconds_are_a_positive_finite_number(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{name} is .*, expected .*: a finite number "):
        settings(**{name: value})


@pytest.mark.parametrize("name", [name for name in SECONDS if name != "outage_timeout"])
def test_only_an_outage_may_be_waited_out_for_no_time(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name} is 0"):
        settings(**{name: 0})
    assert settings(outage_timeout=0).outage_timeout == 0


@given(st.integers() | st.floats() | st.text(max_size=3) | st.none() | st.booleans())
def test_any_value_is_taken_or_refused_by_name(value: Any) -> None:
    def refused(check: Any, **options: Any) -> bool:
        try:
            check("it", value, **options)
        except InvalidArgument as error:
            return str(error).startswith("it is ")
        return False

    whole = type(value) is int
    number = type(value) in {int, float} and math.isfinite(value)
    assert refused(check_count, at_least=0) is not (whole and value >= 0)
    assert refused(check_seconds) is not (number and value > 0)
    assert refused(check_seconds, or_zero=True) is not (number and value >= 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy", "socks5://127.0.0.1:1"),
        ("proxy", "127.0.0.1:8080"),
        ("proxy", 8080),
        ("polling", 5.0),
        ("polling", FixedPolling(5.0).delay),
        ("connector", "tcp"),
    ],
)
def test_what_would_fail_later_is_refused_now(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name} "):
        settings(**{name: value})


def test_good_settings_are_taken() -> None:
    class Mine:
        def delay(self, age: float) -> float:
            return 1.0 + age

        def record(self, after: float, at: float, *, finished: bool) -> None: ...

    connector = functools.partial(aiohttp.TCPConnector, ssl=False)
    settings(polling=Mine(), connector=connector, proxy="http://127.0.0.1:1", observers=(print,))
    settings(requests_per_second=0.5, polling=FixedPolling(5.0), connect_timeout=1)
