"""Sample photos of rooms, each from a seed: the room as it is lived in, the same room tidied, and what was taken away.

`room_layout` draws a room, `room_furniture` and `room_clutter` fill it, `room_raster` and `room_light` take its picture.
"""

import attrs
import cv2
import numpy as np

from declutter_async.emulator.room_clutter import ON_FLOOR, ON_SEAT, ON_TABLE
from declutter_async.emulator.room_items import Item, place
from declutter_async.emulator.room_layout import Layout, Wall, arrange
from declutter_async.emulator.room_light import Field, Glow, Occluder, illuminate, near, occlude, reach
from declutter_async.emulator.room_raster import Bools, Camera, Floats, Frame, bounds, paint
from declutter_async.emulator.room_textures import Rng

_WIDTH, _HEIGHT = 1200, 800
_FINE = 2  # rays per pixel and axis
_JPEG_QUALITY = 90
_DAYLIGHT = np.array((1.06, 1.0, 0.95), np.float32)  # BGR
_LAMPLIGHT = np.array((0.62, 0.86, 1.12), np.float32)
_BOUNCED = np.array((0.97, 1.0, 1.0), np.float32)
_SHADOW = 0.72  # a place that keeps less than this of its light is part of the clutter's shadow


@attrs.frozen
class Room:
    """A room as photographed (`cluttered`, JPEG), tidied (`clean`, JPEG), and the `mask` (PNG, white is clutter)."""

    cluttered: bytes
    clean: bytes
    mask: bytes


def render_room(seed: int) -> Room:
    """Render the room of `seed`, 1200x800 pixels; the same seed gives the same bytes on the same machine.

    The mask covers the clutter and the darker part of its shadow.
    """
    rng = np.random.default_rng(seed)
    layout = arrange(rng)
    camera = _camera(rng, layout)
    tidy = Frame.empty(camera)
    _paint_walls(tidy, camera, layout)
    paint(tidy, camera, layout.solids)
    points, normals = _points(camera, tidy), _normals(tidy)
    glow = illuminate(layout.lights, points, normals)
    _darken(glow, layout, camera, layout.occluders, points, normals)

    mess = _strew(rng, layout, camera, tidy)
    lived = tidy.copy()
    paint(lived, camera, [solid for thing in mess for solid in thing.solids])
    changed = cv2.resize(
        (lived.depth < tidy.depth).astype(np.float32), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA
    )
    new = changed > 0
    lived_points, lived_normals = _points(camera, lived), _normals(lived)
    lived_glow = _relit(glow, layout, new, lived_points, lived_normals)
    occluders = [occluder for thing in mess for occluder in thing.occluders]
    before = lived_glow.day + lived_glow.around
    _darken(lived_glow, layout, camera, occluders, lived_points, lived_normals)
    shaded = lived_glow.day + lived_glow.around < _SHADOW * before
    mask = np.where((changed > 0.3) | shaded, 255, 0).astype(np.uint8)  # a third of the pixel

    develop = _Film.load(rng, tidy, glow)
    return Room(
        cluttered=develop.print(lived, lived_glow),
        clean=develop.print(tidy, glow),
        mask=cv2.imencode(".png", mask)[1].tobytes(),
    )


def _camera(rng: Rng, layout: Layout) -> Camera:
    width, _, length = layout.size
    x = width * float(rng.uniform(0.3, 0.7))
    # Turned so that the middle of the room is about the middle of the picture.
    yaw = float(np.arctan2(width / 2 - x, length * 0.75) + rng.normal(0, 0.06))
    return Camera(
        width=_WIDTH * _FINE,
        height=_HEIGHT * _FINE,
        focal=_WIDTH * _FINE * float(rng.uniform(0.58, 0.66)),
        horizon=_HEIGHT * _FINE * float(rng.uniform(0.38, 0.43)),
        yaw=yaw,
        eye=(x, float(rng.uniform(1.4, 1.6)), 0.25),
    )


def _paint_walls(frame: Frame, camera: Camera, layout: Layout) -> None:
    """Draw the empty room: each side's texture through its homography, where that side is the nearest."""
    width, height, length = layout.size
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
    for wall, region, normal in zip(layout.walls, regions, facing, strict=True):
        if region.any():
            _paint_wall(frame, camera, wall, region, np.array(normal))


def _paint_wall(frame: Frame, camera: Camera, wall: Wall, region: Bools, normal: np.ndarray) -> None:
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


def _points(camera: Camera, frame: Frame) -> Field:
    """Where each pixel of the picture is in the room, from one ray each."""
    dx, dz, dy = camera.rays()
    depth = frame.depth[::_FINE, ::_FINE]
    ex, ey, ez = (np.float32(value) for value in camera.eye)
    return ex + depth * dx[None, ::_FINE], ey + depth * dy[::_FINE, None], ez + depth * dz[None, ::_FINE]


def _normals(frame: Frame) -> Field:
    """The mean normal of each pixel."""
    mean = cv2.resize(frame.normal, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    x, y, z, _ = cv2.split((mean - 128) / np.float32(127))
    return x, y, z


def _darken(
    glow: Glow, layout: Layout, camera: Camera, occluders: list[Occluder], points: Field, normals: Field
) -> None:
    for occluder in occluders:
        far, (x, y, z) = reach(occluder), occluder.half
        if occluder.yaw:
            x = z = float(np.hypot(x, z))
        window = camera.window(occluder.center, (x + far, y + far, z + far))
        if window is None:
            continue
        rows, columns = (slice(part.start // _FINE, -(-part.stop // _FINE)) for part in window)
        px, py, pz = (part[rows, columns] for part in points)
        reached = near(occluder, (px, py, pz))
        nx, ny, nz = (part[rows, columns][reached] for part in normals)
        day, around = occlude(layout.lights, occluder, (px[reached], py[reached], pz[reached]), (nx, ny, nz))
        glow.day[rows, columns][reached] *= day
        glow.around[rows, columns][reached] *= around
        glow.lamp[rows, columns][reached] *= around


def _relit(glow: Glow, layout: Layout, new: Bools, points: Field, normals: Field) -> Glow:
    """The light of the tidy room, worked out again for the pixels that are `new`."""
    x, y, z = (part[new] for part in points)
    nx, ny, nz = (part[new] for part in normals)
    fresh = illuminate(layout.lights, (x, y, z), (nx, ny, nz))
    for occluder in layout.occluders:
        reached = near(occluder, (x, y, z))
        if reached.any():
            field = nx[reached], ny[reached], nz[reached]
            day, around = occlude(layout.lights, occluder, (x[reached], y[reached], z[reached]), field)
            fresh.day[reached] *= day
            fresh.around[reached] *= around
            fresh.lamp[reached] *= around
    relit = Glow(glow.day.copy(), glow.lamp.copy(), glow.around.copy())
    relit.day[new], relit.lamp[new], relit.around[new] = fresh.day, fresh.lamp, fresh.around
    return relit


def _strew(rng: Rng, layout: Layout, camera: Camera, tidy: Frame) -> list[Item]:
    """Clutter where the camera sees it: on the free floor, at walls, on tables and seats."""
    mess: list[Item] = []
    taken = list(layout.taken)
    wanted, covered = float(rng.uniform(0.13, 0.19)), 0.0
    for _ in range(600):
        if covered > wanted:
            break
        margin = 0.25 if rng.random() < 0.25 else 0.8  # against a wall, or in the way
        x, z = float(rng.uniform(margin, layout.size[0] - margin)), float(rng.uniform(1.9, layout.size[2] - margin))
        if not (_free(taken, x, z, (0.1, 0.1)) and _visible(camera, tidy, (x, 0.1, z), 0.15)):
            continue
        thing = ON_FLOOR[int(rng.integers(len(ON_FLOOR)))](rng)
        if _free(taken, x, z, thing.foot) and _visible(camera, tidy, (x, 0.1, z), thing.foot[0]):
            mess.append(place(thing, (x, 0.0, z), float(rng.uniform(-0.9, 0.9))))
            taken.append((x, z, *thing.foot))
            covered += _share(camera, mess[-1])
    for top in layout.tops:
        choices = ON_SEAT if top.center[1] < 0.6 and top.half[1] >= 0.2 and top.center[1] > 0.43 else ON_TABLE
        for _ in range(int(rng.choice((0, 1, 1, 2)))):
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
    rows = min(window[0].start for window in windows), max(window[0].stop for window in windows)
    columns = min(window[1].start for window in windows), max(window[1].stop for window in windows)
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
    return all(tidy.depth[int(row + down * reach), int(column + across * reach)] > depth - 0.15 for across, down in spots)


@attrs.frozen
class _Film:
    """How light becomes a photo, the same for both photos of a room: exposure, vignette, noise."""

    exposure: float
    vignette: Floats
    noise: Floats

    @classmethod
    def load(cls, rng: Rng, frame: Frame, glow: Glow) -> "_Film":
        """A film exposed for what is seen in `frame`, the window left out."""
        across = (np.arange(_WIDTH, dtype=np.float32) / _WIDTH - 0.5) ** 2
        down = (np.arange(_HEIGHT, dtype=np.float32) / _HEIGHT - 0.5) ** 2
        vignette = 1 - np.float32(rng.uniform(0.25, 0.5)) * (across[None] + down[:, None])
        noise = rng.standard_normal((_HEIGHT // 2, _WIDTH // 2), np.float32)
        coarse = cv2.resize(noise, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
        light = glow.day + glow.lamp + glow.around
        bright = float(np.quantile(light[::8, ::8], 0.7))
        return cls(
            exposure=float(rng.uniform(0.82, 0.98)) / bright,
            vignette=vignette,
            noise=coarse * np.float32(0.8)
            + np.float32(1.5) * rng.standard_normal((_HEIGHT, _WIDTH), np.float32),
        )

    def print(self, frame: Frame, glow: Glow) -> bytes:
        """The photo, as a JPEG."""
        look = cv2.resize(frame.look, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
        color, own = look[..., :3].astype(np.float32), look[..., 3] / np.float32(100)
        for channel in range(3):
            light = (
                glow.day * _DAYLIGHT[channel]
                + glow.lamp * _LAMPLIGHT[channel]
                + glow.around * _BOUNCED[channel]
            )
            light *= np.float32(self.exposure)
            light += own * (2 - light * np.float32(0.5))
            # Gamma, and a shoulder that keeps bright places from clipping.
            light = np.sqrt(light)
            color[..., channel] *= light * np.float32(1.18) / (1 + light * light * np.float32(0.16))
        color *= self.vignette[..., None]
        color += self.noise[..., None]
        photo = cv2.GaussianBlur(cv2.convertScaleAbs(cv2.max(color, 0)), (3, 3), 0.45)
        return cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
