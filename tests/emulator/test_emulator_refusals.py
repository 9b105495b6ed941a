"""What is refused: with which status, and never charged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from emulator_client import Studio, calling, run_studio
from hypothesis import given
from hypothesis import strategies as st

from declutter_async.emulator import Behaviour, Emulator
from declutter_async.emulator.clock import TokenBucket
from declutter_async.emulator.validation import (
    RefusalError,
    mentioned,
    read_generate,
    read_get,
    read_variation,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_UUID = "5f0c2a1e-8b7d-4c36-9a42-d1e07b64f3c9"
_PHOTO = "https://photos.example.com/1.jpg"
_GENERATE = {"user_id": _UUID, "image_url": _PHOTO, "auto": True}
_VARY = {"user_id": _UUID, "generation_id": _UUID, "original_url": _PHOTO, "mask_url": _PHOTO}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with run_studio() as made:
        yield made


def refusal(read: Callable[[bytes], object], body: object) -> str:
    with pytest.raises(RefusalError) as caught:
        read(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": ...}, "user_id is missing"),
        ({"user_id": None}, "user_id must be a string"),
        ({"user_id": "me"}, "user_id must be a UUID"),
        ({"user_id": _UUID + "0"}, "user_id must be a UUID"),
        ({"image_url": ...}, "image_url is missing"),
        ({"image_url": 7}, "image_url must be a string"),
        ({"image_url": "ftp://photos.example.com/1.jpg"}, "image_url must be an http or https URL"),
        ({"image_url": "/1.jpg"}, "image_url must be an http or https URL"),
        ({"image_url": "http://"}, "image_url must be an http or https URL"),
        ({"image_url": "http://host:99999999/"}, "image_url must be an http or https URL"),
        ({"image_url": "http://ho st/"}, "image_url must be an http or https URL"),
        ({"image_url": "http://host/\ud800"}, "image_url must be an http or https URL"),
        ({"auto": "yes"}, "auto must be true or false"),
        ({"auto": None}, "auto must be true or false"),
        ({"auto": ...}, "without auto a mask is needed"),
        ({"auto": False}, "without auto a mask is needed"),
        ({"mask_url": _PHOTO}, "auto is true and a mask_url is given"),
        ({"mask_url": None}, "mask_url must be a string"),
        ({"webhook": None}, "webhook must be a string"),
        ({"webhook": "host"}, "webhook must be an http or https URL"),
    ],
)
def test_a_wrong_field_of_generate_is_named(change: dict[str, Any], message: str) -> None:
    fields = {name: value for name, value in (_GENERATE | change).items() if value is not ...}
    assert message in refusal(read_generate, fields)


@pytest.mark.parametrize("name", ["user_id", "generation_id", "original_url", "mask_url"])
def test_every_field_of_a_variation_is_needed(name: str) -> None:
    assert refusal(read_variation, {k: v for k, v in _VARY.items() if k != name}) == f"{name} is missing"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"user_id": NaN}', b"[" * 60_000, b"1" * 5000],
    ids=["empty", "open", "no text", "NaN", "deep", "long number"],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert "not JSON" in refusal(read_get, body)
    assert mentioned(body) == (None, None)


@given(body=_JSON)
def test_no_json_at_all_makes_trouble(body: object) -> None:
    for read in (read_generate, read_variation, read_get):
        assert refusal(read, body)
    wrapped = {
        "user_id": body,
        "generation_id": body,
        "image_url": body,
        "original_url": body,
        "mask_url": body,
    }
    for read in (read_generate, read_variation, read_get):
        assert refusal(read, wrapped)
    mentioned(json.dumps(wrapped).encode())


def test_what_is_sound_is_read() -> None:
    read = read_generate(json.dumps(_GENERATE | {"user_id": _UUID.upper(), "webhook": _PHOTO}).encode())
    assert (read.user_id, read.image_url, read.mask_url, read.webhook) == (_UUID, _PHOTO, None, _PHOTO)
    masked = read_generate(json.dumps({"user_id": _UUID, "image_url": _PHOTO, "mask_url": _PHOTO}).encode())
    assert masked.mask_url == _PHOTO
    assert mentioned(json.dumps(_VARY).encode()) == (_PHOTO, _UUID)


def test_the_bucket_lets_through_what_one_second_gives() -> None:
    bucket = TokenBucket(3)
    waits = [bucket.wait() for _ in range(4)]
    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= 1 / 3
    assert [TokenBucket(0.1).wait() for _ in range(2)] == [0, 0]


@pytest.mark.anyio
async def test_headers_and_account() -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        body = {"user_id": emulator.user_id, "generation_id": _UUID}
        for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": "w\u00f6rong"}):
            refused = await ask.post("get", json=body, headers=headers)
            assert (refused.status, "x-api-key" in refused.body["error"]) == (401, True)
            assert emulator.api_key not in str(refused)
        assert (await ask.post("get", data="x" * 10)).status == 415
        large = await ask.post("get", data=b"x" * (64 * 2**10 + 1))
        assert (large.status, large.body["error"][-9:]) == (413, "Too Large")  # Python renamed it
        key = {"x-api-key": emulator.api_key, "Content-Type": "application/json; charset=utf-8"}
        assert (await ask.post("get", data=json.dumps(body), headers=key)).status == 404
        broken = await ask.post("get", data=b"no gzip", headers=key | {"Content-Encoding": "gzip"})
        assert (broken.status, broken.body) == (400, {"error": "the body is not JSON"})
        unknown = await ask("get", user_id=_UUID, generation_id=_UUID)
        assert (unknown.status, unknown.body) == (403, {"error": "unknown user_id"})
        missing = await ask("get", generation_id=_UUID)
        assert (missing.status, missing.body) == (404, {"error": "unknown generation_id"})
        assert emulator.account.requests == {"get": 9}
        for path in ("generate", "generate-variation", "get"):
            async with ask.session.get(f"{emulator.url}/api/declutter_total/{path}") as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
                assert await answer.json() == {"error": "Method Not Allowed"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("photo", "mask", "message"),
    [
        ("/missing.jpg", None, "image_url could not be fetched: it was answered 404"),
        ("/page.html", None, "image_url: not a picture that can be used"),
        ("/cut.jpg", None, "image_url: not a picture that can be used"),
        ("/huge.jpg", None, "image_url: larger than 32 MiB"),
        ("/broken.gz", None, "image_url could not be fetched"),
        ("/round.jpg", None, "image_url could not be fetched: TooManyRedirects"),
        ("/far.jpg", None, "image_url could not be fetched"),
        ("/photo.jpg", "/small_mask.png", "mask_url: the mask is 32 x 32 pixels, the photo 64 x 48"),
        ("/photo.jpg", "/page.html", "mask_url: not a picture that can be used"),
    ],
)
async def test_a_picture_that_cannot_be_used_is_refused_before_the_charge(
    studio: Studio, photo: str, mask: str | None, message: str
) -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        how = {"auto": True} if mask is None else {"mask_url": studio.url + mask}
        refused = await ask("generate", image_url=studio.url + photo, **how)
        assert refused.status == 400
        assert refused.body["error"].startswith(message)
        assert emulator.account.charged == 0


@pytest.mark.anyio
async def test_a_host_that_is_not_there_is_refused() -> None:
    async with Emulator() as gone:
        url = gone.url
    async with Emulator() as emulator, calling(emulator) as ask:
        refused = await ask("generate", image_url=f"{url}/photo.jpg", auto=True)
        assert (refused.status, emulator.account.charged) == (400, 0)


@pytest.mark.anyio
async def test_png_and_moved_pictures_are_taken(studio: Studio) -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        for name in ("photo.png", "moved.jpg"):
            assert (await ask("generate", image_url=f"{studio.url}/{name}", auto=True)).status == 200


@pytest.mark.anyio
async def test_an_empty_account_is_told_so(studio: Studio) -> None:
    async with Emulator(Behaviour(photos=1, duration=0)) as emulator, calling(emulator) as ask:
        first = await ask("generate", image_url=studio.photo, auto=True)
        second = await ask("generate", image_url=studio.photo, auto=True)
        assert (first.body["remaining_photos"], second.status) == (0, 402)
        third = await ask(
            "generate-variation",
            generation_id=first.body["generation_id"],
            original_url=studio.photo,
            mask_url=studio.mask,
        )
        assert (third.status, third.body) == (402, {"error": "no photos left on the account"})
        assert emulator.account.charged == 1


@pytest.mark.anyio
async def test_only_what_has_succeeded_can_be_varied(studio: Studio) -> None:
    async with Emulator() as emulator, calling(emulator) as ask:
        running = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        urls = {"original_url": studio.photo, "mask_url": studio.mask}
        refused = await ask("generate-variation", generation_id=running, **urls)
        assert (refused.status, "not succeeded" in refused.body["error"]) == (400, True)
        assert (await ask("generate-variation", generation_id=_UUID, **urls)).status == 404
        assert emulator.account.charged == 1


@pytest.mark.anyio
async def test_too_many_requests_are_told_to_wait_and_not_charged(studio: Studio) -> None:
    async with Emulator(Behaviour(requests_per_second=0.01)) as emulator, calling(emulator) as ask:
        assert (await ask("get", generation_id=_UUID)).status == 404
        refused = await ask("generate", image_url=studio.photo, auto=True)
        assert refused.status == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 100
        assert emulator.account.charged == 0
        assert studio.asked == []
