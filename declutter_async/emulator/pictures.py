"""Pictures in, pictures out: check a JPEG or PNG, and take clutter out of a photo.

A stand-in made of classic computer vision, not a model: what stands out of floors, walls and furniture is
found by its colour and shape (`find_clutter`), and filled from what is around it (`inpainting.fill_holes`).

Pictures are decoded as `cv2.imdecode` does it: the EXIF orientation is applied, 16 bits become 8, alpha is dropped.
Sizes are those of the picture as it is seen, so a mask belongs to the turned photo.
"""

import struct
import zlib
from typing import Literal

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from declutter_async.emulator.clutter import find_clutter
from declutter_async.emulator.inpainting import fill_holes

__all__ = ["MAX_PIXELS", "PictureError", "PictureInfo", "declutter", "find_clutter", "inspect_picture"]

MAX_PIXELS = 64_000_000
_JPEG_QUALITY = 92
_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers; C4, C8 and CC in that range are tables and a reserved code.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length behind them: TEM and the restart markers.
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})


class PictureError(ValueError):
    """Bytes that are no whole, sane JPEG or PNG, or a mask that does not fit its photo."""


@attrs.frozen
class PictureInfo:
    """What a picture is: its format, and its size in pixels as it is seen (after EXIF orientation)."""

    format: Literal["jpeg", "png"]
    width: int
    height: int


def inspect_picture(data: bytes) -> PictureInfo:
    """Check that `data` is a whole JPEG or PNG of at most `MAX_PIXELS` that decodes; raise PictureError if not.

    The size is read from the header before anything is decoded, so a picture that would fill the memory costs nothing.
    """
    kind, image = _decode(data, cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    return PictureInfo(format=kind, width=width, height=height)


def declutter(photo: bytes, mask: bytes | None = None) -> bytes:
    """Return `photo` without its clutter, as a JPEG of the same size.

    With a `mask` (a picture of the same size) just what it marks white goes, and what is well outside stays as it was but
    for JPEG noise. Without one, `find_clutter` says what goes. Raises PictureError for either if it cannot be used.
    """
    _, image = _decode(photo, cv2.IMREAD_COLOR)
    if mask is None:
        hole = find_clutter(image)
    else:
        _, marked = _decode(mask, cv2.IMREAD_GRAYSCALE)
        if marked.shape[:2] != image.shape[:2]:
            raise PictureError(
                f"mask is {marked.shape[1]}x{marked.shape[0]} pixels, the photo {image.shape[1]}x{image.shape[0]}: "
                "draw the mask at the size of the photo (as it is seen, after EXIF orientation)"
            )
        hole = marked > 127  # the nearer half of the greys counts as white
    return _encode_jpeg(fill_holes(image, hole))


def _encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()


def _decode(data: bytes, flags: int) -> tuple[Literal["jpeg", "png"], NDArray[np.uint8]]:
    kind, width, height = _read_header(data)
    if width < 1 or height < 1:
        raise PictureError(f"{kind} says it is {width}x{height} pixels: expected at least 1x1")
    if width * height > MAX_PIXELS:
        raise PictureError(f"{kind} says it is {width}x{height} pixels: expected at most {MAX_PIXELS} in all")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise PictureError(f"{kind} cannot be decoded: {error.err}") from None
    if image is None:
        raise PictureError(f"{kind} cannot be decoded: its header is sane, its content is not")
    return kind, image.astype(np.uint8, copy=False)


def _read_header(data: bytes) -> tuple[Literal["jpeg", "png"], int, int]:
    """Return format, width and height; raise PictureError unless the file is whole from its magic to its end mark."""
    if data.startswith(_JPEG_MAGIC):
        return "jpeg", *_walk_jpeg(data)
    if data.startswith(_PNG_MAGIC):
        return "png", *_walk_png(data)
    if not data:
        raise PictureError("picture is empty: expected a JPEG or PNG")
    raise PictureError(f"picture is neither JPEG nor PNG: it begins with {data[:8]!r}")


def _walk_jpeg(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG whose segments follow each other to the end mark (ITU-T T.81, annex B)."""
    size: tuple[int, int] | None = None
    at = 2
    while True:
        # Entropy-coded data runs to the next FF that is not stuffed (00); FF may be repeated as padding.
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise PictureError("jpeg is cut short: its end mark is missing")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == 0x00 or marker in _JPEG_BARE:
            at += 2
        elif marker == 0xD9:
            break
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if at + 2 + length > len(data) or length < 2:
                raise PictureError(f"jpeg is cut short or broken in its segment FF{marker:02X}")
            if marker in _JPEG_FRAMES and size is None:
                if length < 8:
                    raise PictureError("jpeg has a broken frame header")
                height, width = struct.unpack_from(">HH", data, at + 5)
                size = width, height
            at += 2 + length
    if size is None:
        raise PictureError("jpeg has no frame: nothing says its size")
    return size


def _walk_png(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG whose chunks are whole, each with its right checksum, to its end mark."""
    at = len(_PNG_MAGIC)
    if len(data) < at + 25:
        raise PictureError("png is cut short in its header")
    if data[at : at + 8] != b"\x00\x00\x00\x0dIHDR":
        raise PictureError("png does not begin with its header")
    name = b""
    while name != b"IEND":
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise PictureError("png is cut short: a chunk or its end mark is missing")
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise PictureError(f"png has a wrong checksum in its chunk {name!r}")
        at = end
    width, height = struct.unpack_from(">II", data, len(_PNG_MAGIC) + 8)
    return width, height
