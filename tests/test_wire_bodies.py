"""What is sent: bodies exactly as documented, from arguments that were checked before."""

import json
import math
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from declutter_async import Photo
from declutter_async._wire import (
    check_url,
    check_uuid,
    encode,
    generate_body,
    get_body,
    variation_body,
)
from declutter_async.errors import InvalidArgument

SAMPLES = Path(__file__).parent / "samples"
USER = "5f0c2a1e-8b7d-4c36-9a42-d1e07b64f3c9"
ID = "c9a4d6f2-3b58-4e0f-8f61-27b0e5a9d814"
PHOTO = "https://photos.example.com/listings/4711/living-room.jpg"
MASK = "https://photos.example.com/listings/4711/living-room-mask.png"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


def result(expected: type[Exception], function: Any, *arguments: Any) -> Any:
    """What it returns, or the one error that it may raise."""
    try:
        return function(*arguments)
    except expected as error:
        return error


def test_the_bodies_are_those_of_the_samples() -> None:
    assert generate_body(USER, Photo(PHOTO)) == sample("generate_request")
    assert get_body(USER, ID) == sample("get_request")
    body = variation_body(USER, ID, original_url=PHOTO, mask_url=MASK, extra=None)
    assert body == sample("variation_request")
    assert variation_body(USER, uuid.UUID(ID), original_url=PHOTO, mask_url=MASK, extra=None) == body


@given(
    auto=st.sampled_from([None, True, False]),
    mask=st.sampled_from([None, MASK]),
    webhook=st.sampled_from([None, "https://app.example.com/hook"]),
)
def test_generate_sends_the_documented_fields_and_never_a_null(
    *, auto: bool | None, mask: str | None, webhook: str | None
) -> None:
    photo = Photo(PHOTO, auto=auto, mask_url=mask)
    if (auto is False and mask is None) or (auto is True and mask is not None):
        with pytest.raises(InvalidArgument, match="mask_url"):
            generate_body(USER, photo, webhook=webhook)
        return
    body = generate_body(USER, photo, webhook=webhook)
    expected = {
        "user_id": USER,
        "image_url": PHOTO,
        "auto": mask is None,
        "mask_url": mask,
        "webhook": webhook,
    }
    assert body == {name: value for name, value in expected.items() if value is not None}
    assert json.loads(encode(body)) == body


NAMED = st.dictionaries(
    st.text(max_size=8) | st.sampled_from(["auto", "user_id", "webhook"]), JSON_VALUES, max_size=3
)


@given(NAMED, NAMED)
def test_extra_is_merged_in_last_and_the_calls_own_after_the_photos(
    of_photo: dict[str, Any], of_call: dict[str, Any]
) -> None:
    plain = generate_body(USER, Photo(PHOTO))
    body = generate_body(USER, Photo(PHOTO, extra=of_photo), extra=of_call)
    assert list(body) == list(plain | of_photo | of_call)
    for name, value in (plain | of_photo | of_call).items():
        assert body[name] is value or body[name] == value
    assert get_body(USER, ID, extra=of_call).keys() == {"user_id", "generation_id"} | of_call.keys()


@pytest.mark.parametrize("auto", [0, 1, "false", 0.0, [], object()])
def test_auto_is_a_bool_or_nothing(auto: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^auto is .* expected True, False or None"):
        generate_body(USER, Photo(PHOTO, auto=auto))


@pytest.mark.parametrize("value", [[], "x", 5, {1}])
def test_extra_is_a_mapping(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^extra is "):
        get_body(USER, ID, extra=value)


CIRCLE: dict[str, Any] = {}
CIRCLE["again"] = CIRCLE


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        {1},
        b"x",
        CIRCLE,
        object(),
        {(1, 2): 3},
        pytest.param(nested(100_000), id="deep"),
        pytest.param(10**5000, id="huge"),
    ],
)
def test_what_json_has_no_words_for_is_refused_before_it_is_sent(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^extra holds what JSON cannot"):
        encode({"tomorrow": value})


URLS = [
    "https://h/p.jpg",
    "HTTP://h",
    "http://127.0.0.1:8000/x?y#z",
    "https://[::1]:1/p",
    "https://u:p@h/p",
    "https://exämple.com/ä",
]
NOT_URLS = [
    "",
    "h/p.jpg",
    "ftp://h/p",
    "file:///etc/passwd",
    "https://",
    "https:///p",
    "https://h:99999/",
    "https://h:x/",
    "https://[::1",
    "https://h/a b",
    "https://h/\n",
    "https://h/\x00",
    "https://h/\u00a0",
    "javascript:alert(1)",
    " https://h/",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_taken_as_it_is(url: str) -> None:
    assert check_url("image_url", url) == url


@pytest.mark.parametrize(
    "url", [*NOT_URLS, None, 5, b"https://h/", ["https://h/"], "https://h:x/" + "y" * 10_000]
)
def test_what_is_no_url_is_refused_by_name_and_shown_short(url: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^mask_url (is|has) ") as caught:
        check_url("mask_url", url)
    assert len(str(caught.value)) < 300


@given(st.text() | st.text().map("https://".__add__))
def test_any_text_is_a_url_or_an_invalid_argument(text: str) -> None:
    got = result(InvalidArgument, check_url, "proxy", text)
    assert got == text or isinstance(got, InvalidArgument)


def test_a_login_in_a_bad_url_is_not_shown() -> None:
    for bad in (
        "socks5://me:pass-word@h:1",
        "http://me:pass-word@h:x/",
        "ftp://" + "pass-word" * 40 + "@h/ x",
    ):
        with pytest.raises(InvalidArgument) as caught:
            check_url("proxy", bad)
        assert "pass-word" not in str(caught.value)


@given(st.uuids())
def test_uuids_are_taken_in_both_forms(value: uuid.UUID) -> None:
    assert check_uuid("generation_id", value) == check_uuid("generation_id", str(value)) == str(value)
    assert check_uuid("generation_id", str(value).upper()) == str(value).upper()


@given(st.text() | st.integers() | st.none() | st.binary() | st.uuids().map(lambda value: value.hex))
@example(ID + "\n")
@example(f"{{{ID}}}")
@example("x" * 1000)
@example("٣" * 8 + "-4444-4444-4444-121212121212")
def test_nothing_else_is_a_uuid(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^generation_id is .* expected a UUID") as caught:
        check_uuid("generation_id", value)
    assert len(str(caught.value)) < 1300
