"""The account's books, without a socket and with a clock that is set by hand."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async.emulator.books import Account, Fate, NoPhotosLeftError

_SECONDS = st.sampled_from([0.0, 1.0, 2.5, 10.0])
_PHOTOS = ["http://a/1", "http://a/2", "http://a/3"]


class HandClock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def fate(number: int, duration: float = 10.0, *, fails: bool = False) -> Fate:
    return Fate(generation_id=f"g{number}", project_id=f"p{number}", duration=duration, fails=fails)


@given(
    photos=st.integers(0, 12),
    steps=st.lists(st.tuples(_SECONDS, st.sampled_from(_PHOTOS), _SECONDS, st.booleans()), max_size=30),
    later=_SECONDS,
)
def test_money_adds_up_at_every_moment(
    photos: int, steps: list[tuple[float, str, float, bool]], later: float
) -> None:
    clock = HandClock()
    account = Account(photos, clock)
    accepted: list[tuple[str, float, float, bool]] = []
    most = 0
    for number, (pause, url, duration, fails) in enumerate(steps):
        clock.time += pause
        refunded = sum(fails and end <= clock.time for _, _, end, fails in accepted)
        left = photos - len(accepted) + refunded
        assert account.photos_left == left
        if left:
            account.accept(url, url, fate(number, duration, fails=fails))
            accepted.append((url, clock.time, clock.time + duration, fails))
        else:
            with pytest.raises(NoPhotosLeftError):
                account.accept(url, url, fate(number, duration, fails=fails))
        running = sum(start <= clock.time < end for _, start, end, _ in accepted)
        assert account.running == running
        most = max(most, running)
        assert account.photos_left + account.charged - account.refunded == photos
    clock.time += later
    assert account.charged == len(accepted)
    assert account.max_running == most
    books = account.photos
    assert {url: book.charges for url, book in books.items()} == Counter(url for url, *_ in accepted)
    assert sum(book.net for book in books.values()) == account.charged - account.refunded
    assert sum(book.refunds for book in books.values()) == account.refunded
    assert len(books) == len({url for url, *_ in accepted})


@given(reads=st.integers(0, 3), wait=_SECONDS)
def test_reading_changes_nothing(reads: int, wait: float) -> None:
    def story(looks: int) -> tuple[int, int, int, int]:
        clock = HandClock()
        account = Account(3, clock)
        account.accept("u", "u", fate(1, 2.0, fails=True))
        clock.time += wait
        for _ in range(looks):
            _ = account.running, account.refunded, account.photos_left, repr(account.photos)
        account.accept("u", "u", fate(2, 2.0))
        return account.photos_left, account.refunded, account.running, account.max_running

    assert story(reads) == story(0)


def test_max_running_is_counted_though_nobody_looks() -> None:
    clock = HandClock()
    account = Account(10, clock)
    for number in range(3):
        account.accept("u", "u", fate(number, duration=5.0))
    clock.time = 5.0
    account.accept("u", "u", fate(3, duration=5.0))
    clock.time = 100.0
    assert (account.max_running, account.running) == (3, 0)


def test_status_follows_the_clock() -> None:
    clock = HandClock()
    account = Account(2, clock)
    good = account.accept("u", "u", fate(1, 100.0))
    bad = account.accept("u", "u", fate(2, 100.0, fails=True))
    seen = []
    for clock.time in (0.0, 9.9, 10.0, 99.9, 100.0):
        seen.append((account.status(good), account.status(bad)))
    assert seen == [
        ("STARTING", "STARTING"),
        ("STARTING", "STARTING"),
        ("PROCESSING", "PROCESSING"),
        ("PROCESSING", "PROCESSING"),
        ("SUCCEEDED", "FAILED"),
    ]


def test_a_variation_belongs_to_its_project_and_counts_it_up() -> None:
    account = Account(3, HandClock())
    first = account.accept("u", "u", fate(1))
    second = account.accept("v", "u", fate(2), project_id=first.project_id)
    assert second.project_id == first.project_id
    assert (account.variations(first.project_id), account.variations("p2")) == (1, 0)
    assert account.times_accepted("u") == 2
    assert account.photos["v"].generation_ids == ("g2",)
    assert account.find("g2") is second
    assert account.find("g9") is None


def test_a_generation_that_cannot_be_computed_fails_if_it_is_not_too_late() -> None:
    clock = HandClock()
    account = Account(2, clock)
    running, finished = account.accept("u", "u", fate(1, 10.0)), account.accept("u", "u", fate(2, 1.0))
    clock.time = 5.0
    account.fail(running)
    account.fail(finished)
    clock.time = 10.0
    assert (account.status(running), account.status(finished)) == ("FAILED", "SUCCEEDED")
    assert (account.refunded, account.photos_left) == (1, 1)
