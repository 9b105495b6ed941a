"""Where the clutter of a rendered room lies."""

import numpy as np

from declutter_async.emulator.room_clutter import ON_FLOOR, ON_SEAT, ON_TABLE
from declutter_async.emulator.room_items import Item, place
from declutter_async.emulator.room_layout import Layout
from declutter_async.emulator.room_raster import Camera, Frame, bounds
from declutter_async.emulator.room_textures import Rng


def strew(rng: Rng, layout: Layout, camera: Camera, tidy: Frame) -> list[Item]:
    """Clutter where the camera sees it: on the free floor, at walls, on tables and seats."""
    mess: list[Item] = []
    taken = list(layout.taken)
    wanted, covered = float(rng.uniform(0.13, 0.19)), 0.0
    for _ in range(600):
        if covered > wanted:
            break
        margin = 0.25 if rng.random() < 0.25 else 0.8  # against a wall, or in the way
        x, z = (
            float(rng.uniform(margin, layout.size[0] - margin)),
            float(rng.uniform(1.9, layout.size[2] - margin)),
        )
        if not (_free(taken, x, z, (0.1, 0.1)) and _visible(camera, tidy, (x, 0.1, z), 0.15)):
            continue
        thing = ON_FLOOR[int(rng.integers(len(ON_FLOOR)))](rng)
        if _free(taken, x, z, thing.foot) and _visible(camera, tidy, (x, 0.1, z), thing.foot[0]):
            mess.append(place(thing, (x, 0.0, z), float(rng.uniform(-0.9, 0.9))))
            taken.append((x, z, *thing.foot))
            covered += _share(camera, mess[-1])
    for top in layout.tops:
        choices = ON_SEAT if top.center[1] < 0.6 and top.half[1] >= 0.2 and top.center[1] > 0.43 else ON_TABLE
        for _ in range(int(rng.choice((0, 1, 1, 2) if min(top.half) > 0.19 else (0, 0, 0, 1)))):
            thing = choices[int(rng.integers(len(choices)))](rng)
            across, deep = (float(rng.uniform(-1, 1)) * max(0.0, half - 0.16) for half in top.half)
            cos, sin = float(np.cos(top.yaw)), float(np.sin(top.yaw))
            x, z = top.center[0] + cos * across + sin * deep, top.center[2] - sin * across + cos * deep
            if _visible(camera, tidy, (x, top.center[1] + 0.08, z), 0.1):
                mess.append(place(thing, (x, top.center[1], z), float(rng.uniform(-0.8, 0.8)) + top.yaw))
    return mess


def _free(
    taken: list[tuple[float, float, float, float]], x: float, z: float, foot: tuple[float, float]
) -> bool:
    """Whether a thing may lie at (x, z)."""
    return all(
        abs(x - tx) > tw + foot[0] + 0.06 or abs(z - tz) > td + foot[1] + 0.06 for tx, tz, tw, td in taken
    )


def _share(camera: Camera, thing: Item) -> float:
    """About how much of the picture `thing` covers: of the box around it, its round outline."""
    windows = [window for solid in thing.solids if (window := camera.window(*bounds(solid))) is not None]
    rows = min(int(window[0].start) for window in windows), max(int(window[0].stop) for window in windows)
    columns = min(int(window[1].start) for window in windows), max(int(window[1].stop) for window in windows)
    return 0.7 * (rows[1] - rows[0]) * (columns[1] - columns[0]) / (camera.width * camera.height)


def _visible(camera: Camera, tidy: Frame, point: tuple[float, float, float], radius: float) -> bool:
    """Whether the camera sees `point` and what is `radius` metres beside and above it."""
    column, row, depth = camera.matrix() @ np.array((*point, 1.0))
    if depth < 1:
        return False
    reach = radius * camera.focal / depth
    column, row = column / depth, row / depth
    if not (reach * 0.7 < column < camera.width - reach * 0.7 and reach < row < camera.height - reach * 0.6):
        return False
    spots = ((0, 0), (-0.7, 0), (0.7, 0), (0, -0.7))
    return all(
        tidy.depth[int(row + down * reach), int(column + across * reach)] > depth - 0.15
        for across, down in spots
    )
