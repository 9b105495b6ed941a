"""Simple solids, cast by rays onto the picture of a camera whose verticals stay vertical (as in photos of rooms).

Lengths are metres: x to the right along the back wall, y up, z from the camera's wall to the back wall. Colours are BGR.
As the camera does not tilt, the horizontal part of a ray depends on its column only and the vertical part on its row only,
so most of the work on a solid is done on single rows and columns.
"""

from collections.abc import Sequence

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from declutter_async.emulator.arrays import Bools, Bytes, Floats

Vector = tuple[float, float, float]
Field = tuple[Floats, Floats, Floats]
Window = tuple[slice, slice]

_NEAR = 0.08  # metres in front of the camera from which things are seen
_SOFT = 0.025  # metres of rounding from which a box's outline is rounded as well as its shading
_STEPS = 9  # towards a rounded box
_CAP = 1e-3  # metres from the ends of a cylinder that belong to its caps


@attrs.frozen
class Material:
    """How a surface looks: a colour, or a texture (`tile` metres wide, or fitted to each face where `tile` is 0)."""

    color: Vector = (128.0, 128.0, 128.0)
    texture: Bytes | None = None
    tile: float = 1.0
    glow: float = 0.0  # light of its own, 0 to 2
    bump: float = 0.0  # unevenness of its shading: 0 smooth, 1 crumpled


@attrs.frozen
class Box:
    """A box turned by `yaw` (radians, seen from above) around its `center`, with edges rounded by `rounding` metres."""

    center: Vector
    half: Vector
    material: Material
    yaw: float = 0.0
    rounding: float = 0.006


@attrs.frozen
class Cylinder:
    """An upright cylinder or cut cone: its `foot` is the centre of its lower face."""

    foot: Vector
    low: float
    top: float
    height: float
    material: Material


@attrs.frozen
class Blob:
    """An ellipsoid: `turn` is a 3x3 rotation from its axes to the room's; `warp` makes its outline lumpy (0 to 0.5)."""

    center: Vector
    radii: Vector
    material: Material
    turn: NDArray[np.float64] = attrs.field(factory=lambda: np.eye(3), eq=False)
    warp: float = 0.0
    seed: int = 0


Solid = Box | Cylinder | Blob


@attrs.frozen
class Camera:
    """A camera at `eye`, turned by `yaw`; `focal` and `horizon` (its row) in pixels of a `width` x `height` picture."""

    width: int
    height: int
    focal: float
    horizon: float
    yaw: float
    eye: Vector

    def rays(self) -> Field:
        """X and z for each column, y for each row, of rays whose depth grows by one metre."""
        across = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        down = (np.arange(self.height) + 0.5 - self.horizon) / self.focal
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return (
            (cos * across + sin).astype(np.float32),
            (-sin * across + cos).astype(np.float32),
            (-down).astype(np.float32),
        )

    def matrix(self) -> NDArray[np.float64]:
        """The 3x4 matrix from room to picture (homogeneous)."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[cos, 0, -sin], [0, -1, 0], [sin, 0, cos]])
        lens = np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.horizon], [0, 0, 1]])
        matrix: NDArray[np.float64] = lens @ np.hstack([turn, -turn @ np.array(self.eye)[:, None]])
        return matrix

    def window(self, center: Vector, reach: Vector) -> Window | None:
        """The part of the picture that a box of half size `reach` may cover, from an even row and column, or None."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1)
        corners = np.array(center)[:, None] + np.array(reach)[:, None] * signs
        x, y, depth = self.matrix() @ np.vstack([corners, np.ones(8)])
        if depth.max() < _NEAR:
            return None
        if depth.min() < _NEAR:
            return slice(0, self.height), slice(0, self.width)
        columns, rows = x / depth, y / depth
        left, right = max(0, int(columns.min()) - 1) & ~1, min(self.width, int(columns.max()) + 2)
        upper, lower = max(0, int(rows.min()) - 1) & ~1, min(self.height, int(rows.max()) + 2)
        return (slice(upper, lower), slice(left, right)) if left < right and upper < lower else None


@attrs.frozen
class Frame:
    """What the camera sees at each pixel.

    `depth` is in metres; `look` is (H, W, 4): own colour and, last, glow in hundredths; `normal` is (H, W, 4):
    n * 127 + 128 and an unused byte. Four bytes a pixel are written as one number.
    """

    depth: Floats
    look: Bytes
    normal: Bytes

    @classmethod
    def empty(cls, camera: Camera) -> "Frame":
        """A frame that shows nothing yet."""
        shape = camera.height, camera.width
        return cls(
            np.full(shape, np.inf, np.float32),
            np.zeros((*shape, 4), np.uint8),
            np.zeros((*shape, 4), np.uint8),
        )

    def copy(self) -> "Frame":
        """A frame of its own with the same content."""
        return Frame(self.depth.copy(), self.look.copy(), self.normal.copy())


def paint(frame: Frame, camera: Camera, solids: Sequence[Solid]) -> None:
    """Draw `solids` into `frame`, each where it is nearer than what is there."""
    dx, dz, dy = camera.rays()
    # The nearest first: what they hide need not be worked out.
    for solid in sorted(
        solids, key=lambda solid: float(np.linalg.norm(np.array(bounds(solid)[0]) - camera.eye))
    ):
        window = camera.window(*bounds(solid))
        if window is not None:
            rows, columns = window
            _paint_one(frame, camera.eye, solid, window, (dx[columns], dy[rows], dz[columns]))


def _paint_one(frame: Frame, eye: Vector, solid: Solid, window: Window, rays: Field) -> None:
    with np.errstate(
        all="ignore"
    ):  # rays that miss are infinite or not a number, and not nearer than anything
        depth = _enter(solid, eye, rays)
        inside = np.flatnonzero((depth < frame.depth[window]) & (depth > _NEAR))
    rows, columns = np.divmod(inside, depth.shape[1])
    depth, ways = depth.ravel()[inside], (rays[0][columns], rays[1][rows], rays[2][columns])
    if isinstance(solid, Box) and solid.rounding > _SOFT:
        depth, close = _march(solid, eye, depth, ways)
        close &= depth < frame.depth[window][rows, columns]
        rows, columns, depth = rows[close], columns[close], depth[close]
        ways = ways[0][close], ways[1][close], ways[2][close]
    if len(rows) == 0:
        return
    x, y, z = (np.float32(start) + depth * way for start, way in zip(eye, ways, strict=True))
    normal, (across, down) = _surface(solid, (x, y, z))
    normal /= np.maximum(np.sqrt(np.einsum("ij,ij->j", normal, normal)), np.float32(1e-6))
    if solid.material.bump > 0:
        shape = window[0].stop - window[0].start, window[1].stop - window[1].start
        rng = np.random.default_rng(shape)
        for axis in range(3):
            normal[axis] += np.float32(solid.material.bump) * lumps(rng, shape, 9)[rows, columns]
        normal /= np.sqrt(np.einsum("ij,ij->j", normal, normal))
    at = (rows + window[0].start) * frame.depth.shape[1] + columns + window[1].start
    frame.depth.reshape(-1)[at] = depth
    frame.look.view(np.uint32).reshape(-1)[at] = _look(solid.material, across, down)
    packed = np.zeros((len(at), 4), np.uint8)
    packed[:, :3] = (normal * np.float32(127) + np.float32(128)).T
    frame.normal.view(np.uint32).reshape(-1)[at] = packed.view(np.uint32)[:, 0]


def bounds(solid: Solid) -> tuple[Vector, Vector]:
    """Centre and half size of the upright, unturned box around `solid`."""
    match solid:
        case Box(center=center, half=(x, y, z), yaw=yaw):
            cos, sin = abs(np.cos(yaw)), abs(np.sin(yaw))
            return center, (float(x * cos + z * sin), y, float(x * sin + z * cos))
        case Cylinder(foot=(x, y, z), height=height):
            radius = max(solid.low, solid.top)
            return (x, y + height / 2, z), (radius, height / 2, radius)
        case Blob():
            reach = np.sqrt(((solid.turn * np.array(solid.radii)) ** 2).sum(axis=1)) * (1 + 1.2 * solid.warp)
            return solid.center, (float(reach[0]), float(reach[1]), float(reach[2]))


def _look(material: Material, across: Floats, down: Floats) -> NDArray[np.uint32]:
    """Colour and glow, packed, at each place of a texture (one for all where there is none)."""
    texture = np.array([[material.color]], np.uint8) if material.texture is None else material.texture
    high, wide = texture.shape[:2]
    packed = np.full((high, wide, 4), round(material.glow * 100), np.uint8)
    packed[..., :3] = texture
    pixels: NDArray[np.uint32] = packed.view(np.uint32)[..., 0]
    if material.texture is None:
        return pixels.reshape(1)
    scale = (wide, high) if material.tile == 0 else (wide / material.tile, wide / material.tile)
    # The nearest pixel is enough: several rays are averaged for each pixel of a photo.
    row, column = (
        np.floor(down * np.float32(scale[1])).astype(np.int32),
        np.floor(across * np.float32(scale[0])).astype(np.int32),
    )
    found: NDArray[np.uint32] = pixels[row % high, column % wide]
    return found


def lumps(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Smooth noise of about -1 to 1 with some `cells` lumps across."""
    grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    smooth = cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32).reshape(shape)


def _enter(solid: Solid, eye: Vector, rays: Field) -> Floats:
    """The depth at which each ray (row, column) enters `solid`; inf or nan where it misses."""
    match solid:
        case Box():
            return _enter_box(solid, eye, rays)
        case Cylinder():
            return _enter_cylinder(solid, eye, rays)
        case Blob():
            return _enter_blob(solid, eye, rays)


def _turned(yaw: float, x: Floats, z: Floats) -> tuple[Floats, Floats]:
    """From the room's axes to those of a box turned by `yaw`."""
    cos, sin = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    return cos * x - sin * z, sin * x + cos * z


def _start(solid: Box | Blob, eye: Vector) -> Field:
    """The eye as seen from the centre of `solid`, in the room's axes."""
    x, y, z = (np.array(eye) - solid.center).astype(np.float32)
    return x, y, z


def _enter_box(solid: Box, eye: Vector, rays: Field) -> Floats:
    x, y, z = _start(solid, eye)
    start_x, start_z = _turned(solid.yaw, x, z)
    ray_x, ray_z = _turned(solid.yaw, rays[0], rays[2])
    enter: list[Floats] = []
    leave: list[Floats] = []
    for origin, ray, half in zip((start_x, y, start_z), (ray_x, rays[1], ray_z), solid.half, strict=True):
        one, other = (np.float32(-half) - origin) / ray, (np.float32(half) - origin) / ray
        enter.append(np.minimum(one, other))
        leave.append(np.maximum(one, other))
    depth = np.maximum(np.maximum(enter[0], enter[2])[None], enter[1][:, None])
    depth[depth >= np.minimum(np.minimum(leave[0], leave[2])[None], leave[1][:, None])] = np.inf
    return depth


def _march(solid: Box, eye: Vector, depth: Floats, ways: Field) -> tuple[Floats, Bools]:
    """From where rays enter a box to where they meet its rounded form, and whether they do (sphere tracing)."""
    x, y, z = _start(solid, eye)
    start_x, start_z = _turned(solid.yaw, x, z)
    way_x, way_z = _turned(solid.yaw, ways[0], ways[2])
    rounding = np.float32(min(solid.rounding, *solid.half))
    core_x, core_y, core_z = (np.float32(half) - rounding for half in solid.half)
    length = np.sqrt(way_x * way_x + ways[1] * ways[1] + way_z * way_z)
    gap = depth
    for _ in range(_STEPS):
        out_x = np.maximum(np.abs(start_x + depth * way_x) - core_x, 0)
        out_y = np.maximum(np.abs(y + depth * ways[1]) - core_y, 0)
        out_z = np.maximum(np.abs(start_z + depth * way_z) - core_z, 0)
        gap = np.sqrt(out_x * out_x + out_y * out_y + out_z * out_z) - rounding
        depth = depth + gap / length
    return depth, gap < np.float32(0.006)


def _enter_cylinder(solid: Cylinder, eye: Vector, rays: Field) -> Floats:
    dx, dy, dz = rays
    ox, oy, oz = (np.array(eye) - solid.foot).astype(np.float32)
    low, top, height = np.float32(solid.low), np.float32(solid.top), np.float32(solid.height)
    slope = (top - low) / height
    at_eye = low + slope * oy
    a = (dx * dx + dz * dz)[None] - (slope * slope * dy * dy)[:, None]
    b = (ox * dx + oz * dz)[None] - (at_eye * slope * dy)[:, None]
    side = (-b - np.sqrt(b * b - a * (ox * ox + oz * oz - at_eye * at_eye))) / a
    y = oy + side * dy[:, None]
    side[~((y >= 0) & (y <= height))] = np.inf
    cap = (np.where(dy < 0, height, np.float32(0)) - oy) / dy
    radius = np.where(dy < 0, top, low)
    x, z = ox + cap[:, None] * dx[None], oz + cap[:, None] * dz[None]
    covered = (x * x + z * z <= (radius * radius)[:, None]) & (cap > 0)[:, None]
    depth: Floats = np.minimum(side, np.where(covered, cap[:, None], np.float32(np.inf)))
    return depth


def _enter_blob(solid: Blob, eye: Vector, rays: Field) -> Floats:
    shape = len(rays[1]), len(rays[0])
    ways = [rays[0][None], rays[1][:, None], rays[2][None]]
    away = _start(solid, eye)
    if solid.warp > 0:
        rng = np.random.default_rng(solid.seed)
        reach = np.float32(solid.warp * np.mean(solid.radii) / np.linalg.norm(away))
        ways = [way + reach * lumps(rng, shape, 8) for way in ways]
    into = _into(solid)
    start = into @ np.array(away)
    local = [row[0] * ways[0] + row[1] * ways[1] + row[2] * ways[2] for row in into]
    a = local[0] * local[0] + local[1] * local[1] + local[2] * local[2]
    b = start[0] * local[0] + start[1] * local[1] + start[2] * local[2]
    depth: Floats = (-b - np.sqrt(b * b - a * (start @ start - np.float32(1)))) / a
    return depth


def _into(solid: Blob) -> Floats:
    """The matrix from the room's axes to those in which the blob is a unit sphere."""
    matrix: Floats = (solid.turn.T / np.array(solid.radii)[:, None]).astype(np.float32)
    return matrix


def _surface(solid: Solid, points: Field) -> tuple[Floats, tuple[Floats, Floats]]:
    """Normals (3, n), of any length, and texture places (metres, or 0 to 1 where fitted) at `points` of the surface."""
    match solid:
        case Box():
            return _box_surface(solid, points)
        case Cylinder(foot=foot, height=height):
            x, y, z = (part - np.float32(start) for part, start in zip(points, foot, strict=True))
            capped = (y > height - _CAP) | (y < _CAP)
            slope = np.float32((solid.top - solid.low) / height)
            normal = np.stack([x, -slope * np.hypot(x, z), z])
            normal[:, capped] = np.array([[0], [1], [0]]) * np.where(y[capped] > height / 2, 1, -1)
            turn = np.arctan2(x, z)
            if solid.material.tile == 0:
                return normal, (turn * np.float32(0.5 / np.pi), 1 - y / np.float32(height))
            return normal, (turn * np.float32(max(solid.low, solid.top)), -y)
        case Blob():
            into = _into(solid)
            local = into @ np.stack(
                [part - np.float32(start) for part, start in zip(points, solid.center, strict=True)]
            )
            across, high, deep = local * np.array(solid.radii, np.float32)[:, None]
            return into.T @ local, (across, deep - high)


def _box_surface(solid: Box, points: Field) -> tuple[Floats, tuple[Floats, Floats]]:
    px, y, pz = (part - np.float32(start) for part, start in zip(points, solid.center, strict=True))
    x, z = _turned(solid.yaw, px, pz)
    rounding = np.float32(min(solid.rounding, *solid.half))
    hx, hy, hz = (np.float32(half) for half in solid.half)
    nx, ny, nz = (
        np.copysign(np.maximum(np.abs(part) - (half - rounding), 0), part)
        for part, half in ((x, hx), (y, hy), (z, hz))
    )
    normal_x, normal_z = _turned(-solid.yaw, nx, nz)
    normal = np.stack([normal_x, ny, normal_z])
    if solid.material.texture is None:
        return normal, (x, y)
    sideways = (np.abs(nx) > np.abs(nz)) & (np.abs(nx) > np.abs(ny))
    level = (np.abs(ny) > np.abs(nz)) & ~sideways
    if solid.material.tile == 0:
        hx, hy, hz = hx * np.float32(2.002), hy * np.float32(2.002), hz * np.float32(2.002)
        half = np.float32(0.5)
        return normal, (np.where(sideways, z / hz, x / hx) + half, np.where(level, -z / hz, -y / hy) + half)
    return normal, (np.where(sideways, z, x) + np.float32(solid.center[0]), np.where(level, z, -y))
