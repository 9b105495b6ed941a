"""Sample photos of rooms, each from a seed: the room as it is lived in, the same room tidied, and what was taken away.

`room_layout` draws a room, `room_furniture` and `room_clutter` fill it, `room_raster` and `room_light` take its picture.
"""

import attrs
import cv2
import numpy as np

from declutter_async.emulator.arrays import Bools
from declutter_async.emulator.room_film import Film
from declutter_async.emulator.room_layout import Layout, arrange
from declutter_async.emulator.room_light import Glow, darken, illuminate, relight
from declutter_async.emulator.room_raster import Camera, Field, Frame, paint
from declutter_async.emulator.room_shell import paint_walls
from declutter_async.emulator.room_strewing import strew
from declutter_async.emulator.room_textures import Rng

_WIDTH, _HEIGHT = 1200, 800
_FINE = 2  # rays per pixel and axis
_COVERED = 0.3  # share of a pixel from which a thing counts as in it
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
    paint_walls(tidy, camera, layout.size, layout.walls)
    paint(tidy, camera, layout.solids)
    points, normals = _points(camera, tidy), _normals(tidy)
    glow = illuminate(layout.lights, points, normals)
    darken(glow, layout.lights, layout.occluders, camera, points, normals)

    mess = strew(rng, layout, camera, tidy)
    lived = tidy.copy()
    paint(lived, camera, [solid for thing in mess for solid in thing.solids])
    nearer = (lived.depth < tidy.depth).astype(np.float32)
    changed = np.asarray(cv2.resize(nearer, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
    points, normals = _points(camera, lived), _normals(lived)
    lived_glow = _relit(glow, layout, changed > 0, points, normals)
    before = lived_glow.day + lived_glow.around
    darken(
        lived_glow,
        layout.lights,
        [cast for thing in mess for cast in thing.occluders],
        camera,
        points,
        normals,
    )
    shaded = lived_glow.day + lived_glow.around < _SHADOW * before
    mask = np.where((changed > _COVERED) | shaded, 255, 0).astype(np.uint8)

    film = Film.load(rng, _WIDTH, _HEIGHT, glow)
    return Room(
        cluttered=film.print(lived, lived_glow),
        clean=film.print(tidy, glow),
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


def _points(camera: Camera, frame: Frame) -> Field:
    """Where each pixel of the picture is in the room, from one ray each."""
    dx, dz, dy = camera.rays()
    depth = frame.depth[::_FINE, ::_FINE]
    ex, ey, ez = (np.float32(value) for value in camera.eye)
    return ex + depth * dx[None, ::_FINE], ey + depth * dy[::_FINE, None], ez + depth * dz[None, ::_FINE]


def _normals(frame: Frame) -> Field:
    """The mean normal of each pixel."""
    mean = cv2.resize(frame.normal, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    normal = (np.asarray(mean, np.float32) - 128) / np.float32(127)
    return normal[..., 0].copy(), normal[..., 1].copy(), normal[..., 2].copy()


def _relit(glow: Glow, layout: Layout, new: Bools, points: Field, normals: Field) -> Glow:
    """The light of the tidy room, worked out again for the pixels that are `new`."""
    x, y, z = (part[new] for part in points)
    nx, ny, nz = (part[new] for part in normals)
    fresh = relight(layout.lights, layout.occluders, (x, y, z), (nx, ny, nz))
    relit = Glow(glow.day.copy(), glow.lamp.copy(), glow.around.copy())
    relit.day[new], relit.lamp[new], relit.around[new] = fresh.day, fresh.lamp, fresh.around
    return relit
