"""What furniture and clutter are made of: solids, the boxes that cast their shadows, and tops to put things on.

An item is made around its own origin (on the floor, its front towards -z) and placed in the room as a whole.
"""

from collections.abc import Iterable

import attrs
import numpy as np
from numpy.typing import NDArray

from declutter_async.emulator.room_light import Occluder
from declutter_async.emulator.room_raster import Blob, Box, Cylinder, Material, Solid, Vector


@attrs.frozen
class Top:
    """A level place to put things on: `half` is half its width and depth in metres."""

    center: Vector
    half: tuple[float, float]
    yaw: float = 0.0


@attrs.frozen
class Item:
    """Solids that belong together, with their shadows and tops; `foot` is half the width and depth taken on the floor."""

    solids: tuple[Solid, ...]
    occluders: tuple[Occluder, ...]
    tops: tuple[Top, ...] = ()
    foot: tuple[float, float] = (0.0, 0.0)


def box(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    material: Material,
    rounding: float = 0.006,
) -> Box:
    """A box from its limits along each axis, in metres."""
    return Box(
        center=((x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2),
        half=((x[1] - x[0]) / 2, (y[1] - y[0]) / 2, (z[1] - z[0]) / 2),
        material=material,
        rounding=rounding,
    )


def shadow_of(solid: Solid) -> Occluder:
    """The rounded box that stands for `solid` when shadows are cast."""
    match solid:
        case Box():
            return Occluder(solid.center, solid.half, solid.yaw, max(solid.rounding, 0.01))
        case Cylinder(foot=(x, y, z), height=height):
            radius = (solid.low + solid.top) / 2
            return Occluder((x, y + height / 2, z), (radius, height / 2, radius), 0.0, radius * 0.95)
        case Blob(radii=radii):
            # The turn of a blob is left out: its shadow is soft anyway.
            return Occluder(solid.center, radii, 0.0, min(radii) * 0.95)


def item(
    solids: Iterable[Solid],
    shadows: Iterable[Solid] | None = None,
    tops: tuple[Top, ...] = (),
    foot: tuple[float, float] = (0.0, 0.0),
) -> Item:
    """An item whose shadow is that of `shadows` (of all its solids, if not given)."""
    kept = tuple(solids)
    cast = kept if shadows is None else tuple(shadows)
    return Item(kept, tuple(shadow_of(solid) for solid in cast), tops, foot)


def place(thing: Item, at: Vector, yaw: float = 0.0) -> Item:
    """`thing` with its origin moved to `at` and turned by `yaw` (radians, seen from above)."""
    cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])

    def moved(point: Vector) -> Vector:
        x, y, z = point
        return cos * x + sin * z + at[0], y + at[1], -sin * x + cos * z + at[2]

    def moved_solid(solid: Solid) -> Solid:
        match solid:
            case Box():
                return attrs.evolve(solid, center=moved(solid.center), yaw=solid.yaw + yaw)
            case Cylinder():
                return attrs.evolve(solid, foot=moved(solid.foot))
            case Blob():
                return attrs.evolve(solid, center=moved(solid.center), turn=turn @ solid.turn)

    return Item(
        solids=tuple(moved_solid(solid) for solid in thing.solids),
        occluders=tuple(
            attrs.evolve(occluder, center=moved(occluder.center), yaw=occluder.yaw + yaw)
            for occluder in thing.occluders
        ),
        tops=tuple(attrs.evolve(top, center=moved(top.center), yaw=top.yaw + yaw) for top in thing.tops),
        foot=(
            abs(cos) * thing.foot[0] + abs(sin) * thing.foot[1],
            abs(sin) * thing.foot[0] + abs(cos) * thing.foot[1],
        ),
    )


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rotation by `roll` around z, then `pitch` around x, then `yaw` around y (radians)."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turn: NDArray[np.float64] = around_y @ around_x @ around_z
    return turn
