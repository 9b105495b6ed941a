import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from declutter_async.emulator.pictures import (
    MAX_PIXELS,
    PictureError,
    PictureInfo,
    declutter,
    find_clutter,
    inspect_picture,
)

Image = NDArray[np.uint8]


def encode(image: NDArray[Any], kind: str = ".png") -> bytes:
    return cv2.imencode(kind, image)[1].tobytes()


def decode(data: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.uint8)


def floor(width: int = 240, height: int = 160) -> Image:
    """An even floor below an even wall, with a little noise."""
    image = np.full((height, width, 3), (200, 205, 210), np.uint8)
    image[height // 2 :] = (90, 130, 170)
    noise = np.random.default_rng(1).integers(0, 5, image.shape, dtype=np.uint8)
    return image + noise


def with_ball(image: Image) -> tuple[Image, Image]:
    """The image with a red ball on its floor, and the mask of the ball."""
    height, width = image.shape[:2]
    photo, mask = image.copy(), np.zeros((height, width), np.uint8)
    for target, color in ((photo, (30, 30, 220)), (mask, (255, 255, 255))):
        cv2.circle(target, (width // 2, height * 3 // 4), height // 10, color, -1)
    return photo, mask


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG of 24 bits a pixel that says it is `width` x `height`, whatever `pixels` hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


JPEG = encode(floor(), ".jpg")
PNG = encode(floor())


def test_a_jpeg_and_a_png_are_inspected() -> None:
    assert inspect_picture(JPEG) == PictureInfo(format="jpeg", width=240, height=160)
    assert inspect_picture(PNG) == PictureInfo(format="png", width=240, height=160)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"GIF89a" + bytes(40), "neither JPEG nor PNG.*GIF89a"),
        (b"<html>not found</html>", "neither JPEG nor PNG"),
        (JPEG[: len(JPEG) // 2], "jpeg is cut short"),
        (JPEG[:-2], "jpeg is cut short"),
        (JPEG[:30], "jpeg is cut short or broken in its segment"),
        (b"\xff\xd8\xff\xd9", "jpeg has no frame"),
        (b"\xff\xd8\xff\xc0\x00\x04\x08\x00\xff\xd9", "jpeg has a broken frame header"),
        (b"\xff\xd8\xff\xff\xc0\x00\x08\x08\x00\x10\x00\x10\x00\xff\xd9", "jpeg cannot be decoded"),
        (b"\xff\xd8\xff\xc0\x00\x08\x08\x00\x00\x00\x10\x00\xff\xd9", "16x0 pixels: expected at least 1x1"),
        (PNG[: len(PNG) // 2], "png is cut short: a chunk"),
        (PNG[:-12], "png is cut short: a chunk or its end mark"),
        (PNG[:20], "png is cut short in its header"),
        (PNG[:8] + PNG[33:], "png does not begin with its header"),
        (PNG[:50] + b"\x00\x01" + PNG[52:], "wrong checksum in its chunk b'IDAT'"),
        (PNG[:8] + chunk(b"IEND", bytes(20)), "png does not begin with its header"),
        (png(0, 10, b""), "0x10 pixels: expected at least 1x1"),
        (png(10, 10, bytes(31 * 4)), "png cannot be decoded"),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        inspect_picture(data)
    with pytest.raises(PictureError, match=reason):
        declutter(data)
    with pytest.raises(PictureError, match=reason):
        declutter(JPEG, data)


def test_a_bomb_is_refused_by_its_header() -> None:
    # 50,000 x 50,000 pixels would be 7.5 GB decoded; its pixels are not even there.
    with pytest.raises(PictureError, match=f"50000x50000 pixels: expected at most {MAX_PIXELS}"):
        inspect_picture(png(50_000, 50_000, b""))
    start = JPEG.index(b"\xff\xc0") + 5
    with pytest.raises(PictureError, match="65535x65535"):
        inspect_picture(JPEG[:start] + b"\xff\xff\xff\xff" + JPEG[start + 4 :])


@given(data=st.one_of(st.binary(max_size=200), st.integers(0, len(JPEG) - 1).map(lambda end: JPEG[:end])))
def test_other_bytes_are_refused_and_never_crash(data: bytes) -> None:
    with pytest.raises(PictureError):
        inspect_picture(data)


@given(at=st.integers(0, len(PNG) - 1), value=st.integers(1, 255))
def test_a_png_with_any_byte_changed_is_refused(at: int, value: int) -> None:
    broken = bytearray(PNG)
    broken[at] ^= value
    with pytest.raises(PictureError):
        inspect_picture(bytes(broken))


def test_exif_orientation_is_applied_to_size_and_result() -> None:
    # APP1 with one TIFF entry: orientation (0x0112) 6, a quarter turn to the right.
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    segment = b"Exif\x00\x00" + tiff
    turned = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + JPEG[2:]
    assert inspect_picture(turned) == PictureInfo(format="jpeg", width=160, height=240)
    assert inspect_picture(declutter(turned)) == PictureInfo(format="jpeg", width=160, height=240)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_what_the_mask_marks_goes_and_the_rest_stays(kind: str) -> None:
    clean = floor(480, 320)
    photo, mask = with_ball(clean)
    result = declutter(encode(photo, kind), encode(mask, ".png"))
    assert inspect_picture(result) == PictureInfo(format="jpeg", width=480, height=320)
    difference = np.abs(decode(result).astype(int) - clean).mean(axis=2)
    assert difference[mask > 0].mean() < 12
    untouched = cv2.dilate(mask, np.ones((25, 25), np.uint8)) == 0
    was = np.abs(decode(result).astype(int) - photo).mean(axis=2)
    assert was[untouched].max() < 25
    assert was[untouched].mean() < 3


def test_only_what_is_marked_goes() -> None:
    photo, mask = with_ball(floor(480, 320))
    cv2.circle(photo, (80, 240), 30, (30, 200, 30), -1)
    result = decode(declutter(encode(photo), encode(mask)))
    assert np.abs(result[240, 80].astype(int) - (30, 200, 30)).max() < 20
    assert np.abs(result[240, 240].astype(int) - (92, 132, 172)).max() < 30


def test_a_black_mask_changes_nothing_and_a_white_one_has_nothing_to_go_by() -> None:
    photo, _ = with_ball(floor())
    black, white = np.zeros(photo.shape[:2], np.uint8), np.full(photo.shape[:2], 255, np.uint8)
    kept = declutter(encode(photo), encode(black))
    assert np.abs(decode(kept).astype(int) - photo).mean() < 3
    assert declutter(encode(photo), encode(white)) == kept


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(PictureError, match="mask is 120x160 pixels, the photo 240x160"):
        declutter(PNG, encode(np.zeros((160, 120), np.uint8)))


def test_the_same_photo_gives_the_same_bytes() -> None:
    photo, mask = with_ball(floor())
    assert declutter(encode(photo)) == declutter(encode(photo))
    assert declutter(encode(photo), encode(mask)) == declutter(encode(photo), encode(mask))


GREY = floor()[..., 0]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: GREY, id="grey"),
        pytest.param(lambda: GREY.astype(np.uint16) * 257, id="grey 16 bits"),
        pytest.param(lambda: floor().astype(np.uint16) * 257, id="color 16 bits"),
        pytest.param(lambda: cv2.cvtColor(floor(), cv2.COLOR_BGR2BGRA), id="alpha"),
    ],
)
def test_other_pixels_are_read_too(make: Callable[[], NDArray[Any]]) -> None:
    photo = encode(make())
    mask = encode(with_ball(floor())[1])
    assert inspect_picture(photo) == PictureInfo(format="png", width=240, height=160)
    for result in (declutter(photo), declutter(photo, mask)):
        assert inspect_picture(result) == PictureInfo(format="jpeg", width=240, height=160)


def test_a_mask_may_be_a_jpeg_or_colored_or_have_alpha() -> None:
    photo, mask = with_ball(floor())
    usual = decode(declutter(encode(photo), encode(mask)))
    masks = (
        encode(mask, ".jpg"),
        encode(cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)),
        encode(cv2.cvtColor(mask, cv2.COLOR_GRAY2BGRA)),
    )
    for other in masks:
        assert np.abs(decode(declutter(encode(photo), other)).astype(int) - usual).mean() < 1


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]),
)
@settings(deadline=None)
def test_tiny_pictures_work(width: int, height: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    photo = encode(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    mask = encode(np.where(rng.random((height, width)) < share, 255, 0).astype(np.uint8))
    for result in (declutter(photo), declutter(photo, mask)):
        assert inspect_picture(result) == PictureInfo(format="jpeg", width=width, height=height)


@pytest.mark.parametrize("size", [(3000, 4), (4, 3000), (33_000, 8)])
def test_long_thin_pictures_work(size: tuple[int, int]) -> None:
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 3 : width // 2] = 255
    result = declutter(encode(floor(width, height)), encode(mask))
    assert inspect_picture(result) == PictureInfo(format="jpeg", width=width, height=height)


def test_nothing_is_found_where_nothing_stands_out() -> None:
    assert not find_clutter(floor(480, 320)).any()
    assert not find_clutter(np.full((300, 400, 3), 128, np.uint8)).any()


def test_things_on_the_floor_are_found() -> None:
    rng = np.random.default_rng(5)
    photo, mask = floor(480, 320), np.zeros((320, 480), np.uint8)
    for _ in range(30):
        corner = rng.integers((60, 190), (400, 290))
        other = corner + rng.integers(8, 22, 2)
        color = rng.integers(0, 256, 3).tolist()
        for target, value in ((photo, color), (mask, 255)):
            cv2.rectangle(target, corner.tolist(), other.tolist(), value, -1)
    found = find_clutter(photo)
    assert found.shape == (320, 480)
    assert found.dtype == np.bool_
    # Half of it will do: the weights are those of rooms, and this is no room.
    assert found[mask > 0].mean() > 0.4
    assert found[mask == 0].mean() < 0.1
