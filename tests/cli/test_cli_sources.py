from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import Photo
from declutter_async._wire import check_url
from declutter_async.cli.sources import PhotoList, photo_list, trouble_with
from declutter_async.errors import InvalidArgument

GOOD = "https://pictures.example/a.jpg"


def urls(photos: PhotoList) -> list[str]:
    return [photo.url for photo in photos]


def check(arguments: list[str], *, mask_url: str | None = None) -> None:
    with photo_list(arguments, mask_url=mask_url):
        pass


def test_urls_files_and_comments_in_their_order(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes(
        b"\xef\xbb\xbf# a shoot\r\n\r\n  https://h/1.jpg  \r\nHTTP://h/2.jpg\n#https://h/no.jpg\nhttps://h/3.jpg"
    )
    with photo_list([GOOD, str(listed), GOOD]) as found:
        assert urls(found) == [GOOD, "https://h/1.jpg", "HTTP://h/2.jpg", "https://h/3.jpg", GOOD]
        assert len(found) == 5
        assert urls(found) == urls(found)  # read anew each time


def test_a_mask_goes_with_every_photo() -> None:
    with photo_list([GOOD], mask_url="https://h/m.png") as found:
        assert list(found) == [Photo(GOOD, mask_url="https://h/m.png")]


def test_a_wrong_mask_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"--mask-url is no http or https URL: 'm.png'"):
        check([GOOD], mask_url="m.png")


def test_all_wrong_lines_are_told_together(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"https://h/1.jpg\nphoto.jpg\n\nhttps://h/a b.jpg\nhttps://h/\xff.jpg\n")
    with pytest.raises(InvalidArgument) as told:
        check(["ftp://h/x.jpg", str(listed)])
    message = str(told.value)
    assert "4 of 5 URLs are wrong; nothing was sent" in message
    assert f"{listed}, line 2: 'photo.jpg' is no http or https URL" in message
    assert f"{listed}, line 4: 'https://h/a b.jpg' has white space" in message
    assert f"{listed}, line 5:" in message
    assert "is not UTF-8" in message
    assert "'ftp://h/x.jpg' is no http or https URL" in message


def test_of_very_many_wrong_lines_the_first_are_shown(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(f"{number} {'x' * 500}" for number in range(1000)))
    with pytest.raises(InvalidArgument) as told:
        check([str(listed)])
    assert "and 980 more" in str(told.value)
    assert len(str(told.value)) < 8000


@pytest.mark.parametrize("text", ["", "\n\n# nothing\n"])
def test_a_list_without_a_url_is_refused(tmp_path: Path, text: str) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(text)
    with pytest.raises(InvalidArgument, match="there is no URL in what was given"):
        check([str(listed)])


@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_is_no_list(tmp_path: Path, head: bytes) -> None:
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(head + bytes(100))
    with pytest.raises(InvalidArgument, match="is a picture: give the URL"):
        check([str(picture)])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidArgument, match=r"none\.txt cannot be read \(No such file.*give http or https URLs"
    ):
        check([str(tmp_path / "none.txt")])
    with pytest.raises(InvalidArgument, match="cannot be read"):
        check([str(tmp_path)])


class Stdin(io.TextIOWrapper):
    """A stream that says whether it is a terminal."""

    terminal = False

    def isatty(self) -> bool:
        return self.terminal


def test_stdin_is_read_once_and_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(b"https://h/1.jpg\n# no\nhttps://h/2.jpg\n")))
    with photo_list(["-", GOOD]) as found:
        assert urls(found) == ["https://h/1.jpg", "https://h/2.jpg", GOOD]
        assert urls(found) == ["https://h/1.jpg", "https://h/2.jpg", GOOD]


def test_wrong_lines_of_stdin_have_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(b"\nphoto.jpg\n")))
    with pytest.raises(InvalidArgument, match=r"stdin, line 2: 'photo.jpg' is no http"):
        check(["-"])


def test_what_looks_like_an_option_is_no_file() -> None:
    with pytest.raises(InvalidArgument, match="there is no option --bogus"):
        check([GOOD, "--bogus"])


def test_stdin_cannot_be_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(b"https://h/1.jpg\n")))
    with pytest.raises(InvalidArgument, match="more than once"):
        check(["-", "-"])


def test_who_types_is_told_how_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin = Stdin(io.BytesIO(b"https://h/1.jpg\n"))
    stdin.terminal = True
    monkeypatch.setattr(sys, "stdin", stdin)
    check(["-"])
    assert "Ctrl-D" in capsys.readouterr().err


PIECES = st.sampled_from(
    ["http", "https", "ftp", "://", ":", "/", "h", "[", "]", "@", " ", "\t", ":99999", ":0", "é", "\ud800"]
)


@given(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20))
def test_what_passes_the_check_is_never_refused_by_the_session(text: str) -> None:
    try:
        check_url("url", text)
    except InvalidArgument:
        assert trouble_with(text) is not None
    else:
        assert trouble_with(text) is None or any(0xD800 <= ord(char) < 0xE000 for char in text)
