"""Where results are saved: a local folder that nothing leaves and nothing is overwritten in."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import anyio
import attrs
from anyio import to_thread

from declutter_async.errors import DownloadFailed, InvalidArgument

MAX_RESULT = 64 * 1024 * 1024
"""Bytes of one result at most."""

_MAX_STEM = 80  # characters of a name that come from the source; every file system takes that
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789")]
)


def safe_stem(url: str) -> str:
    """A file name's stem after the last part of a URL's path: ASCII letters, digits, `-` and `_`.

    Whatever the path says (`../`, an absolute path, NUL, a name that Windows reserves, thousands of characters),
    the stem is a plain name that stays in its folder.
    """
    try:
        path = unquote(urlsplit(url).path, errors="replace")
    except ValueError:
        path = ""
    last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    stem = re.sub(r"\.(jpe?g|png|webp)$", "", last, flags=re.IGNORECASE)
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:_MAX_STEM]
    if not plain or plain.lower() in _WINDOWS_DEVICES:
        return "photo" + (f"-{plain}" if plain else "")
    return plain


def result_name(url: str, generation_id: str, index: int, count: int) -> str:
    """The name of a result, less its extension: after its source, its generation and its place among several."""
    unique = re.sub(r"[^A-Za-z0-9]", "", generation_id)[:8]
    return f"{safe_stem(url)}-{unique}" + (f"-{index + 1}" if count > 1 else "")


def extension_of(head: bytes) -> str | None:
    """`.jpg`, `.png` or `.webp` after the first bytes of a file; None for anything else."""
    if head.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    return None


def _extension_of_picture(head: bytes) -> str:
    extension = extension_of(head)
    if extension is None:
        raise DownloadFailed("the result is not a JPEG, PNG or WebP picture")
    return extension


@attrs.frozen
class FolderStore:
    """Saves results into one folder, which is made if it is not there."""

    folder: Path = attrs.field(converter=Path)

    async def prepare(self) -> None:
        """Make the folder, and see that it can be written to. Raises `InvalidArgument`."""
        try:
            await to_thread.run_sync(self._try_folder)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = getattr(error, "strerror", None) or error
            raise InvalidArgument(
                f"save_to is {str(self.folder)!r}, which cannot be written to ({why}); "
                "expected a folder, or a place where one can be made"
            ) from error

    async def save(self, name: str, pieces: AsyncIterator[bytes]) -> tuple[Path, int]:
        """Write one result aside, then give it the first free name after `name`; returns path and size in bytes.

        Raises `DownloadFailed` for what is no JPEG, PNG or WebP, and where the disk does not take it. Nothing is
        left behind then.
        """
        try:
            return await self._save(name, pieces)
        except OSError as error:
            raise DownloadFailed(f"the result could not be saved: {error.strerror or error}") from error

    async def _save(self, name: str, pieces: AsyncIterator[bytes]) -> tuple[Path, int]:
        # Not in a thread: cancelled while it waits for one, nobody would know the file that is made there.
        file, aside = self._open_aside()
        try:
            head, size = b"", 0
            async for piece in pieces:
                if len(head) < 12:
                    head += piece[:12]
                    if len(head) >= 12 and extension_of(head) is None:
                        break
                size += len(piece)
                await to_thread.run_sync(file.write, piece)
            extension = _extension_of_picture(head)
            await to_thread.run_sync(_flush, file)
            path = await to_thread.run_sync(_give_name, aside, self.folder, name, extension)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_discard, file, aside)
            raise
        return path, size

    def _try_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file, aside = self._open_aside()
        _discard(file, aside)

    def _open_aside(self) -> tuple[IO[bytes], Path]:
        handle, path = tempfile.mkstemp(prefix=".part-", dir=self.folder)
        return os.fdopen(handle, "wb"), Path(path)


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _discard(file: IO[bytes], aside: Path) -> None:
    with contextlib.suppress(OSError):
        file.close()
    aside.unlink(missing_ok=True)


def _give_name(aside: Path, folder: Path, name: str, extension: str) -> Path:
    """Rename to the first free name. A name is taken by creating it, so nobody's file or link is ever replaced."""
    count = 1
    while True:
        path = folder / (f"{name}{extension}" if count == 1 else f"{name}-{count}{extension}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            count += 1
            continue
        try:
            with contextlib.suppress(OSError):  # some file systems have no modes to change
                aside.chmod(path.stat().st_mode)  # as any new file here, not as a temporary one
            aside.replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
