"""What is asked of the service, and what comes back: frozen, and without any behaviour of the wire."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"


class Status(enum.StrEnum):
    """How far a generation is. A word that this version does not know is `UNKNOWN`, and means not finished."""

    STARTING = "STARTING"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self in {Status.SUCCEEDED, Status.FAILED}


@attrs.frozen
class Generation:
    """An accepted submission.

    Attributes:
        generation_id: By which it is found again.
        remaining_photos: Photos left on the account after this one.
        project_id: Of a new project; None for a variation.
    """

    generation_id: str
    remaining_photos: int
    project_id: str | None = None


@attrs.frozen
class GenerationState:
    """What one look at a generation showed.

    Attributes:
        generation_id: Which one.
        status: How far it is.
        urls: Of the results. The service gives them once it SUCCEEDED; it may leave them out.
        variation_number: Variations already made in its project, or None if the service did not say.
    """

    generation_id: str
    status: Status
    urls: tuple[str, ...] = ()
    variation_number: int | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.status.finished


# Query parameters that sign or date a URL: two URLs that differ in these alone are the same photo. Names as the
# storage services document them (AWS Signature 2 and 4, Google, CloudFront, Azure SAS). A name that means
# something elsewhere counts only beside the one that makes it a signature.
_ALWAYS = frozenset({"awsaccesskeyid", "googleaccessid", "expires", "expiry"})
_ALWAYS_FAMILIES = ("x-amz-", "x-goog-")
_BESIDE_SIGNATURE = frozenset({"signature", "policy", "key-pair-id"})
_BESIDE_SIG_AND_SE = frozenset(
    [
        "sv",
        "ss",
        "srt",
        "sr",
        "sp",
        "st",
        "se",
        "spr",
        "sip",
        "sig",
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
        "saoid",
        "suoid",
        "scid",
        "sdd",
        "ses",
    ]
)


def url_without_signature(url: str) -> str:
    """The URL less its fragment and the query parameters that only sign or date it."""
    bare, _, _ = url.partition("#")
    path, mark, query = bare.partition("?")
    if not mark:
        return path
    pairs = [(pair.partition("=")[0].lower(), pair) for pair in query.split("&")]
    names = {name for name, _ in pairs}
    signing = _ALWAYS
    if "signature" in names:
        signing |= _BESIDE_SIGNATURE
    if {"sig", "se"} <= names:
        signing |= _BESIDE_SIG_AND_SE
    kept = [pair for name, pair in pairs if name not in signing and not name.startswith(_ALWAYS_FAMILIES)]
    return f"{path}?{'&'.join(kept)}" if kept else path


def _digest(*parts: object) -> str:
    try:
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=repr)
    except (TypeError, ValueError):  # names of two types, or a circle: a key it has all the same
        text = repr(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _own_copy(extra: Mapping[str, JSON] | None) -> Mapping[str, JSON] | None:
    # Whoever fills one dict anew for every row must not change the photos that are already on their way.
    return dict(extra) if isinstance(extra, Mapping) else extra


def _own_labels(labels: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return dict(labels or {})


@attrs.frozen(kw_only=True)
class Photo:
    """A photo to declutter, and how.

    Attributes:
        url: An http or https URL from which the service can fetch it (JPEG or PNG).
        auto: Let the service find what to remove. None: it does, unless there is a mask.
        mask_url: URL of a mask of what to remove. (The service documents no such parameter of `generate`; its
            sister calls name it so, and it is sent only where it is given.)
        key: Its identity: two photos with one key are paid for once. By default a digest of the URL without
            signatures, and of the options.
        labels: Yours (listing, room, ...); they travel untouched.
        extra: Further fields of the request's body, merged in last.

    What is wrong with a photo is said where it is submitted, so that one bad row never stops a batch.
    """

    url: str = attrs.field(kw_only=False)
    auto: bool | None = None
    mask_url: str | None = None
    _key: str | None = attrs.field(default=None, alias="key")
    labels: Mapping[str, Any] = attrs.field(factory=dict[str, Any], converter=_own_labels, hash=False)
    extra: Mapping[str, JSON] | None = attrs.field(default=None, converter=_own_copy, hash=False)

    @property
    def key(self) -> str:
        """Its identity; see the class."""
        if self._key is None or self._key == "":
            return _digest(url_without_signature(str(self.url)), self.options)
        return str(self._key)  # a row's number serves too

    @property
    def options(self) -> str:
        """A digest of all that is asked beside the URL: one key stands for one set of options."""
        automatic = self.mask_url is None if self.auto is None else self.auto
        mask = None if self.mask_url is None else url_without_signature(str(self.mask_url))
        return _digest(automatic, mask, self.extra or {})
