"""Filling holes in a photo from what is around them.

The fill is found on a small copy, by patches (after Barnes et al., "PatchMatch", 2009: random tries and good neighbours,
here for all pixels at once), and taken back to full size with the fine texture of the places that the patches came from.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

_SMALL_SIDE = 240  # pixels of the longer side at which patches are compared
_LEVELS = (0.5, 1.0)  # of the small copy, from rough to fine
_RADIUS = 2  # of a patch, in pixels of the level
_ROUNDS = 1  # of matching and averaging at each level
_SWEEPS = 3  # of propagation and random search in each round
# Squared grey levels that a source costs for lying higher or lower, and aside, by the whole of the picture.
_UP, _ASIDE = 60_000.0, 13_000.0
_REACH = 3  # pixels that the first fill looks around
_SEARCH = 9  # pixels around a source in which random tries begin
_SEED = 20


def fill_holes(image: Bytes, hole: Bools) -> Bytes:
    """Return `image` (H, W, 3) with the pixels where `hole` (H, W) is true made up from the others.

    What is farther than 1 % of the longer side from the hole stays as it is. A hole that leaves nothing to look at, or an
    empty one, changes nothing.
    """
    height, width = hole.shape
    reach = max(1, round(max(height, width) * 0.003))
    wide = _dilate(hole, reach)
    if not wide.any() or wide.all():
        return image
    scale = min(1.0, _SMALL_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small, known = _shrink(image.astype(np.float32), (~wide).astype(np.float32), size)
    filled_small, sources = _complete(small, known < 0.5)  # mostly hole
    filled = _enlarge(image, small, filled_small, sources)
    soft = np.maximum(cv2.GaussianBlur(wide.astype(np.float32), (0, 0), reach), wide)
    soft[~_dilate(wide, 2 * reach)] = 0
    return cv2.convertScaleAbs(image + (filled - image) * soft[..., None])


def _dilate(mask: Bools, radius: int) -> Bools:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _shrink(image: Floats, known: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Image and known share at `size` (width, height); only known pixels count, and the rest is spread from them."""
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(image * known[..., None], size, interpolation=cv2.INTER_AREA)
    return _spread(total, weight), weight


def _spread(total: Floats, weight: Floats) -> Floats:
    """Weighted sums into averages; where nothing is known, those of the coarser level (pull, then push)."""
    height, width = weight.shape
    average = total / np.maximum(weight, 1e-6)[..., None]
    if (weight > 0).all() or max(height, width) <= 1:
        return average
    half = (width + 1) // 2, (height + 1) // 2
    coarser = _spread(
        cv2.resize(total, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 3),
        cv2.resize(weight, half, interpolation=cv2.INTER_AREA),
    )
    pushed = cv2.resize(coarser, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.minimum(weight, 1.0)[..., None]
    return average * share + pushed * (1 - share)


def _complete(image: Floats, hole: Bools) -> tuple[Floats, Ints]:
    """Fill `hole` level by level; return the image and the (row, column) each of its pixels is taken from."""
    height, width = hole.shape
    rng = np.random.default_rng(_SEED)
    guess, sources = image, _places(hole.shape)
    for number, level in enumerate(_LEVELS):
        size = max(1, round(width * level)), max(1, round(height * level))
        scene, known = _shrink(image, (~hole).astype(np.float32), size)
        gap = known < 0.5  # mostly hole
        if number == 0:
            guess, sources = _guess(scene, gap)
        else:
            enlarged = cv2.resize(guess, size, interpolation=cv2.INTER_LINEAR).reshape(scene.shape)
            guess, sources = np.where(gap[..., None], enlarged, scene), _resample(sources, gap.shape)
        for _ in range(_ROUNDS):
            guess, sources = _improve(guess, gap, sources, rng)
    return guess, sources


def _places(shape: tuple[int, ...]) -> Ints:
    """The (row, column) of each pixel."""
    return np.stack(np.indices(shape), axis=-1)


def _resample(sources: Ints, shape: tuple[int, ...]) -> Ints:
    """`sources` for an image of another size."""
    rows = np.linspace(0, sources.shape[0] - 1, shape[0]).round().astype(int)
    columns = np.linspace(0, sources.shape[1] - 1, shape[1]).round().astype(int)
    here = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    ratio = np.array([shape[0] / sources.shape[0], shape[1] / sources.shape[1]])
    shifts: Ints = np.rint((sources[rows][:, columns] - here) * ratio).astype(int)
    return _places(shape) + shifts


def _usable(gap: Bools) -> Bools:
    """Where a whole patch lies in the image and outside the gap."""
    usable = ~_dilate_square(gap, 2 * _RADIUS + 1)
    usable[:_RADIUS] = usable[-_RADIUS:] = usable[:, :_RADIUS] = usable[:, -_RADIUS:] = False
    return usable


def _guess(image: Floats, gap: Bools) -> tuple[Floats, Ints]:
    """A first, smooth fill of `gap` (Telea, 2004), and for each of its pixels the place that looks most like it."""
    sources = _places(gap.shape)
    rough = cv2.inpaint(cv2.convertScaleAbs(image), gap.astype(np.uint8), _REACH, cv2.INPAINT_TELEA)
    guess = np.where(gap[..., None], rough.reshape(image.shape).astype(np.float32), image)
    choices, targets = np.argwhere(_usable(gap)), np.argwhere(gap)
    if len(choices) > 0:
        patches = _patches(guess)
        given = patches[choices[:, 0], choices[:, 1]].reshape(len(choices), -1)
        squares = np.einsum("ij,ij->i", given, given)
        for part in np.array_split(targets, -(-len(targets) // 256)):
            wanted = patches[part[:, 0], part[:, 1]].reshape(len(part), -1)
            error = squares - 2 * (wanted @ given.T) + _remoteness(choices[None], part[:, None], gap.shape)
            sources[part[:, 0], part[:, 1]] = choices[error.argmin(axis=1)]
    return guess, sources


def _remoteness(sources: Ints, targets: Ints, shape: tuple[int, ...]) -> Floats:
    """What it costs that a source lies elsewhere: near looks alike, and more so at the same height."""
    away = np.abs(sources - targets)
    return (away[..., 0] * np.float32(_UP / shape[0]) + away[..., 1] * np.float32(_ASIDE / shape[1])).astype(
        np.float32
    )


def _patches(image: Floats) -> Floats:
    """The patch around each pixel: (rows, columns, 3, side, side)."""
    padded = cv2.copyMakeBorder(image, *[_RADIUS] * 4, cv2.BORDER_REFLECT_101)
    side = 2 * _RADIUS + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))  # type: ignore[no-any-return]


def _improve(guess: Floats, gap: Bools, sources: Ints, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """One round: match each patch that touches the gap with one that does not, then average what they say."""
    side = 2 * _RADIUS + 1
    allowed = _usable(gap)
    choices = np.argwhere(allowed)
    if len(choices) == 0:
        return guess, sources
    padded = cv2.copyMakeBorder(guess, *[_RADIUS] * 4, cv2.BORDER_REFLECT_101)
    targets = np.argwhere(_dilate_square(gap, side))
    sources = _match(_patches(guess), allowed, choices, targets, sources, rng)
    total = np.zeros_like(padded)
    count = np.zeros(padded.shape[:2], np.float32)
    origin = sources[targets[:, 0], targets[:, 1]]
    for row in range(side):
        for column in range(side):
            at = targets[:, 0] + row, targets[:, 1] + column
            total[at] += padded[origin[:, 0] + row, origin[:, 1] + column]
            count[at] += 1
    inner = slice(_RADIUS, -_RADIUS)
    said = total[inner, inner] / np.maximum(count[inner, inner], 1)[..., None]
    return np.where(gap[..., None], said, guess), sources


def _match(
    patches: Floats, allowed: Bools, choices: Ints, targets: Ints, sources: Ints, rng: np.random.Generator
) -> Ints:
    """PatchMatch: a better source (row, column) for each target, from its neighbours' and from random ones near it."""
    limit = np.array(allowed.shape) - 1
    wanted = patches[targets[:, 0], targets[:, 1]].reshape(len(targets), -1)

    def cost(tried: Ints) -> Floats:
        difference = patches[tried[:, 0], tried[:, 1]].reshape(len(targets), -1) - wanted
        error = np.einsum("ij,ij->i", difference, difference) + _remoteness(tried, targets, allowed.shape)
        return np.where(allowed[tried[:, 0], tried[:, 1]], error, np.inf).astype(np.float32)

    best = np.clip(sources[targets[:, 0], targets[:, 1]], 0, limit)
    lost = ~allowed[best[:, 0], best[:, 1]]
    best[lost] = choices[rng.integers(0, len(choices), int(lost.sum()))]
    price = cost(best)
    field = sources.copy()
    for sweep in range(_SWEEPS):
        field[targets[:, 0], targets[:, 1]] = best
        tries = [
            field[tuple(np.clip(targets - step, 0, limit).T)] + step
            for step in (
                np.array(pair) * 2 ** (_SWEEPS - 1 - sweep) for pair in ((0, 1), (1, 0), (0, -1), (-1, 0))
            )
        ]
        spread = _SEARCH
        while spread > 0:
            tries.append(best + rng.integers(-spread, spread + 1, best.shape))
            spread //= 3
        for tried in tries:
            tried_inside = np.clip(tried, 0, limit)
            tried_price = cost(tried_inside)
            better = tried_price < price
            best[better], price[better] = tried_inside[better], tried_price[better]
    field[targets[:, 0], targets[:, 1]] = best
    return field


def _dilate_square(mask: Bools, side: int) -> Bools:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _enlarge(image: Bytes, small: Floats, filled: Floats, sources: Ints) -> Floats:
    """The small fill at full size, plus the detail that each source has in the full image and not in the small one."""
    height, width = image.shape[:2]
    size = width, height
    scale = np.array([height / small.shape[0], width / small.shape[1]], np.float32)
    shift = (sources - np.stack(np.indices(small.shape[:2]), axis=-1)).astype(np.float32) * scale
    shift = cv2.resize(shift, size, interpolation=cv2.INTER_NEAREST)
    rows, columns = np.indices((height, width), dtype=np.float32)
    detail = image - cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    moved = cv2.remap(
        detail,
        columns + shift[..., 1],
        rows + shift[..., 0],
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR) + moved
