"""Furnishing a room: putting things on its floor and walls, its window and its rug."""

import attrs
import numpy as np

from declutter_async.emulator import room_furniture as make
from declutter_async.emulator.room_furniture import Style
from declutter_async.emulator.room_items import Item, place
from declutter_async.emulator.room_light import Lights
from declutter_async.emulator.room_raster import Vector
from declutter_async.emulator.room_textures import Rng, carpet, stripes, tone

QUARTER = float(np.pi / 2)  # of a turn, in radians


@attrs.define
class Plan:
    """A room being furnished: `items` so far, and the floor they have `taken` (x, z, half width, half depth)."""

    rng: Rng
    size: Vector
    style: Style
    items: list[Item] = attrs.field(factory=list[Item])
    taken: list[tuple[float, float, float, float]] = attrs.field(
        factory=list[tuple[float, float, float, float]]
    )

    def put(self, thing: Item, x: float, z: float, yaw: float = 0.0, y: float = 0.0) -> Item:
        """Put a thing anywhere."""
        placed = place(thing, (x, y, z), yaw)
        self.items.append(placed)
        if max(placed.foot) > 0 and y == 0:
            self.taken.append((x, z, *placed.foot))
        return placed

    def back(self, thing: Item, x: float) -> Item:
        """Put a thing at the back wall."""
        return self.put(thing, x, self.size[2] - thing.foot[1] - 0.03)

    def side(self, thing: Item, z: float, *, right: bool) -> Item:
        """Put a thing at the left or right wall."""
        gap = thing.foot[1] + 0.03
        return self.put(thing, self.size[0] - gap if right else gap, z, QUARTER if right else -QUARTER)

    def hang(self, thing: Item, along: float, y: float, where: str) -> None:
        """Put a flat thing on a wall: "back" at x = `along`, "left" or "right" at z = `along`."""
        width, _, length = self.size
        if where == "back":
            self.items.append(place(thing, (along, y, length)))
        else:
            x, yaw = (width, QUARTER) if where == "right" else (0.0, -QUARTER)
            self.items.append(place(thing, (x, y, along), yaw))


def _lights(plan: Plan, where: str, along: float, lamp: Vector) -> Lights:
    width, _, length = plan.size
    spots: dict[str, tuple[Vector, Vector]] = {
        "back": ((along, 1.6, length - 0.1), (0, -0.2, -1)),
        "left": ((0.1, 1.6, along), (1, -0.2, 0)),
        "right": ((width - 0.1, 1.6, along), (-1, -0.2, 0)),
    }
    window, facing = spots[where]
    rng = plan.rng
    return Lights(
        plan.size,
        window,
        facing,
        lamp,
        float(rng.uniform(3.0, 4.2)),
        float(rng.uniform(0.15, 0.45)),
        float(rng.uniform(0.7, 0.9)),
    )


def glaze(plan: Plan, where: str, along: float, *, curtains: bool, lamp: Vector, low: float = 0.9) -> Lights:
    """Put a window in a wall (as `Plan.hang` names them) and return the light of the room."""
    rng = plan.rng
    span, high = float(rng.uniform(1.1, 1.9)), float(rng.uniform(1.25, 1.4))
    plan.hang(make.window(rng, plan.style, span, high, curtains=curtains), along, low, where)
    return _lights(plan, where, along, lamp)


def lay_rug(plan: Plan, x: float, z: float, width: float, depth: float, yaw: float = 0.0) -> None:
    """Lay a rug, in about every second room."""
    rng, style = plan.rng, plan.style
    if rng.random() < 0.55:
        return
    ground = tone(style.linen, float(rng.uniform(0.82, 0.98)))
    texture = carpet(rng, width / 2, depth / 2, ground)
    if rng.random() < 0.5:
        edge = max(2, texture.shape[0] // 14)
        rim = np.array(tone(ground, 0.86)) / np.array(ground)
        border = texture * rim
        border[edge:-edge, edge:-edge] = texture[edge:-edge, edge:-edge]
        texture = border.astype(np.uint8)
    else:
        lines = stripes((255, 255, 255), tone((255, 255, 255), 0.93), int(rng.integers(3, 9)))
        rows = np.linspace(0, 127, texture.shape[0]).astype(int)
        texture = (texture * (lines[rows][:, :1] / 255)).astype(np.uint8)
    plan.put(make.rug(width, depth, texture), x, z, yaw)
