"""Floor, ceiling and walls of a rendered room."""

from collections.abc import Sequence

import attrs
import cv2
import numpy as np

from declutter_async.emulator.arrays import Bools, Bytes, Floats
from declutter_async.emulator.room_raster import Camera, Frame, Vector


@attrs.frozen
class Wall:
    """A side of the room: its texture, and its corner, width and height as points and ways in the room (metres)."""

    texture: Bytes
    corner: Vector
    across: Vector
    down: Vector


def paint_walls(frame: Frame, camera: Camera, size: Vector, walls: Sequence[Wall]) -> None:
    """Draw the empty room: each side's texture through its homography, where that side is the nearest.

    `walls` are the floor, the ceiling, the back, the left and the right side.
    """
    width, height, length = size
    ex, ey, ez = camera.eye
    dx, dz, dy = camera.rays()
    with np.errstate(divide="ignore"):
        level = np.where(dy < 0, -ey / dy, (height - ey) / dy)[:, None]
        sides = np.where(dx < 0, -ex / dx, (width - ex) / dx)
        back = np.where(dz > 0, (length - ez) / dz, np.inf)
    upright = np.minimum(sides, back)[None]
    np.minimum(level, upright, out=frame.depth, dtype=np.float32, casting="same_kind")
    flat = level < upright
    is_back = (back < sides)[None]
    down, left = (dy < 0)[:, None], (dx < 0)[None]
    regions = (flat & down, flat & ~down, ~flat & is_back, ~flat & ~is_back & left, ~flat & ~is_back & ~left)
    facing = ((0, 1, 0), (0, -1, 0), (0, 0, -1), (1, 0, 0), (-1, 0, 0))
    for wall, region, normal in zip(walls, regions, facing, strict=True):
        if region.any():
            _paint_wall(frame, camera, wall, region, np.array(normal))


def _paint_wall(frame: Frame, camera: Camera, wall: Wall, region: Bools, normal: Floats) -> None:
    high, wide = wall.texture.shape[:2]
    ways = np.zeros((4, 3))
    ways[:3, 0], ways[:3, 1], ways[:3, 2] = (
        np.array(wall.across) / wide,
        np.array(wall.down) / high,
        wall.corner,
    )
    ways[3, 2] = 1
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    upper, lower, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    shift = np.array([[1, 0, -left], [0, 1, -upper], [0, 0, 1]])
    texture = np.zeros((high, wide, 4), np.uint8)
    texture[..., :3] = wall.texture
    seen = cv2.warpPerspective(texture, shift @ camera.matrix() @ ways, (right - left, lower - upper))
    inside = region[upper:lower, left:right]
    packed = np.array([*(normal * 127 + 128), 0]).astype(np.uint8).view(np.uint32)
    np.copyto(
        frame.look.view(np.uint32)[upper:lower, left:right, 0], seen.view(np.uint32)[..., 0], where=inside
    )
    np.copyto(frame.normal.view(np.uint32)[upper:lower, left:right, 0], packed, where=inside)
