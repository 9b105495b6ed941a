"""The error that an answer outside 2xx stands for, with the service's own words and the wait it asks for."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from declutter_async._wire import MAX_ANSWER, Answer, Call
from declutter_async.errors import (
    BadRequest,
    KeyRefused,
    NoPhotosLeft,
    NotFound,
    RateLimited,
    RequestError,
    ServiceUnavailable,
    UnknownUser,
    UnreadableAnswer,
)

MAX_MESSAGE = 500
"""Characters of the service's own message that an error carries at most."""


def read_refusal(answer: Answer, call: Call, *, secret: str, now: datetime | None = None) -> RequestError:
    """The error that an answer outside 2xx stands for."""
    # Of a body that is cut short nothing is quoted: it may end in the middle of an echoed key.
    message = "" if answer.trouble else service_message(answer.body, secret=secret)
    cls = _error_class(answer.status, call, message)
    said = f": {message}" if message else ""
    return cls(
        f"{call}: {_MEANINGS[cls]} (HTTP {answer.status}){said}",
        status=answer.status,
        service_message=message,
        retry_after=retry_after(answer, now or datetime.now(UTC)),
    )


_MEANINGS: dict[type[RequestError], str] = {
    BadRequest: "the service refused the request",
    KeyRefused: "the API key is refused; check api_key or DECLUTTER_API_KEY",
    UnknownUser: "the user is refused; check user_id or DECLUTTER_USER_ID",
    NoPhotosLeft: "no photos are left on the account",
    NotFound: "not found",
    RateLimited: "too many requests",
    ServiceUnavailable: "the service cannot answer now",
    UnreadableAnswer: "the service points elsewhere, which is not followed; check base_url",
}
_BY_STATUS: dict[int, type[RequestError]] = {
    401: KeyRefused,
    402: NoPhotosLeft,
    404: NotFound,
    408: ServiceUnavailable,
    409: ServiceUnavailable,
    429: RateLimited,
}


def _error_class(status: int, call: Call, message: str) -> type[RequestError]:
    # The page promises "an appropriate status", and no more: only 401, 402 and 403 are taken as a word about
    # the account, since that word ends a batch. Of a 403 the message tells key, user and balance apart.
    words = message.lower()
    if status == 403:
        if re.search(r"\b(photos?|credits?|quota|balance|subscription)\b", words):
            return NoPhotosLeft
        return UnknownUser if "user" in words else KeyRefused
    if status == 404 and call == "generate" and "user" in words:
        return UnknownUser
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < 400:
        return UnreadableAnswer
    return BadRequest if status < 500 else ServiceUnavailable


def service_message(body: bytes, *, secret: str) -> str:
    """The service's own words in an error body of any shape: JSON, text, or an HTML page. Never the secret."""
    # The secret goes before anything is cut, which could leave a part of it.
    text = body[:MAX_ANSWER].decode("utf-8-sig", "replace").strip().replace(secret, "***")
    try:
        data = json.loads(text)
        found = _message_in(data, depth=4) or (text if data else "")
    except (ValueError, RecursionError):
        found = _without_markup(text) if text.startswith("<") else text
    found = found.replace(secret, "***")[:100_000]  # again: it may have been escaped
    return " ".join("".join(c if c.isprintable() else " " for c in found).split())[:MAX_MESSAGE]


def _message_in(data: object, depth: int) -> str:
    if isinstance(data, str | int | float) and not isinstance(data, bool):
        return str(data)
    if depth and isinstance(data, dict):
        fields = cast("dict[str, object]", data)
        named = (fields.get(name) for name in ("error", "message", "detail", "msg", "title", "errors"))
        # An `error` that is only a code says less than the message beside it: two of them.
        return ": ".join([said for value in named if (said := _message_in(value, depth - 1))][:2])
    if depth and isinstance(data, list):
        return "; ".join(
            filter(None, (_message_in(item, depth - 1) for item in cast("list[object]", data)[:5]))
        )
    return ""


def _without_markup(page: str) -> str:
    page = re.sub(r"(?is)<(script|style)\b.*?(</\1>|\Z)", " ", page[:20_000])
    return html.unescape(re.sub(r"<[^>]*(>|\Z)", " ", page))


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Seconds that the service asks to wait: from the header (seconds or a date) or the body; None if it does not."""
    header = answer.headers.get("retry-after", "").strip()
    if header:
        try:
            return _sane_seconds(float(header))
        except ValueError:
            pass
        try:
            when = parsedate_to_datetime(header)
        except (ValueError, TypeError, OverflowError):
            pass
        else:
            return _sane_seconds((when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())
    try:
        data: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    fields = cast("dict[str, object]", data) if isinstance(data, dict) else {}
    for name in ("retry_after", "retryAfter", "retry-after", "Retry-After"):
        value = fields.get(name)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                return _sane_seconds(float(value))
            except (ValueError, OverflowError):
                continue
    return None


def _sane_seconds(value: float) -> float | None:
    return min(max(value, 0.0), 86_400.0) if value == value else None  # noqa: PLR0124 - NaN is not itself
