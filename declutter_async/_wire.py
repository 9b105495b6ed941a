"""The protocol as pure functions: arguments to a body, an answer to a model or an error.

What is sent is strict: the documented fields, never a null. What is read is tolerant: unknown fields are passed
over, a number may come as `100.0`, a status in any letter case.
"""

from __future__ import annotations

import json
import re
import uuid
import zlib
from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from declutter_async.errors import InvalidArgument, UnreadableAnswer
from declutter_async.models import JSON, Generation, GenerationState, Photo, Status

Call: TypeAlias = Literal["generate", "generate-variation", "get"]
PATH = "/api/declutter_total/"
MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are read at most, after decompression."""

T = TypeVar("T")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHOWN_ID = re.compile(rb'"generation_id"\s*:\s*"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"')


@attrs.frozen
class Answer:
    """What came back over HTTP.

    Attributes:
        status: Of HTTP.
        headers: By name in lower case.
        body: Less its content encoding; raw, and what there is of it, if there is trouble.
        trouble: Why the body is not whole; empty if it is.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = b""
    trouble: str = ""


# --- what is sent ---------------------------------------------------------------------------------------------


def check_url(name: str, value: object) -> str:
    """An http or https URL with a host, or `InvalidArgument`."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is {type(value).__name__}, expected a str: an http or https URL")
    shown = re.sub(r"//[^/]*@", "//***@", value)  # a login is nobody's business
    shown = shown if len(shown) <= 100 else shown[:100] + "..."
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise InvalidArgument(
            f"{name} has white space or control characters in it: {shown!r}; percent-encode them"
        )
    try:
        parts = urlsplit(value)
        good = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise InvalidArgument(f"{name} is {shown!r}, expected an http or https URL: https://host/...")
    return value


def check_uuid(name: str, value: object) -> str:
    """A UUID as text, from a `str` or a `uuid.UUID`, or `InvalidArgument`."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value
    shown = repr(value) if isinstance(value, str) and len(value) <= 100 else type(value).__name__
    raise InvalidArgument(f"{name} is {shown}, expected a UUID (str or uuid.UUID)")


def generate_body(
    user_id: str, photo: Photo, *, webhook: str | None = None, extra: Mapping[str, JSON] | None = None
) -> dict[str, JSON]:
    """The body of `generate`. Raises `InvalidArgument` for what the service would refuse."""
    _check_auto(photo.auto)
    if photo.auto is False and photo.mask_url is None:
        raise InvalidArgument(
            "auto=False needs a mask_url: without auto the service removes what a mask marks"
        )
    if photo.auto is True and photo.mask_url is not None:
        raise InvalidArgument("auto=True and mask_url exclude each other: leave auto out to use the mask")
    body: dict[str, JSON] = {
        "user_id": user_id,
        "image_url": check_url("image_url", photo.url),
        "auto": photo.mask_url is None,
    }
    if photo.mask_url is not None:
        body["mask_url"] = check_url("mask_url", photo.mask_url)
    if webhook is not None:
        body["webhook"] = check_url("webhook", webhook)
    return _merged(_merged(body, photo.extra), extra)


def variation_body(
    user_id: str, generation_id: object, *, original_url: str, mask_url: str, extra: Mapping[str, JSON] | None
) -> dict[str, JSON]:
    """The body of `generate-variation`."""
    body: dict[str, JSON] = {
        "user_id": user_id,
        "generation_id": check_uuid("generation_id", generation_id),
        "original_url": check_url("original_url", original_url),
        "mask_url": check_url("mask_url", mask_url),
    }
    return _merged(body, extra)


def get_body(user_id: str, generation_id: str, *, extra: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """The body of `get`."""
    return _merged({"user_id": user_id, "generation_id": generation_id}, extra)


def _check_auto(auto: object) -> None:
    # 0, or numpy's False, is not `False`: it must not be taken for the default, which is paid for.
    if auto is not None and not isinstance(auto, bool):
        raise InvalidArgument(f"auto is {auto!r}, expected True, False or None")


def _merged(body: dict[str, JSON], extra: object) -> dict[str, JSON]:
    if extra is None:
        return body
    if not isinstance(extra, Mapping):
        raise InvalidArgument(
            f"extra is {type(extra).__name__}, expected a mapping of field names to JSON values"
        )
    return {**body, **cast("Mapping[str, JSON]", extra)}


def encode(body: Mapping[str, JSON]) -> bytes:
    """The body as JSON. Raises `InvalidArgument` for what JSON has no words for."""
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"extra holds what JSON cannot: {error}") from None


# --- what is read ---------------------------------------------------------------------------------------------


@attrs.frozen
class _GetAnswer:
    status: Status
    urls: tuple[str, ...] = ()
    variation_number: int | None = None


def _text(value: object, _: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {_kind(value)}")
    return value


def _whole_number(value: object, _: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ValueError(f"expected a whole number, got {_kind(value)}")
    return int(value)


def _status(value: object, _: object) -> Status:
    word = _text(value, str).strip().upper()
    try:
        return Status(word)
    except ValueError:
        return Status.UNKNOWN


def _texts(value: object, _: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError(f"expected a list, got {_kind(value)}")  # noqa: TRY004 - as above
    items = cast("list[object]", value)
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item:
            raise _Misplaced(f"[{index}]", f"expected text, got {_kind(item)}")
    return tuple(map(str, items))


class _Misplaced(ValueError):
    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(int | None, lambda v, _: None if v is None else _whole_number(v, int))
    converter.register_structure_hook(str | None, lambda v, _: None if v is None else _text(v, str))
    converter.register_structure_hook(Status, _status)
    converter.register_structure_hook_func(lambda type_: type_ == tuple[str, ...], _texts)
    converter.register_structure_hook(
        _GetAnswer,
        make_dict_structure_fn(_GetAnswer, converter, variation_number=override(rename="variationNumber")),
    )
    return converter


_converter = _make_converter()


def read_generation(answer: Answer) -> Generation:
    """What a paid call was answered (2xx). Raises `UnreadableAnswer`."""
    return _structure(answer, Generation)


def read_state(answer: Answer, generation_id: str) -> GenerationState:
    """What `get` was answered (2xx). Raises `UnreadableAnswer`."""
    got = _structure(answer, _GetAnswer)
    return GenerationState(generation_id, got.status, got.urls, got.variation_number)


def unknown_status_word(answer: Answer) -> str:
    """The status word of an answer whose status is UNKNOWN, for the log."""
    return str(json.loads(answer.body)["status"])[:60]


def shown_generation_id(answer: Answer, *, asked: str | None = None) -> str | None:
    """The generation_id that a broken 2xx answer still shows, so that a paid generation is not lost.

    `asked` is the id that the request itself named (a variation's original): an echo of it, in whatever letter
    case, proves nothing.
    """
    if not 200 <= answer.status < 300:
        return None
    shown = {match.decode() for match in _SHOWN_ID.findall(answer.body)}
    shown = {generation_id for generation_id in shown if generation_id.lower() != (asked or "").lower()}
    return shown.pop() if len(shown) == 1 else None


def _structure(answer: Answer, model: type[T]) -> T:
    if answer.trouble:
        raise _unreadable(answer, "$", answer.trouble)
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        what = "empty" if not answer.body.strip() else "not JSON"
        raise _unreadable(answer, "$", f"the answer is {what}") from None
    if not isinstance(data, dict):
        raise _unreadable(answer, "$", f"expected an object, got {_kind(data)}")
    try:
        return _converter.structure(data, model)
    except (cattrs.BaseValidationError, ValueError, TypeError, KeyError, OverflowError) as error:
        where, why = _first_trouble(error)
        raise _unreadable(answer, where, why) from None


def _unreadable(answer: Answer, where: str, why: str) -> UnreadableAnswer:
    return UnreadableAnswer(
        f"the service's answer cannot be read: {why} @ {where}", status=answer.status, where=where
    )


_WIRE_NAMES = {"variation_number": "variationNumber"}


def _first_trouble(error: BaseException) -> tuple[str, str]:
    """Where the first thing that could not be read stands, as a JSON path, and what is wrong with it."""
    place = "$"
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        notes = (n for n in getattr(error, "__notes__", ()) if isinstance(n, cattrs.AttributeValidationNote))
        place += "".join(f".{_WIRE_NAMES.get(note.name, note.name)}" for note in notes)
    if isinstance(error, KeyError):
        name = str(error.args[0])
        return f"$.{name}", "it is missing"
    if isinstance(error, _Misplaced):
        place += error.place
    return place, str(error)


def _kind(value: object) -> str:
    names: dict[object, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        type(None): "null",
    }
    if value == "":
        return "empty text"
    return names.get(type(value), "a number")


def decompress(body: bytes, encoding: str, limit: int = MAX_ANSWER) -> bytes:
    """The body less its content encoding. Raises `ValueError` past `limit` bytes or where it cannot be read."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        if len(body) > limit:
            raise ValueError(f"more than {limit} bytes")
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise ValueError(f"content encoding {encoding[:40]!r}, which was not asked for")
    # Some servers send `deflate` bare, without the wrapping that the standard asks for: its first byte tells.
    bare = encoding == "deflate" and body[:1] and body[0] & 0x0F != 8
    try:
        unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise ValueError(f"broken {encoding}: {error}") from None
    if len(plain) > limit:
        raise ValueError(f"more than {limit} bytes after decompression")
    if not unpacker.eof:
        raise ValueError(f"{encoding} data cut short")
    return plain
