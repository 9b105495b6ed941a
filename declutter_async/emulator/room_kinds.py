"""Kinds of rooms and how they are furnished. With `flip`, left and right change places."""

import numpy as np

from declutter_async.emulator import room_furniture as make
from declutter_async.emulator.room_light import Lights
from declutter_async.emulator.room_plan import QUARTER, Plan, glaze, lay_rug
from declutter_async.emulator.room_raster import Vector


def living(plan: Plan, *, flip: bool) -> Lights:
    """A living room: a sofa at the back or at a side, a low table, a sideboard or shelves."""
    rng, style, (width, height, length) = plan.rng, plan.style, plan.size

    def x(at: float) -> float:
        return width - at if flip else at

    lamp_side = x(width - 0.4)
    if rng.random() < 0.6:  # the sofa stands at the back, under pictures
        middle = x(width * 0.42)
        couch = plan.back(make.sofa(rng, style, int(rng.integers(2, 4))), middle)
        wide = couch.foot[0]
        for step in (-0.5, 0.5) if rng.random() < 0.6 else (0.0,):
            plan.hang(make.picture(rng, style, 0.5, 0.65), middle + step * 1.1, 1.62, "back")
        lay_rug(plan, middle, length - 1.75, 1.9, 1.2)
        plan.put(make.table(rng, style, 1.0, 0.55, 0.42), middle, length - 1.85)
        plan.put(make.floor_lamp(style), lamp_side, length - 0.4)
        if abs(lamp_side - middle) - wide > 0.9:
            plan.back(
                make.plant(rng, style, 0.9), (lamp_side + middle) / 2 + np.sign(lamp_side - middle) * wide / 2
            )
        lights = glaze(
            plan,
            "left" if flip else "right",
            length * 0.58,
            curtains=True,
            lamp=(lamp_side, 1.4, length - 0.5),
        )
        plan.side(
            make.cabinet(rng, style, 1.5, 0.55, 0.42, (3, 1), painted=rng.random() < 0.5),
            length * 0.62,
            right=flip,
        )
        plan.hang(make.television(style, 1.0), length * 0.62, 0.58, "right" if flip else "left")
    else:  # the sofa stands at a side, the window is in the back wall
        plan.side(make.sofa(rng, style, 3), length * 0.6, right=flip)
        plan.hang(make.picture(rng, style, 0.7, 0.55), length * 0.6, 1.6, "right" if flip else "left")
        lay_rug(plan, width / 2, length * 0.6, 1.4, 1.8)
        plan.put(make.table(rng, style, 0.6, 1.0, 0.4), width / 2, length * 0.6)
        lights = glaze(plan, "back", width / 2, curtains=True, lamp=(x(0.4), 1.4, length - 0.5))
        plan.put(make.floor_lamp(style), x(0.4), length - 0.45)
        plan.side(make.bookshelf(rng, style, 1.1, 1.9), length * 0.55, right=not flip)
        plan.put(make.plant(rng, style, 1.0), x(width - 0.45), length - 0.45)
        if rng.random() < 0.7:
            plan.put(make.sofa(rng, style, 1), x(width - 1.3), length - 0.85, 0.5 * (1 if not flip else -1))
    if rng.random() < 0.5:
        plan.put(make.pendant(style, height, 0.5), width / 2, length * 0.55)
    return lights


def bedroom(plan: Plan, *, flip: bool) -> Lights:
    """A bedroom: a bed at the back, a wardrobe at a side."""
    rng, style, (width, _, length) = plan.rng, plan.style, plan.size

    def x(at: float) -> float:
        return width - at if flip else at

    middle, wide = x(width * 0.5), float(rng.uniform(1.4, 1.7))
    plan.back(make.bed(rng, style, wide), middle)
    for side in (-1, 1):
        spot = middle + side * (wide / 2 + 0.33)
        plan.back(make.cabinet(rng, style, 0.42, 0.5, 0.36, (1, 2), painted=False), spot)
    lamp: Vector = (middle + wide / 2 + 0.4, 1.0, length - 0.3)
    if rng.random() < 0.7:
        plan.hang(make.picture(rng, style, 0.9, 0.6), middle, 1.72, "back")
    lights = glaze(plan, "left" if flip else "right", length * 0.6, curtains=True, lamp=lamp)
    fronts = int(rng.integers(2, 4))
    plan.side(
        make.cabinet(rng, style, 0.5 * fronts, 2.05, 0.58, (fronts, 1), painted=True),
        length * 0.6,
        right=flip,
    )
    if rng.random() < 0.6:
        plan.put(make.plant(rng, style, 0.8), x(width - 0.4), length - 0.4)
    return lights


def dining(plan: Plan, *, flip: bool) -> Lights:
    """A kitchen one eats in: kitchen units at the back, a table with chairs."""
    rng, style, (width, height, length) = plan.rng, plan.style, plan.size
    long = float(rng.uniform(2.4, 3.0))
    along = width - long / 2 - 0.1 if flip else long / 2 + 0.1
    plan.back(make.kitchen(rng, style, long), along)
    rest = (along - long / 2) / 2 if flip else (along + long / 2 + width) / 2
    if abs(rest - along) - long / 2 > 0.55:
        plan.hang(make.door(rng, style), rest, 0, "back")
    x, z = width * (0.34 if flip else 0.66), length * 0.66
    wide = float(rng.uniform(1.1, 1.3))
    plan.put(make.table(rng, style, wide, 0.8, 0.74), x, z)
    for side in (-0.3, 0.3):
        plan.put(make.chair(rng, style), x + side, z + 0.5, float(rng.normal(0, 0.08)))
    plan.put(make.chair(rng, style), x + wide / 2 + 0.3, z, QUARTER + float(rng.normal(0, 0.2)))
    plan.put(make.chair(rng, style), x - wide / 2 - 0.3, z, -QUARTER + float(rng.normal(0, 0.2)))
    plan.put(make.pendant(style, height, 0.75), x, z)
    lights = glaze(
        plan,
        "right" if not flip else "left",
        length * 0.6,
        curtains=rng.random() < 0.5,
        lamp=(x, height - 1.0, z),
    )
    if rng.random() < 0.6:
        plan.side(make.cabinet(rng, style, 1.2, 0.85, 0.4, (3, 1), painted=True), length * 0.62, right=flip)
        plan.hang(make.picture(rng, style, 0.6, 0.6), length * 0.62, 1.6, "right" if flip else "left")
    else:
        plan.put(make.plant(rng, style, 1.1), 0.5 if not flip else width - 0.5, length * 0.72)
    return lights


def study(plan: Plan, *, flip: bool) -> Lights:
    """A study: a desk under the window, shelves, an armchair."""
    rng, style, (width, _, length) = plan.rng, plan.style, plan.size

    def x(at: float) -> float:
        return width - at if flip else at

    desk_x = x(width * 0.4)
    desk = plan.back(make.table(rng, style, 1.5, 0.7, 0.74), desk_x)
    plan.put(make.television(style, 0.6), desk_x, length - 0.25, 0.0, desk.tops[0].center[1])
    plan.put(make.chair(rng, style), desk_x + 0.1, length - 1.05, np.pi + float(rng.normal(0, 0.3)))
    lights = glaze(
        plan, "back", desk_x, curtains=rng.random() < 0.6, lamp=(x(width - 0.4), 1.4, length - 0.5), low=0.98
    )
    plan.side(make.bookshelf(rng, style, float(rng.uniform(1.2, 1.8)), 2.0), length * 0.62, right=flip)
    plan.put(make.floor_lamp(style), x(width - 0.45), length - 0.4)
    plan.put(make.sofa(rng, style, 1), x(width - 0.95), length - 1.3, 0.7 * (-1 if flip else 1))
    if rng.random() < 0.6:
        plan.put(make.plant(rng, style, 0.9), x(0.35), length - 0.35)
    plan.hang(make.picture(rng, style, 0.5, 0.6), length * 0.55, 1.6, "left" if flip else "right")
    return lights
