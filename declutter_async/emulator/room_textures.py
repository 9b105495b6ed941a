"""Textures of rendered rooms, as BGR pictures: floors, walls, cloth, wood, a view, prints on walls."""

import cv2
import numpy as np

from declutter_async.emulator.arrays import Bytes, Floats
from declutter_async.emulator.room_raster import Vector

Rng = np.random.Generator
_DENSITY = 220  # pixels per metre of floors and walls


def tone(color: Vector, factor: float) -> Vector:
    """`color` made lighter or darker."""
    blue, green, red = (min(250.0, part * factor) for part in color)
    return blue, green, red


def clouds(rng: Rng, shape: tuple[int, int], cell: tuple[float, float]) -> Floats:
    """Smooth noise around 0 (standard deviation about 0.5) whose lumps are `cell` (rows, columns) pixels large."""
    grid = max(2, round(shape[0] / cell[0])), max(2, round(shape[1] / cell[1]))
    small = rng.standard_normal(grid, np.float32)
    return np.asarray(cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def shaded(color: Vector, shade: Floats) -> Bytes:
    """`color` times `shade` (about 1), as a picture."""
    return np.clip(np.rint(shade[..., None] * np.array(color, np.float32)), 0, 255).astype(np.uint8)


def planks(rng: Rng, width: float, length: float, color: Vector, board: float, contrast: float) -> Bytes:
    """A floor of boards (metres wide: `board`) that run along its `length`."""
    shape = round(length * _DENSITY), round(width * _DENSITY)
    column = (np.arange(shape[1]) / (board * _DENSITY)).astype(np.intp)
    long = rng.uniform(1.1, 1.9) * _DENSITY
    offsets: Floats = rng.uniform(0, long, int(column[-1]) + 1)
    along: Floats = (np.arange(shape[0])[:, None] + offsets[column][None]) / long
    tones = rng.normal(1, contrast, (column[-1] + 1, int(along.max()) + 2)).astype(np.float32)
    shade = tones[column[None], along.astype(int)]
    shade += np.float32(0.05) * clouds(rng, shape, (90, 3)) + np.float32(0.035) * clouds(
        rng, shape, (30, 1.5)
    )
    place = (np.arange(shape[1]) / (board * _DENSITY)) % 1
    shade[:, place < 1.4 / (board * _DENSITY)] *= np.float32(0.72)
    shade[(along % 1) < 1.6 / long] *= np.float32(0.75)
    return shaded(color, shade)


def herringbone(rng: Rng, width: float, length: float, color: Vector, board: float, contrast: float) -> Bytes:
    """A floor of short boards laid in a zigzag."""
    shape = round(length * _DENSITY), round(width * _DENSITY)
    wide, ratio = board * 0.6 * _DENSITY, 5
    rows, columns = np.indices(shape, dtype=np.float32)
    band = wide * ratio / np.float32(np.sqrt(2))
    fold = (columns / band).astype(int)
    inside = columns - fold * band
    slanted = (rows + np.where(fold % 2 == 0, inside, band - inside)) / (wide * np.float32(np.sqrt(2)))
    index = slanted.astype(int)
    tones = rng.normal(1, contrast, (int(fold.max()) + 1, int(index.max()) + 1)).astype(np.float32)
    shade = tones[fold, index] + np.float32(0.05) * clouds(rng, shape, (8, 3))
    shade[(slanted % 1) < 0.07] *= np.float32(0.78)
    shade[inside < 1.2] *= np.float32(0.8)
    return shaded(color, shade)


def tiles(rng: Rng, width: float, length: float, color: Vector, side: float, contrast: float) -> Bytes:
    """Square tiles with joints, `side` metres wide."""
    shape = round(length * _DENSITY), round(width * _DENSITY)
    size = side * _DENSITY
    row, column = np.arange(shape[0]) / size, np.arange(shape[1]) / size
    tones = rng.normal(1, contrast * 0.6, (int(row[-1]) + 1, int(column[-1]) + 1)).astype(np.float32)
    shade = tones[row.astype(int)][:, column.astype(int)] + np.float32(0.02) * clouds(rng, shape, (30, 30))
    shade[(row % 1) < 2 / size] *= np.float32(0.8)
    shade[:, (column % 1) < 2 / size] *= np.float32(0.8)
    return shaded(color, shade)


def carpet(rng: Rng, width: float, length: float, color: Vector) -> Bytes:
    """A carpet's short pile."""
    shape = round(length * _DENSITY), round(width * _DENSITY)
    shade = 1 + np.float32(0.055) * rng.standard_normal(shape, np.float32)
    shade += np.float32(0.035) * clouds(rng, shape, (6, 6)) + np.float32(0.02) * clouds(rng, shape, (90, 90))
    return shaded(color, shade)


def plaster(rng: Rng, width: float, height: float, color: Vector) -> Bytes:
    """A painted wall, or a ceiling: almost even."""
    shape = round(height * _DENSITY), round(width * _DENSITY)
    shade = (
        1
        + np.float32(0.006) * clouds(rng, shape, (120, 120))
        + np.float32(0.008) * clouds(rng, shape, (3, 3))
    )
    return shaded(color, shade)


def wallpaper(rng: Rng, width: float, height: float, color: Vector) -> Bytes:
    """Wallpaper: stripes or a small repeated figure, a little lighter or darker than its ground."""
    shape = round(height * _DENSITY), round(width * _DENSITY)
    strength = np.float32(rng.choice([-1, 1]) * rng.uniform(0.03, 0.06))
    step = int(rng.uniform(0.1, 0.22) * _DENSITY)
    if rng.random() < 0.5:
        figure = np.zeros((8, step), np.float32)
        figure[:, : step // 2] = 1
    else:
        figure = np.zeros((step, step), np.float32)
        middle = step // 2
        cv2.ellipse(figure, (middle, middle), (step // 5, step // 3), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
        cv2.ellipse(figure, (middle, middle), (step // 10, step // 5), 0, 0, 360, 0.0, -1, cv2.LINE_AA)
        for corner in ((0, 0), (0, step - 1), (step - 1, 0), (step - 1, step - 1)):
            cv2.circle(figure, corner, step // 6, 1.0, -1, cv2.LINE_AA)
    repeat = -(-shape[0] // figure.shape[0]), -(-shape[1] // figure.shape[1])
    pattern = cv2.GaussianBlur(np.tile(figure, repeat)[: shape[0], : shape[1]], (0, 0), 0.8)
    shade = 1 + strength * pattern + np.float32(0.008) * clouds(rng, shape, (3, 3))
    return shaded(color, shade)


def cloth(rng: Rng, color: Vector, strength: float = 0.05) -> Bytes:
    """Woven cloth, to be laid as tiles."""
    shape = 128, 128
    weave = rng.standard_normal((128, 1), np.float32) + rng.standard_normal((1, 128), np.float32)
    shade = 1 + np.float32(strength) * (
        np.float32(0.5) * weave + np.float32(0.7) * rng.standard_normal(shape, np.float32)
    )
    return shaded(color, shade)


def stripes(color: Vector, other: Vector, count: int) -> Bytes:
    """Even stripes across, to be laid as tiles or fitted."""
    rows = np.where((np.arange(128) * count // 64) % 2 == 0, 1, 0)[:, None, None]
    return np.broadcast_to(np.where(rows, np.array(color), np.array(other)), (128, 128, 3)).astype(np.uint8)


def grain(rng: Rng, color: Vector) -> Bytes:
    """Wood of furniture, to be laid as tiles: grain along its columns' direction."""
    shade = (
        1
        + np.float32(0.05) * clouds(rng, (128, 256), (2, 90))
        + np.float32(0.03) * clouds(rng, (128, 256), (9, 150))
    )
    return shaded(color, shade)


def _ridge(rng: Rng, hills: int, width: int) -> Floats:
    """A smooth line with some `hills`, around 0."""
    heights = rng.standard_normal((1, hills), np.float32)
    return np.asarray(cv2.resize(heights, (width, 1), interpolation=cv2.INTER_CUBIC), np.float32).reshape(
        width
    )


def view(rng: Rng) -> Bytes:
    """What a window shows: a bright sky over blurred trees."""
    sky = np.linspace(0, 1, 160, dtype=np.float32)[:, None, None]
    picture = np.array((255, 248, 240), np.float32) * (1 - sky) + np.array((252, 252, 252), np.float32) * sky
    picture = np.broadcast_to(picture, (160, 200, 3)).copy()
    trees = np.arange(160)[:, None] > 95 + 22 * _ridge(rng, 9, 200)[None]
    leaves = np.array((168, 200, 186), np.float32) * (1 + 0.1 * clouds(rng, (160, 200), (6, 6))[..., None])
    picture = np.where(trees[..., None], leaves, picture)
    return np.asarray(cv2.convertScaleAbs(cv2.GaussianBlur(picture, (0, 0), 4)), np.uint8)


def art(rng: Rng, colors: tuple[Vector, ...]) -> Bytes:
    """A print behind a mount: hills, or some round and square shapes."""
    picture = np.full((150, 120, 3), 236, np.uint8)
    inner = picture[16:-16, 14:-14]
    inner[:] = np.array(colors[0], np.uint8)
    high, wide = 118, 92  # of what the mount leaves open
    if rng.random() < 0.5:
        for layer, color in enumerate(colors[1:]):
            ridge = 35 + 24 * layer + 9 * _ridge(rng, 5, wide)
            below = np.arange(high)[:, None] > ridge[None]
            inner[below] = np.array(color, np.uint8)
        cv2.circle(inner, (int(rng.integers(20, wide - 20)), 22), 10, (225, 232, 240), -1, cv2.LINE_AA)
    else:
        for color in colors[1:]:
            middle = int(rng.integers(15, wide - 15)), int(rng.integers(15, high - 15))
            axes = int(rng.integers(12, 34)), int(rng.integers(12, 40))
            cv2.ellipse(inner, middle, axes, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    return picture


def spines(rng: Rng, colors: tuple[Vector, ...], count: int) -> Bytes:
    """The backs of `count` books in a row, of uneven height before a dark gap."""
    picture = np.full((64, 16 * count, 3), 42, np.uint8)
    for number in range(count):
        color = np.array(colors[int(rng.integers(len(colors)))]) * rng.uniform(0.75, 1.15)
        top, left = int(rng.integers(2, 20)), number * 16
        picture[top:, left : left + 15] = np.clip(color, 0, 255)
        picture[top + 8 : top + 12, left + 3 : left + 12] = np.clip(color * 1.35, 0, 255)
        picture[top:, left] = np.clip(color * 0.6, 0, 255)
    return picture


def print_(rng: Rng, ground: Vector) -> Bytes:
    """What is printed on a cardboard box, fitted: a sign, some lines, a label."""
    picture = np.full((120, 160, 3), ground, np.uint8)
    ink = ((44, 52, 60), (40, 44, 150), (120, 70, 30))[int(rng.integers(3))]
    left = int(rng.integers(8, 60))
    cv2.rectangle(picture, (left, 12), (left + 44, 56), ink, 3)
    cv2.arrowedLine(picture, (left + 22, 52), (left + 22, 18), ink, 4, tipLength=0.5)
    for row in range(68, 68 + 12 * int(rng.integers(2, 5)), 12):
        cv2.line(picture, (8, row), (int(rng.integers(50, 120)), row), ink, 4)
    corner = int(rng.integers(86, 100)), int(rng.integers(8, 60))
    cv2.rectangle(picture, corner, (corner[0] + 52, corner[1] + 36), (232, 234, 236), -1)
    cv2.line(picture, (corner[0] + 6, corner[1] + 10), (corner[0] + 40, corner[1] + 10), (60, 60, 60), 2)
    cv2.line(picture, (corner[0] + 6, corner[1] + 22), (corner[0] + 46, corner[1] + 22), (60, 60, 60), 5)
    return picture


def folds(rng: Rng, color: Vector) -> Bytes:
    """A hanging curtain, fitted: soft upright folds."""
    place = np.cumsum(rng.uniform(0.5, 1.5, 200)).astype(np.float32)
    wave = np.sin(place * np.float32(2 * np.pi * 7) / place[-1])
    shade = np.broadcast_to(1 - np.float32(0.12) + np.float32(0.12) * wave[None], (64, 200))
    return shaded(color, shade.astype(np.float32))


def doors(color: Vector, across: int, down: int) -> Bytes:
    """The front of a cupboard or a panelled door, fitted: `across` x `down` panels with dark joints and light edges."""
    high, wide = 160 * down, 120 * across
    picture = np.full((high, wide, 3), color, np.float32)
    for row in range(down):
        for column in range(across):
            left, top = column * 120, row * 160
            for inset, tone in ((0, 0.55), (2, 1.06), (5, 1.0), (16, 0.86), (18, 1.05), (20, 0.98)):
                picture[top + inset : top + 160 - inset, left + inset : left + 120 - inset] = (
                    np.array(color) * tone
                )
    return np.clip(picture, 0, 255).astype(np.uint8)
