"""Finding clutter in a photo of a room by what sets it apart from floors, walls and furniture.

Large, even surfaces give a room its few common colours. Clutter has rare ones, has edges close together and lies low in
the picture. These signs are measured at each pixel of a small copy and added up with fixed weights; the weights were
fitted by logistic regression on rendered rooms (`rooms.py`, seeds 1000 to 1047). Nothing else about the room is known.
"""

import cv2
import numpy as np

from declutter_async.emulator.arrays import Bools, Bytes, Floats

_SIDE = 300  # pixels of the longer side at which the photo is looked at
_TOP = 0.35  # share of the picture, from above, where nothing is clutter: it lies below the eye's level
_FOLIAGE = (105, 150)  # degrees of hue (CIE Lab) of leaves: a plant stays
_SMALLEST = 0.0007  # share of the picture that a thing covers at least
_SURFACE = 0.012  # share of the picture that a large surface covers at least
_THRESHOLD = -0.7  # of the score: what is clutter at odds of 1 to 2 goes
_BIAS = 4.77
# One for each of `signs`, in their order.
_WEIGHTS = (1.00, 0.85, 0.50, -0.34, 0.37, -4.78, 3.43, -3.03, 9.89)


def find_clutter(image: Bytes) -> Bools:
    """Return where `image` (H, W, 3, BGR) shows things that stand out of its large, even surfaces: (H, W) of bool."""
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    colors = np.asarray(cv2.bilateralFilter(lab, 5, 8, 3), np.float32)
    score = np.full((size[1], size[0]), _BIAS, np.float32)
    for weight, sign in zip(_WEIGHTS, signs(colors), strict=True):
        score += np.float32(weight) * sign
    found = score > _THRESHOLD
    found[: round(_TOP * size[1])] = False
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, figures, _ = cv2.connectedComponentsWithStats(opened)
    things = np.asarray(figures, np.int32)[:, cv2.CC_STAT_AREA] > _SMALLEST * score.size
    things[0] = False  # the background
    other = ~things[np.asarray(labels, np.int32)]
    score[other] = np.minimum(score[other], _THRESHOLD - 1)
    large = cv2.resize(score, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32).reshape(height, width) > _THRESHOLD


def signs(colors: Floats) -> list[Floats]:
    """What speaks for or against clutter at each pixel of `colors` (H, W, 3, CIE Lab)."""
    height, width = colors.shape[:2]
    light, chroma = colors[..., 0], np.hypot(colors[..., 1], colors[..., 2])
    hue = np.degrees(np.arctan2(colors[..., 2], colors[..., 1]))
    foliage = ((hue > _FOLIAGE[0]) & (hue < _FOLIAGE[1]) & (chroma > 9)).astype(np.float32)
    steps = np.maximum.reduce(
        [_slope(colors[..., 0]) * np.float32(0.5), _slope(colors[..., 1]), _slope(colors[..., 2])]
    )
    even, calm = (steps < 2).astype(np.float32), (steps < 4).astype(np.float32)
    low = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width))
    return [
        _blur(_rarity(colors, (5.0, 4.0, 4.0)), 6),
        _blur(_rarity(colors, (200.0, 3.0, 3.0)), 1.5),
        np.log1p(_blur(_apart(colors, even), 1.5)),
        np.sqrt(_blur(chroma, 1.5)),
        np.log1p(_blur(_slope(light), 4)),
        np.asarray(cv2.blur(even, (13, 13)), np.float32),
        np.asarray(cv2.blur(calm, (13, 13)), np.float32),
        _blur(foliage, 3),
        low,
    ]


def _blur(values: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _slope(values: Floats) -> Floats:
    """How much `values` change from pixel to pixel."""
    across, down = (np.asarray(cv2.Sobel(values, -1, *way), np.float32) for way in ((1, 0), (0, 1)))
    return np.hypot(across, down) * np.float32(0.25)


def _rarity(colors: Floats, steps: tuple[float, float, float]) -> Floats:
    """How few pixels have a colour like each pixel's: minus the logarithm of their count, in bins `steps` wide."""
    bins = np.floor(colors / np.array(steps, np.float32)).astype(np.int32).reshape(-1, 3)
    bins -= bins.min(axis=0) - 1  # a margin for the smoothing
    count = np.zeros(bins.max(axis=0) + 2, np.float32)
    np.add.at(count, tuple(bins.T), 1)
    for axis in range(3):
        count += (np.roll(count, 1, axis) + np.roll(count, -1, axis)) * np.float32(0.5)
    rarity: Floats = -np.log(count[tuple(bins.T)] * np.float32(60_000 / len(bins)))
    return rarity.reshape(colors.shape[:2])


def _apart(colors: Floats, even: Floats) -> Floats:
    """How far each pixel's colour is from those of the large even surfaces."""
    _, found, figures, _ = cv2.connectedComponentsWithStats(even.astype(np.uint8), connectivity=4)
    labels, areas = np.asarray(found, np.int32), np.asarray(figures, np.int32)[:, cv2.CC_STAT_AREA]
    large = [label for label in range(1, len(areas)) if areas[label] > _SURFACE * labels.size]
    means = [colors[labels == label].mean(axis=0) for label in large] or [colors.reshape(-1, 3).mean(axis=0)]
    weights = np.array((0.4, 1, 1), np.float32)  # light and shade change a surface less than its hue
    nearest: Floats = np.min(
        np.stack([np.linalg.norm((colors - mean) * weights, axis=2) for mean in means]), axis=0
    )
    return nearest
