"""A photo's identity, and the models' few rules."""

import pickle
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import (
    Generation,
    GenerationState,
    Outcome,
    OutcomeKind,
    Photo,
    Progress,
    Status,
)
from declutter_async.errors import KeyRefused
from declutter_async.models import url_without_signature

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-_", min_size=1, max_size=8)
VALUES = st.text("abcXYZ0189%+/._~", max_size=12)
OWN = st.sampled_from(["w", "size", "listing", "id", "v", "signature_style", "expires-on", "token", "page"])
PAIRS = st.lists(st.tuples(OWN, VALUES).map("=".join), max_size=4)
SIGNATURES = st.one_of(
    st.builds(
        lambda date, value: [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            f"X-Amz-Date={date}",
            "X-Amz-Expires=900",
            f"X-Amz-Signature={value}",
            f"x-amz-security-token={value}",
        ],
        VALUES,
        VALUES,
    ),
    VALUES.map(lambda value: ["AWSAccessKeyId=AKIA", "Expires=17", f"Signature={value}"]),
    VALUES.map(lambda value: ["X-Goog-Algorithm=GOOG4", f"X-Goog-Signature={value}", "X-Goog-Date=1"]),
    VALUES.map(lambda value: ["GoogleAccessId=a@b", "Expires=17", f"Signature={value}"]),
    VALUES.map(lambda value: [f"Policy={value}", f"Signature={value}", "Key-Pair-Id=K"]),
    VALUES.map(lambda value: ["sv=2022", "sr=b", "sp=r", "st=1", "se=2", "spr=https", f"sig={value}"]),
    st.just([]),
)
PATHS = st.text("abc/XYZ.0189-", max_size=12).map("https://photos.example.com/".__add__)
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
EXTRAS = st.none() | st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=4), max_size=3
)


def url_of(path: str, pairs: list[str]) -> str:
    return path + ("?" + "&".join(pairs) if pairs else "")


@given(PATHS, PAIRS, SIGNATURES, SIGNATURES, st.data())
def test_urls_that_differ_in_their_signature_alone_are_one_photo(
    path: str, own: list[str], one: list[str], other: list[str], data: st.DataObject
) -> None:
    def mixed(signature: list[str]) -> list[str]:
        places = sorted(data.draw(st.integers(0, len(own))) for _ in signature)
        pairs, left = [], list(zip(places, data.draw(st.permutations(signature)), strict=True))
        for index in range(len(own) + 1):
            pairs += [pair for place, pair in left if place == index]
            pairs += own[index : index + 1]
        return pairs

    first = Photo(url_of(path, mixed(one)))
    second = Photo(url_of(path, mixed(other)) + "#fragment")
    assert first.key == second.key == Photo(url_of(path, own)).key
    assert url_without_signature(first.url) == url_of(path, own)


@given(PATHS, PAIRS, SIGNATURES, PATHS, PAIRS, SIGNATURES)
def test_any_other_difference_of_urls_makes_another_photo(
    path: str, own: list[str], one: list[str], path2: str, own2: list[str], other: list[str]
) -> None:
    same = (path, own) == (path2, own2)
    assert (Photo(url_of(path, own + one)).key == Photo(url_of(path2, own2 + other)).key) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h/p?se=1&w=2", "https://h/p?se=2&w=2"),  # `se` without `sig`: the caller's own
        ("https://h/p?policy=1", "https://h/p?policy=2"),
        ("https://h/p?sig=1", "https://h/p?sig=2"),
        ("https://h/p?expires-on=1", "https://h/p?expires-on=2"),
        ("https://h/p?a=1&b=2", "https://h/p?b=2&a=1"),
        ("https://h/P", "https://h/p"),
        ("https://h/p", "http://h/p"),
        ("https://h/p?a", "https://h/p?a="),
    ],
)
def test_a_name_that_only_looks_like_a_signature_counts(one: str, other: str) -> None:
    assert Photo(one).key != Photo(other).key


OPTIONS = st.fixed_dictionaries(
    {
        "auto": st.sampled_from([None, True, False]),
        "mask_url": st.sampled_from(
            [None, "https://h/m.png", "https://h/m.png?X-Amz-Date=1", "https://h/n.png"]
        ),
        "extra": EXTRAS,
    }
)


def asked_for(options: dict[str, Any]) -> tuple[object, ...]:
    mask = options["mask_url"] and options["mask_url"].partition("?")[0]
    automatic = mask is None if options["auto"] is None else options["auto"]
    return automatic, mask, repr(sorted((options["extra"] or {}).items(), key=lambda pair: pair[0]))


@given(OPTIONS, OPTIONS)
def test_the_options_are_what_is_asked_beside_the_url(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = Photo("https://h/p", **one), Photo("https://h/p", **other)
    same = asked_for(one) == asked_for(other)
    assert (first.options == second.options) is same
    assert (first.key == second.key) is same
    explicit = Photo("https://h/p", key="mine", **one)
    assert explicit.key == "mine"
    assert explicit.options == first.options


@given(st.text(min_size=1))
def test_an_explicit_key_is_taken_as_it_is_and_an_empty_one_is_none(key: str) -> None:
    assert Photo("https://h/p", key=key).key == key
    assert Photo("https://h/p", key="").key == Photo("https://h/p").key


CIRCLE: dict[str, Any] = {}
CIRCLE["again"] = CIRCLE


@pytest.mark.parametrize(
    "photo",
    [
        Photo("https://h/p", extra={1: 2, "a": 3}),  # type: ignore[dict-item]
        Photo("https://h/p", extra={"a": {None: 2, "b": 3}}),  # type: ignore[dict-item]
        Photo("https://h/p", extra={"a": object()}),  # type: ignore[dict-item]
        Photo("https://h/p", extra={"a": float("nan")}),
        Photo("https://h/p", extra=CIRCLE),
        Photo("https://h/p", extra=[1]),  # type: ignore[arg-type]
        Photo("https://h/\ud800"),
        Photo(None),  # type: ignore[arg-type]
        Photo("https://h/p", mask_url=7),  # type: ignore[arg-type]
        Photo("https://h/p", key=0),  # type: ignore[arg-type]
    ],
    ids=lambda photo: repr(photo)[:40].encode("ascii", "replace").decode(),
)
def test_a_bad_row_has_a_key_all_the_same(photo: Photo) -> None:
    assert isinstance(photo.key, str)
    assert isinstance(photo.options, str)


def test_a_row_number_is_a_key() -> None:
    assert Photo("https://h/p", key=0).key == "0"  # type: ignore[arg-type]
    assert Photo("https://h/p", key=4711).key == "4711"  # type: ignore[arg-type]


def test_a_dict_that_is_filled_anew_for_every_row_changes_no_earlier_photo() -> None:
    extra, labels = {"strength": 1}, {"room": "kitchen"}
    photo = Photo("https://h/p", extra=extra, labels=labels)
    key = photo.key
    extra["strength"], labels["room"] = 2, "hall"
    assert photo.key == key
    assert photo.extra == {"strength": 1}
    assert photo.labels == {"room": "kitchen"}


def test_labels_are_no_part_of_the_identity() -> None:
    assert Photo("https://h/p", labels={"room": "hall"}).key == Photo("https://h/p").key


@given(PATHS, OPTIONS, st.dictionaries(NAMES, LEAVES, max_size=2))
def test_photos_are_frozen_hashable_and_travel(
    url: str, options: dict[str, Any], labels: dict[str, Any]
) -> None:
    photo = Photo(url, labels=labels, **options)
    twin = pickle.loads(pickle.dumps(photo))
    assert twin == photo
    assert hash(twin) == hash(photo)
    assert twin.key == photo.key
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        photo.url = "https://other"  # type: ignore[misc]


@pytest.mark.parametrize("status", Status)
def test_only_two_states_are_finished(status: Status) -> None:
    assert status.finished is (status.value in {"SUCCEEDED", "FAILED"})
    assert GenerationState("x", status).finished is status.finished


def test_an_outcome_knows_its_id_from_its_generation_or_without_one() -> None:
    photo = Photo("https://h/p")
    assert Outcome(photo=photo, kind=OutcomeKind.SKIPPED).generation_id is None
    generation = Generation("g", 7)
    outcome = Outcome(photo=photo, kind=OutcomeKind.DELIVERED, generation=generation)
    assert outcome.generation_id == "g"
    assert attrs.evolve(outcome, files=(Path("a.jpg"),)).generation_id == "g"
    assert Outcome(photo=photo, kind=OutcomeKind.UNFINISHED, generation_id="shown").generation_id == "shown"
    assert outcome == attrs.evolve(outcome, error=KeyRefused("errors have no equality of their own"))


def test_progress_is_done_with_what_has_an_outcome() -> None:
    kinds = {kind: number for number, kind in enumerate(OutcomeKind)}
    progress = Progress(
        total=None,
        read=20,
        kinds=kinds,
        submitting=0,
        running=0,
        spent=0,
        balance=None,
        seconds=1.0,
        rate=0.0,
        eta=None,
    )
    assert progress.done == 10
