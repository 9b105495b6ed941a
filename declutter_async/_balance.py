"""What the account holds, from answers that may come out of order."""

from __future__ import annotations

from bisect import bisect_right

import attrs


@attrs.define
class Balance:
    """Photos left on the account, as far as the answers to paid requests tell: never more than there are.

    Answers arrive out of order. One whose request was sent after another had been received knows of everything
    that the other knows, and replaces it; of those that were on the way together the lowest holds. A submission
    without an answer that tells counts as spent, except for answers to what was sent after it had ended.
    """

    # Sent, received, photos: the answers that no other has replaced, as many as were on the way at once.
    _heard: list[tuple[float, float, int]] = attrs.field(factory=list[tuple[float, float, int]])
    # When the submissions ended of which no answer tells, in that order.
    _untold: list[float] = attrs.field(factory=list[float])

    @property
    def photos(self) -> int | None:
        """Photos left, or None before anything was heard."""
        known = (
            photos - len(self._untold) + bisect_right(self._untold, sent) for sent, _, photos in self._heard
        )
        return max(min(known), 0) if self._heard else None

    def heard(self, photos: int, *, sent: float, received: float) -> None:
        """An answer said `photos`; both times in seconds on one clock."""
        self._heard = [other for other in self._heard if other[1] > sent]
        self._heard.append((sent, received, photos))
        first = min(sent for sent, _, _ in self._heard)
        self._untold = [at for at in self._untold if at > first]  # all that is kept knows of the others

    def not_told(self, at: float) -> None:
        """A submission ended at this time, in seconds, and no answer tells what it left."""
        self._untold.append(at)
