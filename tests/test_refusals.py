"""An answer outside 2xx: which error, the service's own words, the wait it asks for; never the secret."""

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from declutter_async import errors
from declutter_async._refusals import MAX_MESSAGE, read_refusal, retry_after, service_message
from declutter_async._wire import MAX_ANSWER, Answer, Call

SECRET = "key-that-must-never-show-0123456789"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY = 86_400.0

TEXTS = st.text(max_size=30) | st.sampled_from([SECRET, f"<b>{SECRET}</b>", " " * 50 + SECRET])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "errors", "code", SECRET]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


def message(body: object) -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service_message(raw, secret=SECRET)


# --- the service's own words ---


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "no photos left"}, "no photos left"),
        ({"message": "no photos left"}, "no photos left"),
        ({"detail": "no photos left"}, "no photos left"),
        ({"error": {"code": 7, "message": "no photos left"}}, "no photos left"),
        ({"error": "PAYMENT", "message": "no photos left"}, "PAYMENT: no photos left"),
        ({"error": True, "message": "no photos left", "detail": "buy some"}, "no photos left: buy some"),
        ({"error": {}, "message": None, "detail": "no photos left"}, "no photos left"),
        ({"errors": [{"message": "first"}, {"message": "second"}]}, "first; second"),
        ({"detail": [{"loc": ["body", "auto"], "msg": "not a bool"}]}, "not a bool"),
        ({"image_url": ["This field is required."]}, '{"image_url": ["This field is required."]}'),
        ({"code": 17}, '{"code": 17}'),
        (["no", "photos"], "no; photos"),
        ("no photos left", "no photos left"),
        (404, "404"),
        ({}, ""),
        ([], ""),
        (None, ""),
        (False, ""),
        (b"", ""),
        (b"no\n\n  photos\tleft\x00", "no photos left"),
        (b"\xef\xbb\xbfno photos left", "no photos left"),
        (b"\xef\xbb\xbf<p>no photos left</p>", "no photos left"),
        (b"no photos \xff left", "no photos \ufffd left"),
        (
            b"<html><style>p { color: red }</style><script>alert(1)</script><h1>502 Bad&nbsp;Gateway</h1><hr>nginx",
            "502 Bad Gateway nginx",
        ),
        (b"<html><title>502</title><script>var x = 1;", "502"),
        (b"<h1>502</h1><div class='", "502"),
        (b"[" * 100_000, ("[" * 100_000)[:MAX_MESSAGE]),
    ],
)
def test_the_words_are_found_in_any_shape(body: object, said: str) -> None:
    assert message(body) == said


def test_an_html_page_is_cut_short() -> None:
    page = b"<html><body>" + b"<p>Bad Gateway</p>" * 50_000
    said = message(page)
    assert said.startswith("Bad Gateway Bad Gateway")
    assert len(said) == MAX_MESSAGE


def check_words(body: bytes) -> None:
    said = service_message(body, secret=SECRET)
    assert len(said) <= MAX_MESSAGE
    assert SECRET not in said
    assert said.isprintable()
    assert said == " ".join(said.split()) or len(said) == MAX_MESSAGE


@given(JSON_VALUES)
def test_any_json_gives_a_short_printable_line_without_the_secret(data: object) -> None:
    check_words(json.dumps(data).encode())
    check_words(json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@given(
    st.lists(st.binary(max_size=20) | st.sampled_from([SECRET.encode(), b"<", b">", b"&#107;"])).map(b"".join)
)
def test_any_bytes_give_a_short_printable_line_without_the_secret(body: bytes) -> None:
    check_words(body)


@pytest.mark.parametrize("cut", [MAX_MESSAGE, 20_000, 100_000, MAX_ANSWER])
@pytest.mark.parametrize("spelling", ["plain", "escaped"])
@pytest.mark.parametrize(
    ("before", "filling", "after"),
    [
        ('{"error": "', " ", '"}'),
        ('{"error": "', "\\n", '"}'),
        ("<p>", " ", ""),
        ("<p>", "<!---->", ""),
        ("", "x", ""),
        ("", "x ", ""),
    ],
)
def test_no_part_of_the_secret_is_left_where_the_words_are_cut(
    cut: int, spelling: str, before: str, filling: str, after: str
) -> None:
    """Whatever stands before the secret, and wherever the text is cut: all of it is gone, or none of it shows."""
    escaped = spelling == "escaped" and before.startswith("{")
    secret = "".join(f"\\u{ord(c):04x}" for c in SECRET) if escaped else SECRET
    for back in (0, 12, 20, 34):
        text = before + filling * ((cut - back - len(before)) // len(filling)) + secret + after
        assert SECRET[:8] not in service_message(text.encode(), secret=SECRET)


def test_the_secret_is_replaced_and_the_rest_is_kept() -> None:
    assert message({"error": f"key {SECRET} is unknown"}) == "key *** is unknown"
    assert message(f"<p>key {SECRET} is unknown".encode()) == "key *** is unknown"
    assert message(f"<p>key &#107;{SECRET[1:]} is unknown".encode()) == "key *** is unknown"
    assert message({"weird": SECRET}) == '{"weird": "***"}'


# --- which error ---


@pytest.mark.parametrize(
    ("status", "call", "body", "cls"),
    [
        (400, "generate", {"error": "image_url cannot be fetched"}, errors.BadRequest),
        (401, "generate", {"error": "user unknown"}, errors.KeyRefused),
        (402, "generate", "", errors.NoPhotosLeft),
        (403, "get", "", errors.KeyRefused),
        (403, "generate", {"error": "Forbidden"}, errors.KeyRefused),
        (403, "get", {"error": "this user is not yours"}, errors.UnknownUser),
        (403, "generate", {"error": "No credits left for this user"}, errors.NoPhotosLeft),
        (403, "generate", {"message": "Your subscription has ended"}, errors.NoPhotosLeft),
        (404, "generate", {"error": "no such User"}, errors.UnknownUser),
        (404, "generate", "", errors.NotFound),
        (404, "get", {"error": "no such generation of this user"}, errors.NotFound),
        (404, "generate-variation", "", errors.NotFound),
        (405, "get", "", errors.BadRequest),
        (408, "get", "", errors.ServiceUnavailable),
        (409, "generate", "", errors.ServiceUnavailable),
        (413, "generate", "", errors.BadRequest),
        (422, "generate", "", errors.BadRequest),
        (429, "get", "", errors.RateLimited),
        (301, "get", "", errors.UnreadableAnswer),
        (101, "get", "", errors.UnreadableAnswer),
        (500, "get", "", errors.ServiceUnavailable),
        (599, "get", "", errors.ServiceUnavailable),
    ],
)
def test_the_status_and_the_words_choose_the_error(
    status: int, call: Call, body: object, cls: type[errors.RequestError]
) -> None:
    error = read_refusal(Answer(status, body=json.dumps(body).encode()), call, secret=SECRET)
    assert type(error) is cls
    assert error.status == status
    assert str(error).startswith(f"{call}: ")
    assert f"(HTTP {status})" in str(error)
    assert str(error).endswith(error.service_message)


@given(
    st.integers(100, 599).filter(lambda status: not 200 <= status < 300),
    st.sampled_from(["generate", "generate-variation", "get"]),
    st.dictionaries(
        st.sampled_from(["retry-after", "content-type", "location"]),
        st.text(max_size=20) | st.sampled_from([f"https://h/?key={SECRET}", "text/html"]),
    ),
    JSON_VALUES.map(lambda data: json.dumps(data).encode()) | st.binary(),
)
def test_any_answer_is_an_error_of_the_tree_that_keeps_the_secret(
    status: int, call: Call, headers: dict[str, str], body: bytes
) -> None:
    error = read_refusal(Answer(status, headers, body), call, secret=SECRET)
    assert isinstance(error, errors.RequestError)
    assert error.status == status
    assert error.money == "none"
    assert SECRET not in str(error) + repr(error) + repr(vars(error))
    assert len(str(error)) < MAX_MESSAGE + 200
    assert error.retry_after is None or 0.0 <= error.retry_after <= DAY


# --- the wait ---


def wait(header: str | None = None, body: object = None) -> float | None:
    headers = {} if header is None else {"retry-after": header}
    return retry_after(Answer(429, headers, json.dumps(body).encode()), NOW)


@given(st.floats(0, DAY) | st.integers(0, 86_400))
def test_seconds_in_the_header_or_the_body(seconds: float) -> None:
    assert wait(str(seconds)) == seconds
    assert wait(f"  {seconds} ") == seconds
    for name in ("retry_after", "retryAfter", "retry-after", "Retry-After"):
        assert wait(body={name: seconds}) == seconds
        assert wait(body={name: str(seconds)}) == seconds
        assert wait("soon", {name: seconds}) == seconds
    assert wait(str(seconds), {"retry_after": 7}) == seconds


@given(st.integers(-5_000, 80_000), st.integers(-14, 14))
def test_a_date_in_the_header(seconds: int, hours: int) -> None:
    when = NOW + timedelta(seconds=seconds)
    expected = max(float(seconds), 0.0)
    assert wait(format_datetime(when, usegmt=True)) == expected
    assert wait(when.strftime("%a, %d %b %Y %H:%M:%S -0000")) == expected
    local = when + timedelta(hours=hours)
    assert wait(f"{local:%a, %d %b %Y %H:%M:%S} {'-' if hours < 0 else '+'}{abs(hours):02}00") == expected


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        (None, None, None),
        ("", {}, None),
        ("soon", None, None),
        ("-5", None, 0.0),
        ("nan", None, None),
        ("inf", None, DAY),
        ("1e300", None, DAY),
        ("9" * 5000, None, DAY),
        ("Fri, 02 Jan 2026 99:99:99 GMT", None, None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None, DAY),
        ("Mon, 01 Jan 0001 00:00:00 +1400", None, 0.0),
        ("Fri, 02 Jan 2026 03:04:05 +9999999", None, None),
        (None, {"retry_after": None}, None),
        (None, {"retry_after": True}, None),
        (None, {"retry_after": "soon"}, None),
        (None, {"retry_after": "soon", "retryAfter": 3}, 3.0),
        (None, {"retry_after": math.nan}, None),
        (None, {"retry_after": 10**400}, None),
        (None, {"retry_after": [3]}, None),
        (None, {"retry_after": -3}, 0.0),
        (None, [{"retry_after": 3}], None),
        (None, 3, None),
    ],
)
def test_nonsense_is_no_wait_and_no_wait_is_endless(header: str | None, body: object, expected: Any) -> None:
    assert wait(header, body) == expected


@given(st.text(), st.binary())
@example("Mon, 01 Jan 0001 00:00:00 +2359", b"")
@example("0001-01-01", b"[" * 100_000)
def test_any_header_and_any_body_are_a_sane_wait_or_none(header: str, body: bytes) -> None:
    got = retry_after(Answer(503, {"retry-after": header}, body), NOW)
    assert got is None or 0.0 <= got <= DAY


def test_the_wait_reaches_the_error_counted_from_now() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    error = read_refusal(Answer(429, {"retry-after": soon}), "get", secret=SECRET)
    assert error.retry_after is not None
    assert 3000 < error.retry_after <= 3600
