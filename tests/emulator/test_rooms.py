from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from declutter_async.emulator.pictures import PictureInfo, declutter, find_clutter, inspect_picture
from declutter_async.emulator.room_layout import arrange
from declutter_async.emulator.rooms import Room, render_room

SEEDS = range(12)

room = cache(render_room)


def decode(data: bytes) -> NDArray[np.int_]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(int)


def marked(made: Room) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = decode(made.mask)[..., 0] > 127
    return mask


def difference(one: bytes, other: bytes) -> NDArray[np.float64]:
    """Mean absolute difference of each pixel, over its colours."""
    mean: NDArray[np.float64] = np.abs(decode(one) - decode(other)).mean(axis=2)
    return mean


@pytest.mark.parametrize("seed", SEEDS)
def test_auto_brings_a_room_nearer_to_its_clean_self(seed: int) -> None:
    made = room(seed)
    mask = marked(made)
    before = difference(made.cluttered, made.clean)[mask].mean()
    after = difference(declutter(made.cluttered), made.clean)[mask].mean()
    assert after <= 0.5 * before


@pytest.mark.parametrize("seed", SEEDS)
def test_clutter_is_found_where_it_is(seed: int) -> None:
    made = room(seed)
    mask = marked(made)
    found = find_clutter(decode(made.cluttered).astype(np.uint8))
    assert (found & mask).sum() / (found | mask).sum() >= 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mask_is_where_the_two_photos_differ(seed: int) -> None:
    made = room(seed)
    mask, apart = marked(made), difference(made.cluttered, made.clean)
    assert 0.03 < mask.mean() < 0.3
    assert apart[mask].mean() > 20
    # Outside there is no more than the soft rim of shadows, and the noise of a JPEG.
    assert apart[~mask].mean() < 2


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_with_its_mask_the_clutter_goes_and_nothing_else(seed: int) -> None:
    made = room(seed)
    mask = marked(made)
    result = declutter(made.cluttered, made.mask)
    assert (
        difference(result, made.clean)[mask].mean()
        <= 0.5 * difference(made.cluttered, made.clean)[mask].mean()
    )
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((29, 29), np.uint8)) == 0
    assert difference(result, made.cluttered)[outside].mean() < 2


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_clean_room_stays_much_as_it_is(seed: int) -> None:
    made = room(seed)
    assert find_clutter(decode(made.clean).astype(np.uint8)).mean() < 0.05
    assert difference(declutter(made.clean), made.clean).mean() < 2.5


def test_the_pictures_of_a_room_fit_together() -> None:
    made = room(0)
    assert inspect_picture(made.cluttered) == PictureInfo(format="jpeg", width=1200, height=800)
    assert inspect_picture(made.clean) == PictureInfo(format="jpeg", width=1200, height=800)
    assert inspect_picture(made.mask) == PictureInfo(format="png", width=1200, height=800)
    assert set(np.unique(decode(made.mask))) == {0, 255}


def test_a_seed_makes_the_same_room_again() -> None:
    assert render_room(3) == room(3)


def test_each_seed_makes_a_room_of_its_own() -> None:
    assert len({room(seed).clean for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", range(100, 124))
def test_furniture_stands_within_its_room(seed: int) -> None:
    layout = arrange(np.random.default_rng(seed))
    width, height, length = layout.size
    for x, z, across, deep in layout.taken:
        assert -0.05 < x - across < x + across < width + 0.05
        assert 1 < z - deep < z + deep < length + 0.05
    assert layout.tops
    assert all(0.3 < top.center[1] < 1.2 for top in layout.tops)
    for source in (layout.lights.window, layout.lights.lamp):
        assert all(0 < at < most for at, most in zip(source, (width, height, length), strict=True))
    assert [wall.texture.std() > 0 for wall in layout.walls] == [True] * 5
