"""Filling holes in a photo from what is around them.

The fill is found on a small copy, by patches (after Barnes et al., "PatchMatch", 2009: random tries and good neighbours,
here for all pixels at once), and taken back to full size with the fine texture of the places that the patches came from.
"""

from itertools import product

import cv2
import numpy as np

from declutter_async.emulator.arrays import Bools, Bytes, Floats, Ints

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
_TILE = 512  # pixels, both ways, that are enlarged at a time: large photos take little more memory


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
    known = _resize((~wide).astype(np.uint8) * np.uint8(255), size, cv2.INTER_AREA) / np.float32(255)
    small = _spread(_resize(image * ~wide[..., None], size, cv2.INTER_AREA), known)
    filled, sources = _complete(small, known < 0.5)  # mostly hole
    soft = np.asarray(cv2.GaussianBlur(wide.astype(np.uint8) * np.uint8(255), (0, 0), reach), np.uint8)
    soft[wide] = 255
    soft[~_dilate(wide, 2 * reach)] = 0
    result = image.copy()
    for top, left in product(range(0, height, _TILE), range(0, width, _TILE)):
        tile = slice(top, min(top + _TILE, height)), slice(left, min(left + _TILE, width))
        if soft[tile].any():
            share = soft[tile][..., None] / np.float32(255)
            mixed = image[tile] * (1 - share) + _enlarge(image, small, filled, sources, tile) * share
            result[tile] = np.clip(np.rint(mixed), 0, 255)
    return result


def _dilate(mask: Bools, radius: int) -> Bools:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _shrink(image: Floats, known: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Image and known share at `size` (width, height); only known pixels count, and the rest is spread from them."""
    weight = _resize(known, size, cv2.INTER_AREA)
    return _spread(_resize(image * known[..., None], size, cv2.INTER_AREA), weight), weight


def _resize(image: Floats | Bytes, size: tuple[int, int], way: int) -> Floats:
    """`image` at `size` (width, height); one row, column or channel stays an axis of its own."""
    resized = np.asarray(cv2.resize(image, size, interpolation=way), np.float32)
    return resized.reshape(size[1], size[0], *image.shape[2:])


def _spread(total: Floats, weight: Floats) -> Floats:
    """Weighted sums into averages; where nothing is known, those of the coarser level (pull, then push)."""
    height, width = weight.shape
    average: Floats = total / np.maximum(weight, 1e-6)[..., None]
    if (weight > 0).all() or max(height, width) <= 1:
        return average
    half = (width + 1) // 2, (height + 1) // 2
    coarser = _spread(_resize(total, half, cv2.INTER_AREA), _resize(weight, half, cv2.INTER_AREA))
    share = np.minimum(weight, 1.0)[..., None]
    mixed: Floats = average * share + _resize(coarser, (width, height), cv2.INTER_LINEAR) * (1 - share)
    return mixed


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
            guess = np.where(gap[..., None], _resize(guess, size, cv2.INTER_LINEAR), scene)
            sources = _resample(sources, gap.shape)
        for _ in range(_ROUNDS):
            guess, sources = _improve(guess, gap, sources, rng)
    return guess, sources


def _places(shape: tuple[int, ...]) -> Ints:
    """The (row, column) of each pixel."""
    return np.moveaxis(np.indices(shape), 0, -1).copy()


def _resample(sources: Ints, shape: tuple[int, ...]) -> Ints:
    """`sources` for an image of another size."""
    old = np.array(sources.shape[:2])
    ratio = np.array(shape) / old
    nearest = np.minimum(_places(shape) / ratio, old - 1).astype(np.intp)
    shifts = (sources - _places(sources.shape[:2]))[nearest[..., 0], nearest[..., 1]]
    resampled: Ints = _places(shape) + np.rint(shifts * ratio).astype(np.intp)
    return resampled


def _usable(gap: Bools) -> Bools:
    """Where a whole patch lies in the image and outside the gap."""
    usable = ~_dilate_square(gap, 2 * _RADIUS + 1)
    usable[:_RADIUS] = usable[-_RADIUS:] = usable[:, :_RADIUS] = usable[:, -_RADIUS:] = False
    return usable


def _guess(image: Floats, gap: Bools) -> tuple[Floats, Ints]:
    """A first, smooth fill of `gap` (Telea, 2004), and for each of its pixels the place that looks most like it."""
    sources = _places(gap.shape)
    rough = cv2.inpaint(cv2.convertScaleAbs(image), gap.astype(np.uint8), _REACH, cv2.INPAINT_TELEA)
    guess = np.where(gap[..., None], np.asarray(rough, np.float32).reshape(image.shape), image)
    choices, targets = np.argwhere(_usable(gap)), np.argwhere(gap)
    if len(choices) > 0 and len(targets) > 0:
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
    cost: Floats = away.astype(np.float32) @ np.array([_UP / shape[0], _ASIDE / shape[1]], np.float32)
    return cost


def _patches(image: Floats) -> Floats:
    """The patch around each pixel: (rows, columns, 3, side, side)."""
    side = 2 * _RADIUS + 1
    return np.lib.stride_tricks.sliding_window_view(_padded(image), (side, side), axis=(0, 1))


def _padded(image: Floats) -> Floats:
    return np.pad(image, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)), mode="reflect")


def _improve(guess: Floats, gap: Bools, sources: Ints, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """One round: match each patch that touches the gap with one that does not, then average what they say."""
    side = 2 * _RADIUS + 1
    allowed = _usable(gap)
    choices = np.argwhere(allowed)
    if len(choices) == 0:
        return guess, sources
    padded = _padded(guess)
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


def _enlarge(image: Bytes, small: Floats, filled: Floats, sources: Ints, tile: tuple[slice, slice]) -> Floats:
    """A tile of the small fill at full size, with the detail that its sources have in `image` but not in `small`."""
    height, width = image.shape[:2]
    down, across = height / small.shape[0], width / small.shape[1]
    rows, columns = np.meshgrid(
        *(np.arange(side.start, side.stop, dtype=np.float32) for side in tile), indexing="ij"
    )
    shifts = sources - _places(small.shape[:2])
    at = (rows / np.float32(down)).astype(np.intp), (columns / np.float32(across)).astype(np.intp)
    shift = shifts[np.minimum(at[0], len(shifts) - 1), np.minimum(at[1], shifts.shape[1] - 1)]
    from_row = np.clip(rows + shift[..., 0] * np.float32(down), 0, height - 1)
    from_column = np.clip(columns + shift[..., 1] * np.float32(across), 0, width - 1)

    def at_small(picture: Floats, row: Floats, column: Floats) -> Floats:
        places = (column + np.float32(0.5)) / across - 0.5, (row + np.float32(0.5)) / down - 0.5
        found = cv2.remap(
            picture.astype(np.float32),
            places[0].astype(np.float32),
            places[1].astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(found, np.float32)

    exact = image[np.rint(from_row).astype(np.intp), np.rint(from_column).astype(np.intp)]
    enlarged: Floats = at_small(filled, rows, columns) + exact - at_small(small, from_row, from_column)
    return enlarged
