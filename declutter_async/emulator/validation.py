"""What a request must be before anything is done for it. Pure: bytes in, a checked request or a refusal out."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import attrs
from yarl import URL

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PRINTABLE = re.compile(r"[!-~\u00a0-\U0010ffff]+")


class RefusalError(Exception):
    """A request that is refused: nothing was done for it and nothing charged."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@attrs.frozen
class GenerateRequest:
    """A checked request to `generate`; without a mask, objects are found automatically."""

    user_id: str
    image_url: str
    mask_url: str | None
    webhook: str | None


@attrs.frozen
class VariationRequest:
    """A checked request to `generate-variation`."""

    user_id: str
    generation_id: str
    original_url: str
    mask_url: str


@attrs.frozen
class GetRequest:
    """A checked request to `get`."""

    user_id: str
    generation_id: str


def read_generate(body: bytes) -> GenerateRequest:
    """Check a body for `generate`; raises RefusalError."""
    fields = _object(body)
    request = GenerateRequest(
        user_id=_uuid(fields, "user_id"),
        image_url=_url(fields, "image_url"),
        mask_url=_url(fields, "mask_url") if "mask_url" in fields else None,
        webhook=_url(fields, "webhook") if "webhook" in fields else None,
    )
    auto = fields.get("auto", False)
    if not isinstance(auto, bool):
        _refuse("auto must be true or false")
    if auto and request.mask_url is not None:
        _refuse("auto is true and a mask_url is given: send one of the two")
    if not auto and request.mask_url is None:
        _refuse("without auto a mask is needed: send auto true, or a mask_url")
    return request


def read_variation(body: bytes) -> VariationRequest:
    """Check a body for `generate-variation`; raises RefusalError."""
    fields = _object(body)
    return VariationRequest(
        user_id=_uuid(fields, "user_id"),
        generation_id=_uuid(fields, "generation_id"),
        original_url=_url(fields, "original_url"),
        mask_url=_url(fields, "mask_url"),
    )


def read_get(body: bytes) -> GetRequest:
    """Check a body for `get`; raises RefusalError."""
    fields = _object(body)
    return GetRequest(user_id=_uuid(fields, "user_id"), generation_id=_uuid(fields, "generation_id"))


def mentioned(body: bytes) -> tuple[str | None, str | None]:
    """The photo's URL and the generation's id that a body names, for the books; None where it names none."""
    try:
        fields = _object(body)
    except RefusalError:
        return None, None
    photo = fields.get("image_url", fields.get("original_url"))
    generation_id = fields.get("generation_id")
    return (
        photo if isinstance(photo, str) else None,
        generation_id.lower() if isinstance(generation_id, str) else None,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields: object = json.loads(body.decode(), parse_constant=_not_json)
    except (ValueError, RecursionError):
        _refuse("the body is not JSON")
    if not isinstance(fields, dict):
        _refuse("the body must be a JSON object")
    return fields  # pyright: ignore[reportUnknownVariableType] # JSON's keys are strings


def _not_json(word: str) -> NoReturn:
    raise ValueError(word)


def _string(fields: dict[str, Any], name: str) -> str:
    if name not in fields:
        _refuse(f"{name} is missing")
    value = fields[name]
    if not isinstance(value, str):
        _refuse(f"{name} must be a string")
    return value


def _uuid(fields: dict[str, Any], name: str) -> str:
    value = _string(fields, name)
    if not _UUID.fullmatch(value):
        _refuse(f"{name} must be a UUID")
    return value.lower()


def _url(fields: dict[str, Any], name: str) -> str:
    value = _string(fields, name)
    try:
        # A lone surrogate is JSON but no text: encoding it raises, and so does what follows for a broken URL.
        value.encode()
        url = URL(value)
        sound = url.scheme in {"http", "https"} and bool(url.host) and bool(_PRINTABLE.fullmatch(value))
    except ValueError:
        sound = False
    if not sound:
        _refuse(f"{name} must be an http or https URL")
    return value


def _refuse(message: str) -> NoReturn:
    raise RefusalError(400, message)
