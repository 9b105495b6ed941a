"""What is read: whatever comes back is a model or an `UnreadableAnswer`, and an id in it is not lost."""

import gzip
import json
import math
import re
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from declutter_async import Generation, GenerationState, Status
from declutter_async._wire import (
    MAX_ANSWER,
    Answer,
    decompress,
    read_generation,
    read_state,
    shown_generation_id,
    unknown_status_word,
)
from declutter_async.errors import UnreadableAnswer

SAMPLES = Path(__file__).parent / "samples"
ID = "c9a4d6f2-3b58-4e0f-8f61-27b0e5a9d814"
VARIATION = "7d13f8ab-40ce-4b92-a6e7-5c28d90b1f36"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
# Objects that are nearly what is documented: this is where mistakes are found.
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "generation_id": st.just(ID) | JSON_VALUES,
        "remaining_photos": st.integers() | st.floats() | JSON_VALUES,
        "project_id": st.just(ID) | JSON_VALUES,
        "status": st.sampled_from(["SUCCEEDED", "failed", "Queued"]) | JSON_VALUES,
        "urls": st.lists(st.just("https://h/r.jpg") | JSON_VALUES, max_size=3) | JSON_VALUES,
        "variationNumber": st.integers() | st.floats() | JSON_VALUES,
        "tomorrow": JSON_VALUES,
    },
)


def sampled(name: str) -> Answer:
    return Answer(200, body=(SAMPLES / f"{name}.json").read_bytes())


def answer(data: object) -> Answer:
    return Answer(200, body=json.dumps(data).encode())


def result(expected: type[Exception], function: Any, *arguments: Any) -> Any:
    """What it returns, or the one error that it may raise."""
    try:
        return function(*arguments)
    except expected as error:
        return error


def test_the_sample_answers_are_read_as_documented() -> None:
    project = "0e7b94c3-62fd-4a1b-b5d8-913ac86f2e70"
    assert read_generation(sampled("generate_answer")) == Generation(ID, 100, project)
    assert read_generation(sampled("variation_answer")) == Generation(VARIATION, 99, None)
    result = f"https://results.example.com/{ID}.jpg"
    states = {
        "starting": GenerationState(ID, Status.STARTING, (), 0),
        "processing": GenerationState(ID, Status.PROCESSING, (), 0),
        "succeeded": GenerationState(ID, Status.SUCCEEDED, (result,), 2),
        "failed": GenerationState(ID, Status.FAILED, (), 0),
    }
    for name, state in states.items():
        assert read_state(sampled(f"get_answer_{name}"), ID) == state


GENERATION_FIELDS = "generation_id|remaining_photos|project_id"
STATE_FIELDS = r"status|urls|urls\[\d+\]|variationNumber"


def checked_generation(got: Generation) -> None:
    assert isinstance(got.generation_id, str)
    assert got.generation_id
    assert type(got.remaining_photos) is int
    assert got.project_id is None or isinstance(got.project_id, str)


def checked_state(got: GenerationState) -> None:
    assert got.generation_id == ID
    assert isinstance(got.status, Status)
    assert type(got.urls) is tuple
    assert all(type(url) is str for url in got.urls)
    assert all(got.urls)
    assert got.variation_number is None or type(got.variation_number) is int


def read_both(given_answer: Answer) -> None:
    """Each of the two readers gives its model, or `UnreadableAnswer`, which says where; nothing else."""
    generation = result(UnreadableAnswer, read_generation, given_answer)
    state = result(UnreadableAnswer, read_state, given_answer, ID)
    for got, fields in ((generation, GENERATION_FIELDS), (state, STATE_FIELDS)):
        if isinstance(got, UnreadableAnswer):
            assert got.where is not None
            assert re.fullmatch(rf"\$(\.({fields}))?", got.where)
            assert str(got).endswith(f"@ {got.where}")
            assert got.status == given_answer.status
    if isinstance(generation, Generation):
        checked_generation(generation)
    if isinstance(state, GenerationState):
        checked_state(state)
        if state.status is Status.UNKNOWN:
            assert 0 < len(unknown_status_word(given_answer)) <= 60


@given(JSON_VALUES | NEARLY)
def test_any_json_is_a_model_or_unreadable(data: object) -> None:
    read_both(answer(data))


@given(st.binary() | st.text().map(str.encode), st.sampled_from(["", "it is cut short"]))
@example(b"", "")
@example(b"   ", "")
@example(b"[" * 100_000, "")
@example(b'{"status": ' + b"9" * 5000 + b"}", "")
@example('{"status": "STARTING"}'.encode("utf-16"), "")
@example(b"\xef\xbb\xbf" + b'{"status": "STARTING"}', "")
@example(b'{"generation_id": "\\ud800", "remaining_photos": 1}', "")
@example(b'{"generation_id": "x", "remaining_photos": 1e400}', "")
@example(b'{"generation_id": "x", "remaining_photos": -Infinity}', "")
def test_any_bytes_are_a_model_or_unreadable(body: bytes, trouble: str) -> None:
    read_both(Answer(200, body=body, trouble=trouble))


@given(st.integers(0, len((SAMPLES / "get_answer_succeeded.json").read_bytes().rstrip()) - 1))
def test_an_answer_cut_anywhere_is_unreadable(length: int) -> None:
    cut = attrs.evolve(sampled("get_answer_succeeded"), body=sampled("get_answer_succeeded").body[:length])
    with pytest.raises(UnreadableAnswer):
        read_state(cut, ID)


@given(
    st.sampled_from(["starting", "Processing", "SUCCEEDED", "failed", " Failed "]),
    st.dictionaries(st.text(max_size=5).map("x-".__add__), JSON_VALUES, max_size=3),
)
def test_any_letter_case_and_unknown_fields_are_fine(word: str, more: dict[str, Any]) -> None:
    state = read_state(answer({**more, "status": word}), ID)
    assert state == GenerationState(ID, Status(word.strip().upper()))


@given(st.text(min_size=1).filter(lambda word: word.strip().upper() not in Status.__members__))
def test_an_unknown_word_means_not_finished(word: str) -> None:
    given_answer = answer({"status": word})
    state = read_state(given_answer, ID)
    assert state.status is Status.UNKNOWN
    assert not state.finished
    assert unknown_status_word(given_answer) == word[:60]


@given(st.integers(-(2**53), 2**53))
def test_a_number_may_come_as_a_float(number: int) -> None:
    data = {"generation_id": ID, "remaining_photos": float(number)}
    assert read_generation(answer(data)) == Generation(ID, number)


GOOD = {"generation_id": ID, "remaining_photos": 100, "project_id": ID}
DONE = {"status": "SUCCEEDED", "urls": ["https://h/r.jpg", "https://h/s.jpg"], "variationNumber": 2}
BROKEN = [
    (read_generation, [1], "$", "expected an object, got a list"),
    (read_generation, "text", "$", "expected an object, got text"),
    (read_generation, None, "$", "expected an object, got null"),
    (read_generation, 5, "$", "expected an object, got a number"),
    (read_generation, True, "$", "expected an object, got true or false"),
    (read_generation, {}, "$.generation_id", "it is missing"),
    (read_generation, {"generation_id": ID}, "$.remaining_photos", "it is missing"),
    (read_generation, GOOD | {"generation_id": 5}, "$.generation_id", "expected text, got a number"),
    (read_generation, GOOD | {"generation_id": ""}, "$.generation_id", "expected text, got empty text"),
    (read_generation, GOOD | {"generation_id": None}, "$.generation_id", "expected text, got null"),
    (read_generation, GOOD | {"remaining_photos": "9"}, "$.remaining_photos", "a whole number, got text"),
    (read_generation, GOOD | {"remaining_photos": True}, "$.remaining_photos", "got true or false"),
    (read_generation, GOOD | {"remaining_photos": 1.5}, "$.remaining_photos", "got a number"),
    (read_generation, GOOD | {"remaining_photos": math.nan}, "$.remaining_photos", "got a number"),
    (read_generation, GOOD | {"remaining_photos": math.inf}, "$.remaining_photos", "got a number"),
    (read_generation, GOOD | {"remaining_photos": None}, "$.remaining_photos", "got null"),
    (read_generation, GOOD | {"project_id": {}}, "$.project_id", "expected text, got an object"),
    (read_state, {}, "$.status", "it is missing"),
    (read_state, DONE | {"status": None}, "$.status", "expected text, got null"),
    (read_state, DONE | {"urls": "https://h"}, "$.urls", "expected a list, got text"),
    (read_state, DONE | {"urls": {}}, "$.urls", "expected a list, got an object"),
    (read_state, DONE | {"urls": [None]}, "$.urls[0]", "expected text, got null"),
    (read_state, DONE | {"urls": ["https://h/r", 5]}, "$.urls[1]", "expected text, got a number"),
    (read_state, DONE | {"urls": ["https://h/r", ""]}, "$.urls[1]", "expected text, got empty text"),
    (read_state, DONE | {"urls": [["https://h/r"]]}, "$.urls[0]", "expected text, got a list"),
    (read_state, DONE | {"variationNumber": "2"}, "$.variationNumber", "a whole number, got text"),
]


@pytest.mark.parametrize(("read", "data", "where", "why"), BROKEN)
def test_what_cannot_be_read_says_where_and_why(read: Any, data: object, where: str, why: str) -> None:
    arguments = (answer(data),) if read is read_generation else (answer(data), ID)
    with pytest.raises(UnreadableAnswer) as caught:
        read(*arguments)
    assert caught.value.where == where
    assert why in str(caught.value)
    assert str(caught.value).endswith(f"@ {where}")


@pytest.mark.parametrize("missing", ["urls", "variationNumber"])
@pytest.mark.parametrize("null", [True, False])
def test_what_may_be_missing_may_be_null_as_well(missing: str, *, null: bool) -> None:
    data = {name: value for name, value in DONE.items() if name != missing} | (
        {missing: None} if null else {}
    )
    state = read_state(answer(data), ID)
    assert (state.urls if missing == "urls" else state.variation_number) in ((), None)


@pytest.mark.parametrize(
    ("body", "trouble", "why"),
    [
        (b"", "", "the answer is empty"),
        (b" \n", "", "the answer is empty"),
        (b"<html>", "", "the answer is not JSON"),
        (json.dumps(GOOD).encode(), "it is cut short", "it is cut short"),
    ],
)
def test_a_body_that_is_none_says_so(body: bytes, trouble: str, why: str) -> None:
    with pytest.raises(UnreadableAnswer, match=why) as caught:
        read_generation(Answer(200, body=body, trouble=trouble))
    assert caught.value.where == "$"


# --- an id that a broken answer still shows ---


@given(st.integers(0, 400))
def test_a_cut_answer_shows_its_id_as_soon_as_it_is_whole(length: int) -> None:
    body = sampled("generate_answer").body[:length]
    shown = shown_generation_id(Answer(200, body=body))
    assert shown == (ID if f'"{ID}"'.encode() in body else None)


@pytest.mark.parametrize("status", [100, 199, 301, 400, 404, 409, 500, 503])
def test_only_an_accepting_status_shows_an_id(status: int) -> None:
    assert shown_generation_id(Answer(status, body=sampled("generate_answer").body)) is None


def test_an_echo_of_what_was_asked_shows_nothing() -> None:
    echo = f'{{"request": {{"generation_id": "{ID}"}}, "generation_id": "{VARIATION}", <'.encode()
    assert shown_generation_id(Answer(200, body=echo)) is None  # which of the two?
    assert shown_generation_id(Answer(200, body=echo), asked=ID) == VARIATION
    assert shown_generation_id(Answer(200, body=echo), asked=ID.upper()) == VARIATION
    only_echo = f'{{"generation_id": "{ID}", '.encode()
    assert shown_generation_id(Answer(200, body=only_echo), asked=ID.upper()) is None
    assert (
        shown_generation_id(Answer(200, body=only_echo.replace(ID.encode(), ID.upper().encode())), asked=ID)
        is None
    )
    assert shown_generation_id(Answer(200, body=only_echo * 2)) == ID


@given(st.binary(), st.integers(200, 299))
def test_any_bytes_show_an_id_or_none(body: bytes, status: int) -> None:
    assert shown_generation_id(Answer(status, body=body), asked=ID) is None


# --- content encodings ---


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    " Identity ": bytes,
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": bare_deflate,
}


@given(st.binary(max_size=2000), st.sampled_from(sorted(PACKERS)))
def test_what_was_packed_is_unpacked(body: bytes, encoding: str) -> None:
    packed = PACKERS[encoding](body)
    assert decompress(packed, encoding) == body
    assert decompress(packed, encoding, limit=len(body)) == body
    if body:
        with pytest.raises(ValueError, match=f"more than {len(body) - 1} bytes"):
            decompress(packed, encoding, limit=len(body) - 1)


@given(st.binary(min_size=1, max_size=500), st.sampled_from(["gzip", "deflate", "Deflate"]), st.data())
def test_what_was_cut_short_is_refused(body: bytes, encoding: str, data: st.DataObject) -> None:
    packed = PACKERS[encoding](body)
    length = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ValueError, match=r"cut short|broken"):
        decompress(packed[:length], encoding)


@given(st.binary(max_size=200), st.text(max_size=200) | st.sampled_from(["br", "gzip, gzip", "zstd", "gzip"]))
def test_nonsense_is_refused_with_a_value_error_and_nothing_else(body: bytes, encoding: str) -> None:
    got = result(ValueError, decompress, body, encoding)
    assert isinstance(got, bytes) or (len(str(got)) < 300 and not isinstance(got, UnicodeError))


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, bare_deflate])
@pytest.mark.parametrize("rounds", [1, 2])
def test_a_bomb_costs_little_memory(pack: Any, rounds: int) -> None:
    bomb = b"\0" * (64 * MAX_ANSWER)
    for _ in range(rounds):
        bomb = pack(bomb)
    encoding = "gzip" if pack is gzip.compress else "deflate"
    if rounds == 2:  # a bomb within is not unpacked twice
        assert len(decompress(bomb, encoding)) < MAX_ANSWER
        return
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="after decompression"):
            decompress(bomb, encoding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * MAX_ANSWER
