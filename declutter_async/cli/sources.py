"""Photo URLs from arguments, files and stdin: all checked before anything is spent, then read lazily."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import attrs

from declutter_async import Photo
from declutter_async.errors import InvalidArgument

_SHOWN = 20  # wrong lines that are shown; of the others just how many
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8")
_HINT = "give http or https URLs, a text file with one URL a line, or - for stdin"


def trouble_with(url: str) -> str | None:
    """What is wrong with the URL of a photo; None if nothing is."""
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return "has white space or control characters in it; percent-encode them, and give one URL a line"
    if re.search(r"[\ud800-\udfff]", url):
        return "is not UTF-8"
    try:
        parts = urlsplit(url)
        good = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    return None if good else "is no http or https URL"


@attrs.frozen
class Lines:
    """A text with one URL a line, read anew each time; blank lines and those that begin with # are passed over.

    `source` is a path, or an open file that can be read from its start again.
    """

    name: str
    source: Path | IO[bytes]

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Each URL with the number of its line, from 1."""
        with self._opened() as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").strip()
                if text and not text.startswith("#"):
                    yield number, text

    def begins_as_picture(self) -> bool:
        """Whether this is a picture itself, and no list of URLs."""
        with self._opened() as file:
            return file.read(4).startswith(_PICTURES)

    @contextmanager
    def _opened(self) -> Generator[IO[bytes]]:
        if isinstance(self.source, Path):
            with self.source.open("rb") as file:
                yield file
        else:
            self.source.seek(0)
            yield self.source


@attrs.frozen
class PhotoList:
    """Photos in the order of their sources; however many there are, only one at a time is in memory."""

    sources: tuple[str | Lines, ...]
    count: int
    mask_url: str | None = None

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Photo]:
        for source in self.sources:
            urls = [source] if isinstance(source, str) else (url for _, url in source.numbered())
            for url in urls:
                yield Photo(url, mask_url=self.mask_url)


@contextmanager
def photo_list(arguments: Iterable[str], *, mask_url: str | None = None) -> Generator[PhotoList]:
    """Check every URL, and count them. Raises `InvalidArgument` that shows all that is wrong, each with its line.

    stdin is first copied to a temporary file, since it can be read only once and is checked before it is used.
    """
    if mask_url is not None and (trouble := trouble_with(mask_url)):
        raise InvalidArgument(f"--mask-url {trouble}: {_shown(mask_url)}")
    given = list(arguments)
    for argument in given:
        if argument.startswith("-") and argument != "-":
            raise InvalidArgument(f"there is no option {argument}; see: declutter-async run --help")
    if given.count("-") > 1:
        raise InvalidArgument("- (stdin) is given more than once, and can be read only once")
    with ExitStack() as files:
        sources = tuple(_open(argument, files) for argument in given)
        yield PhotoList(sources, _check(sources), mask_url)


def _check(sources: Iterable[str | Lines]) -> int:
    """The number of URLs, all of them good."""
    wrong: list[str] = []
    found = wrong_count = 0
    for source in sources:
        for place, url in _places(source):
            found += 1
            if (trouble := trouble_with(url)) is not None:
                wrong_count += 1
                if len(wrong) < _SHOWN:
                    wrong.append(f"  {place}{_shown(url)} {trouble}")
    if wrong:
        more = [f"  and {wrong_count - len(wrong)} more"] if wrong_count > len(wrong) else []
        first = f"{wrong_count} of {found} URLs are wrong; nothing was sent:"
        raise InvalidArgument("\n".join([first, *wrong, *more]))
    if not found:
        raise InvalidArgument(f"there is no URL in what was given: {_HINT}")
    return found


def _places(source: str | Lines) -> Iterator[tuple[str, str]]:
    """Every URL, and how to find it."""
    if isinstance(source, str):
        yield "", source
        return
    try:
        if source.begins_as_picture():
            raise InvalidArgument(
                f"{source.name} is a picture: give the URL at which the service can fetch it, or a list of URLs"
            )
        for number, url in source.numbered():
            yield f"{source.name}, line {number}: ", url
    except OSError as error:
        raise InvalidArgument(f"{source.name} cannot be read ({error.strerror}): {_HINT}") from error


def _open(argument: str, files: ExitStack) -> str | Lines:
    if argument == "-":
        return Lines("stdin", _spooled(sys.stdin.buffer, files))
    if "://" in argument:
        return argument
    return Lines(argument, Path(argument))


def _spooled(stream: IO[bytes], files: ExitStack) -> IO[bytes]:
    if sys.stdin.isatty():
        sys.stderr.write("Type one URL a line; end with Ctrl-D (on Windows Ctrl-Z and Enter).\n")
    spool = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack is its context
    shutil.copyfileobj(stream, spool)
    return spool


def _shown(url: str) -> str:
    return ascii(url if len(url) <= 100 else f"{url[:100]}...")
