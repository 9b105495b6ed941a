"""Light in a rendered room: a window and a lamp that fall off, light from all around, and soft shadows.

Shadows come from rounded boxes that stand for the solids: a place is the darker, the nearer a box is to a few points on
its way to the light (after Evans, "Fast approximations for global illumination on dynamic scenes", 2006).
"""

from collections.abc import Callable, Iterable

import attrs
import numpy as np

from declutter_async.emulator.arrays import Bools, Floats
from declutter_async.emulator.room_raster import Camera, Field, Vector

_CORNER_REACH = 0.28  # metres from a wall in which the corner is darker
_CORNER_DEPTH = 0.42
_AROUND = ((0.06, 0.4), (0.3, 0.4))  # metres along the normal, share of the light lost
_TOWARDS = ((0.15, 0.55), (0.5, 0.55))  # metres towards the window, share lost


@attrs.frozen
class Lights:
    """Where light comes from: a window (`window`, facing `facing`) and a lamp; `size` is that of the room (x, y, z)."""

    size: Vector
    window: Vector
    facing: Vector
    lamp: Vector
    daylight: float
    lamplight: float
    ambient: float


@attrs.frozen
class Occluder:
    """A box with rounded edges that keeps light off what is near it."""

    center: Vector
    half: Vector
    yaw: float = 0.0
    rounding: float = 0.03


@attrs.frozen
class Glow:
    """Light that arrives at each place: from the window, from the lamp and from all around."""

    day: Floats
    lamp: Floats
    around: Floats


def illuminate(lights: Lights, points: Field, normals: Field) -> Glow:
    """Light at `points` with `normals`, as if the room were empty."""
    x, y, z = points
    nx, ny, nz = normals
    width, height, length = (np.float32(value) for value in lights.size)
    fx, fy, fz = (np.float32(value) for value in lights.facing)

    def arriving(source: Vector, softness: float) -> tuple[Field, Floats, Floats]:
        to = np.float32(source[0]) - x, np.float32(source[1]) - y, np.float32(source[2]) - z
        square = to[0] * to[0] + to[1] * to[1] + to[2] * to[2]
        far = np.sqrt(square)
        facing = (to[0] * nx + to[1] * ny + to[2] * nz) / np.maximum(far, np.float32(1e-3))
        wrapped = np.maximum((facing + np.float32(0.3)) / np.float32(1.3), 0)
        return to, far, wrapped / (square + np.float32(softness))

    to, far, day = arriving(lights.window, 1.6)
    slant = -(to[0] * fx + to[1] * fy + to[2] * fz) / np.maximum(far, np.float32(1e-3))
    day = day * np.maximum(slant * np.float32(0.75) + np.float32(0.25), 0) * np.float32(lights.daylight)
    lamp = arriving(lights.lamp, 0.5)[2] * np.float32(lights.lamplight)
    corner = np.ones_like(x)
    for gap, against in (
        (x, nx),
        (width - x, -nx),
        (y, ny),
        (height - y, -ny),
        (length - z, -nz),
    ):
        loss = np.exp(gap * np.float32(-1 / _CORNER_REACH)) * (1 - np.maximum(against, 0))
        corner *= 1 - np.float32(_CORNER_DEPTH) * np.minimum(loss, 1)
    near_window = 1 / (1 + far * np.float32(0.22))
    around = corner * near_window * (np.float32(0.94) + ny * np.float32(0.06)) * np.float32(lights.ambient)
    return Glow(day=day * (corner * np.float32(0.5) + np.float32(0.5)), lamp=lamp, around=around)


def relight(lights: Lights, occluders: Iterable[Occluder], points: Field, normals: Field) -> Glow:
    """Light at `points` in a room with all its `occluders`."""
    glow = illuminate(lights, points, normals)
    for occluder in occluders:
        _darken(glow, lights, occluder, points, normals)
    return glow


def darken(
    glow: Glow, lights: Lights, occluders: Iterable[Occluder], camera: Camera, points: Field, normals: Field
) -> None:
    """Take from the `glow` of a whole picture (of `points`, one for each pixel) what `occluders` keep off.

    The camera's picture may be larger than that of `points` by a whole factor.
    """
    fine = camera.height // len(points[0])
    for occluder in occluders:
        far, (x, y, z) = _reach(occluder), occluder.half
        if occluder.yaw:
            x = z = float(np.hypot(x, z))
        window = camera.window(occluder.center, (x + far, y + far, z + far))
        if window is not None:
            part = tuple(slice(side.start // fine, -(-side.stop // fine)) for side in window)
            seen = Glow(glow.day[part], glow.lamp[part], glow.around[part])
            _darken(seen, lights, occluder, _cut(points, part), _cut(normals, part))


def _cut(field: Field, part: tuple[slice, ...] | Bools) -> Field:
    return field[0][part], field[1][part], field[2][part]


def _darken(glow: Glow, lights: Lights, occluder: Occluder, points: Field, normals: Field) -> None:
    reached = _near(occluder, points)
    if reached.any():
        day, around = _occlude(lights, occluder, _cut(points, reached), _cut(normals, reached))
        glow.day[reached] *= day
        glow.around[reached] *= around
        glow.lamp[reached] *= around


def _reach(occluder: Occluder) -> float:
    """How far from `occluder` (metres) it takes light away: large things reach farther."""
    return 0.2 + min(0.6, 1.3 * max(occluder.half))


def _near(occluder: Occluder, points: Field) -> Bools:
    """Which `points` are so near to `occluder` that it may take light from them."""
    x, z = _turn(occluder.yaw)(
        points[0] - np.float32(occluder.center[0]), points[2] - np.float32(occluder.center[2])
    )
    far = _reach(occluder)
    within = np.abs(x) < np.float32(occluder.half[0] + far)
    within &= np.abs(z) < np.float32(occluder.half[2] + far)
    within &= np.abs(points[1] - np.float32(occluder.center[1])) < np.float32(occluder.half[1] + far)
    return within


def _occlude(lights: Lights, occluder: Occluder, points: Field, normals: Field) -> tuple[Floats, Floats]:
    """Shares (0 to 1) of the window's light and of the other light that `occluder` leaves to `points`."""
    turned = _turn(occluder.yaw)
    rounding = np.float32(min(occluder.rounding, *occluder.half))
    cores = np.array(occluder.half, np.float32) - rounding
    cx, cy, cz = (np.float32(value) for value in occluder.center)
    px, pz = turned(points[0] - cx, points[2] - cz)
    py = points[1] - cy

    def gap(way: Field, far: float) -> Floats:
        step = np.float32(far)
        x = np.maximum(np.abs(px + way[0] * step) - cores[0], 0)
        y = np.maximum(np.abs(py + way[1] * step) - cores[1], 0)
        z = np.maximum(np.abs(pz + way[2] * step) - cores[2], 0)
        distance: Floats = np.sqrt(x * x + y * y + z * z) - rounding
        return distance

    nx, nz = turned(normals[0], normals[2])
    normal = nx, normals[1], nz
    # Shadows end softly where the occluder's reach does.
    strength = np.clip(2 * (1 - gap(normal, 0) / np.float32(_reach(occluder))), 0, 1)

    def left(way: Field, far: float, share: float, width: float) -> Floats:
        kept: Floats = 1 - np.float32(share) * strength * np.clip(
            1 - gap(way, far) / np.float32(width * far), 0, 1
        )
        return kept

    closest, *others = (left(normal, far, share, 1.0) for far, share in _AROUND)
    # One direction serves the whole surrounding of a solid: the window is far compared to the shadow's length.
    light = (np.array(lights.window) - occluder.center).astype(np.float32)
    light /= max(float(np.linalg.norm(light)), 1e-3)
    light_x, light_z = turned(light[0], light[2])
    day, around = closest.copy(), closest
    for far, share in _TOWARDS:
        day *= left((light_x, light[1], light_z), far, share, 0.8)
    for other in others:
        around *= other
    return day, around


def _turn(yaw: float) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """From the room's x and z to those of a box turned by `yaw`."""
    cos, sin = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))

    def turned(x: Floats, z: Floats) -> tuple[Floats, Floats]:
        return cos * x - sin * z, sin * x + cos * z

    return turned
