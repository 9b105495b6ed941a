"""The page: what is in it, and that a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from declutter_async.cli.page import Pair, Summary, render_page

SUMMARY = Summary(photos=3, delivered=2, spent=2, balance=998, requests=7, seconds=12.4)


class Reader(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def sources(self) -> list[str]:
        return [
            attributes["src"] or "" for tag, attributes in self.tags if tag == "img" and "src" in attributes
        ]


def pair(number: int, title: str = "Room") -> Pair:
    return Pair(
        title=f"{title} {number}",
        before=f"photos/room {number}-before.jpg",
        after=f"photos/room {number}-after.jpg",
        generation_id=f"id-{number}",
        seconds=2.04,
    )


def test_every_pair_is_there_in_order() -> None:
    page = render_page([pair(1), pair(2)], SUMMARY)
    assert Reader(page).sources() == [
        "photos/room%201-before.jpg",
        "photos/room%201-after.jpg",
        "photos/room%202-before.jpg",
        "photos/room%202-after.jpg",
    ]
    for fact in ("2 of 3", "998", ">7<", "12 s", "2.0 s", "id-2", "stand-in"):
        assert fact in page


def test_nothing_comes_from_elsewhere() -> None:
    page = render_page([pair(1)], SUMMARY)
    assert not re.search(r"https?:|//\w|@import|url\(", page)
    assert not {tag for tag, _ in Reader(page).tags} & {"link", "iframe", "object", "embed", "base"}


def test_words_stay_words() -> None:
    page = render_page([pair(1, title='<script>"&')], attrs_without_balance())
    assert '<script>"' not in page
    assert "&lt;script&gt;&quot;&amp; 1" in page


def attrs_without_balance() -> Summary:
    return Summary(photos=1, delivered=1, spent=1, balance=None, requests=2, seconds=1.0)


def test_every_picture_is_described() -> None:
    pictures = [
        attributes for tag, attributes in Reader(render_page([pair(1)], SUMMARY)).tags if tag == "img"
    ]
    assert all("alt" in attributes for attributes in pictures)


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip(
            "needs Chromium: apt-get install chromium, or put a chromium or google-chrome on the PATH"
        )
    return found


def opened(browser: str, page: Path, *options: str) -> str:
    quiet = ["gpu", "quic", "background-networking", "component-update", "sync", "dev-shm-usage"]
    ended = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--no-first-run",
            *(f"--disable-{name}" for name in quiet),
            f"--user-data-dir={page.parent / 'profile'}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        timeout=100,
        check=True,
    )
    return ended.stdout.decode()


def test_a_browser_shows_it(browser: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, grey in (("before", 60), ("after", 200)):
        cv2.imwrite(str(tmp_path / f"photos/room 1-{name}.jpg"), np.full((40, 60, 3), grey, np.uint8))
    page = tmp_path / "index.html"
    page.write_text(render_page([pair(1)], SUMMARY), "utf-8")
    dumped = opened(
        browser, page, "--dump-dom", "--window-size=900,700", f"--screenshot={tmp_path / 'shot.png'}"
    )
    assert "Compare closely" in dumped  # made by the script, so it ran to its end
    assert '<html lang="en" class="js">' in dumped
    shot = cv2.imread(str(tmp_path / "shot.png"), cv2.IMREAD_GRAYSCALE)
    assert shot is not None
    pictures = [int(((shot > grey - 4) & (shot < grey + 4)).sum()) for grey in (60, 200)]
    assert min(pictures) > 10_000  # both pictures are drawn, large
