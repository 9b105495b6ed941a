"""A heap of keys by their time, from which any key can be taken out again."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Schedule(Generic[K]):
    """Keys in the order of their times; equal times in the order in which they were set.

    An item of the heap whose key has been set anew or discarded is dead. It is dropped when it comes up, or when
    more than half of the heap is dead, so `set` and `discard` cost O(log n) on the average and nothing is left.
    """

    def __init__(self) -> None:
        self._turns: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = itertools.count()

    def __len__(self) -> int:
        """Items in the heap, dead ones too: what it costs in memory."""
        return len(self._heap)

    def set(self, key: K, time: float) -> None:
        """Give the key this time, whatever it had before."""
        turn = (time, next(self._count))
        self._turns[key] = turn
        heapq.heappush(self._heap, (*turn, key))
        self._compact()

    def discard(self, key: K) -> None:
        """Take the key out, if it is in."""
        if self._turns.pop(key, None) is not None:
            self._compact()

    def first(self) -> tuple[float, K] | None:
        """The earliest time and its key, or None."""
        while self._heap:
            time, count, key = self._heap[0]
            if self._turns.get(key) == (time, count):
                return time, key
            heapq.heappop(self._heap)
        return None

    def _compact(self) -> None:
        if len(self._heap) > 2 * len(self._turns):
            self._heap = [(*turn, key) for key, turn in self._turns.items()]
            heapq.heapify(self._heap)
