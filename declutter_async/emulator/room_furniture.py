"""Furniture and fittings of rendered rooms: what stays when a room is tidied. Sizes in metres."""

import attrs
import numpy as np

from declutter_async.emulator.arrays import Bytes
from declutter_async.emulator.room_items import Item, Top, box, item, rotation
from declutter_async.emulator.room_raster import Blob, Box, Cylinder, Material, Solid, Vector
from declutter_async.emulator.room_textures import Rng, art, cloth, doors, folds, grain, spines, tone, view


@attrs.frozen
class Style:
    """The colours (BGR) of one home."""

    wall: Vector
    floor: Vector
    fabric: Vector
    linen: Vector
    wood: Vector
    paint: Vector
    metal: Vector
    accents: tuple[Vector, ...]


def wooden(rng: Rng, style: Style) -> Material:
    """The home's wood."""
    return Material(texture=grain(rng, style.wood), tile=0.9)


def woven(rng: Rng, color: Vector) -> Material:
    """Cloth of `color`."""
    return Material(texture=cloth(rng, color), tile=0.35, bump=0.06)


def sofa(rng: Rng, style: Style, seats: int) -> Item:
    """A sofa (or, with one seat, an armchair) with cushions."""
    seat, arm, depth = (0.72 if seats > 1 else 0.62), 0.18, 0.92
    half = seats * seat / 2 + arm
    fabric = woven(rng, style.fabric)
    leg = Material(color=tone(style.wood, 0.6))
    solids: list[Solid] = [
        box((-half + 0.02, half - 0.02), (0.1, 0.30), (-0.42, 0.44), fabric, 0.03),
        box((-half, half), (0.1, 0.78), (0.26, 0.46), fabric, 0.07),
        box((-half, -half + arm), (0.1, 0.60), (-0.46, 0.46), fabric, 0.06),
        box((half - arm, half), (0.1, 0.60), (-0.46, 0.46), fabric, 0.06),
    ]
    shadows = [box((-half, half), (0.08, 0.42), (-0.46, 0.46), fabric), *solids[1:]]
    for number in range(seats):
        left = -half + arm + number * seat
        solids += [
            box((left, left + seat), (0.28, 0.46), (-0.45, 0.2), fabric, 0.06),
            box((left + 0.01, left + seat - 0.01), (0.44, 0.84), (0.06, 0.3), fabric, 0.09),
        ]
    for x in (-half + 0.08, half - 0.08):
        solids += [Cylinder((x, 0, z), 0.015, 0.022, 0.12, leg) for z in (-0.38, 0.4)]
    if seats > 1:
        pillow = woven(rng, style.linen)
        for side in (-1, 1):
            center = side * (half - arm - 0.26), 0.66, 0.0
            solids.append(Box(center, (0.22, 0.2, 0.075), pillow, side * 0.22, 0.07))
    top = Top((0, 0.46, -0.14), (half - arm - 0.12, 0.2))
    return item(solids, shadows, (top,), (half, depth / 2))


def table(rng: Rng, style: Style, width: float, depth: float, height: float) -> Item:
    """A table on four legs."""
    wood = wooden(rng, style)
    w, d = width / 2, depth / 2
    plate = box((-w, w), (height - 0.035, height), (-d, d), wood, 0.012)
    legs = [
        box((x - 0.025, x + 0.025), (0, height - 0.03), (z - 0.025, z + 0.025), wood, 0.008)
        for x in (-w + 0.06, w - 0.06)
        for z in (-d + 0.06, d - 0.06)
    ]
    return item([plate, *legs], [plate, *legs], (Top((0, height, 0), (w, d)),), (w, d))


def chair(rng: Rng, style: Style) -> Item:
    """A wooden chair with an upholstered seat."""
    wood, fabric = wooden(rng, style), woven(rng, style.linen)
    seat = box((-0.21, 0.21), (0.42, 0.48), (-0.21, 0.21), fabric, 0.028)
    solids: list[Solid] = [seat, box((-0.2, 0.2), (0.39, 0.43), (-0.2, 0.2), wood)]
    solids += [Cylinder((x, 0, -0.18), 0.013, 0.02, 0.42, wood) for x in (-0.18, 0.18)]
    solids += [Cylinder((x, 0, 0.19), 0.013, 0.02, 0.9, wood) for x in (-0.18, 0.18)]
    solids += [box((-0.18, 0.18), (y, y + 0.07), (0.18, 0.205), wood, 0.01) for y in (0.62, 0.74, 0.86)]
    return item(solids, [seat, solids[-1]], (), (0.22, 0.22))


def bed(rng: Rng, style: Style, width: float) -> Item:
    """A made bed, its head at +z."""
    half, wood = width / 2, wooden(rng, style)
    frame = box((-half - 0.04, half + 0.04), (0.12, 0.32), (-1.04, 1.0), wood, 0.012)
    solids: list[Solid] = [
        frame,
        box(
            (-half - 0.06, half + 0.06),
            (0, 1.1),
            (1.0, 1.07),
            wood if rng.random() < 0.5 else woven(rng, style.fabric),
            0.03,
        ),
        box((-half, half), (0.3, 0.5), (-1.0, 1.0), woven(rng, (226, 230, 232)), 0.06),
        box((-half - 0.05, half + 0.05), (0.26, 0.56), (-1.03, 0.42), woven(rng, style.linen), 0.08),
        box((-half - 0.06, half + 0.06), (0.3, 0.585), (-0.98, -0.35), woven(rng, style.fabric), 0.07),
    ]
    solids += [box((x - 0.03, x + 0.03), (0, 0.14), (-0.98, -0.92), wood) for x in (-half, half)]
    for side in (-1, 1):
        pillow = woven(rng, (224, 228, 232))
        solids.append(
            Blob((side * half * 0.5, 0.6, 0.72), (half * 0.44, 0.13, 0.24), pillow, rotation(0, -0.35, 0))
        )
        solids.append(
            Blob(
                (side * half * 0.5, 0.66, 0.88),
                (half * 0.44, 0.2, 0.12),
                woven(rng, style.linen),
                rotation(0, 0.2, 0),
            )
        )
    shadow = box((-half, half), (0.1, 0.5), (-1.0, 1.0), wood, 0.05)
    return item(solids, [shadow, solids[1]], (Top((0, 0.56, 0.05), (half - 0.1, 0.32)),), (half + 0.06, 1.07))


def cabinet(
    rng: Rng,
    style: Style,
    width: float,
    height: float,
    depth: float,
    fronts: tuple[int, int],
    *,
    painted: bool,
) -> Item:
    """A cupboard, dresser, sideboard or wardrobe: `fronts` doors or drawers (across, down)."""
    w, d = width / 2, depth / 2
    color = style.paint if painted else style.wood
    body = Material(color=color) if painted else wooden(rng, style)
    front = Material(texture=doors(color, *fronts), tile=0)
    knob = Material(color=style.metal)
    shell = box((-w, w), (0.08, height), (-d, d), body, 0.008)
    solids: list[Solid] = [
        shell,
        box((-w + 0.02, w - 0.02), (0, 0.1), (-d + 0.05, d), Material(color=tone(color, 0.5))),
        box((-w + 0.006, w - 0.006), (0.1, height - 0.025), (-d - 0.018, -d + 0.01), front),
    ]
    across, down = fronts
    for column in range(across):
        for row in range(down):
            x = -w + (column + (0.5 if down > 1 else (0.88 if column % 2 == 0 else 0.12))) * width / across
            y = 0.1 + (row + 0.5) * (height - 0.12) / down
            solids.append(Blob((x, y, -d - 0.03), (0.016, 0.016, 0.014), knob))
    tops = (Top((0, height, 0), (w, d)),) if height < 1.2 else ()
    return item(solids, [shell], tops, (w, d + 0.02))


def bookshelf(rng: Rng, style: Style, width: float, height: float) -> Item:
    """Open shelves with rows of books and boxes, above a cupboard."""
    w, wood, low = width / 2, wooden(rng, style), 0.82
    levels = max(2, round((height - low) / 0.36))
    step = (height - low - 0.03) / levels
    shell = box((-w, w), (0, low), (-0.15, 0.15), wood)
    fronts = Material(texture=doors(style.wood, max(2, round(width / 0.45)), 1), tile=0)
    solids: list[Solid] = [
        shell,
        box((-w + 0.01, w - 0.01), (0.06, low - 0.02), (-0.165, -0.14), fronts),
        box((-w, w), (low, height), (0.13, 0.15), Material(color=tone(style.wood, 0.75))),
        box((-w, -w + 0.025), (low, height), (-0.15, 0.15), wood),
        box((w - 0.025, w), (low, height), (-0.15, 0.15), wood),
        *(
            box((-w, w), (y, y + 0.025), (-0.15, 0.15), wood)
            for y in (low + level * step for level in range(1, levels + 1))
        ),
    ]
    muted = tuple(tone(color, 0.9) for color in (*style.accents, style.linen, style.wood, style.fabric))
    for level in range(levels):
        left, floor = -w + 0.04, low + level * step + (0.02 if level else 0.0)
        while left < w - 0.15:
            run = min(float(rng.uniform(0.15, 0.45)), w - 0.04 - left)
            high = (step - 0.03) * float(rng.uniform(0.7, 0.98))
            choice = rng.random()
            if choice < 0.65:
                books = Material(texture=spines(rng, muted, max(3, round(run / 0.035))), tile=0)
                solids.append(box((left, left + run), (floor, floor + high), (-0.1, 0.1), books, 0.002))
            elif choice < 0.85:
                case = Material(texture=cloth(rng, tone(style.linen, 0.85)), tile=0.3)
                solids.append(box((left, left + run), (floor, floor + high * 0.7), (-0.12, 0.1), case, 0.01))
            left += run + float(rng.uniform(0.01, 0.08))
    return item(solids, [box((-w, w), (0, height), (-0.15, 0.15), wood)], (), (w, 0.16))


def floor_lamp(style: Style) -> Item:
    """A lamp on a pole with a lit shade."""
    metal = Material(color=style.metal)
    shade = Material(color=(205, 232, 248), glow=0.4)
    foot = Cylinder((0, 0, 0), 0.15, 0.14, 0.025, metal)
    solids = [
        foot,
        Cylinder((0, 0, 0), 0.011, 0.011, 1.35, metal),
        Cylinder((0, 1.3, 0), 0.22, 0.16, 0.28, shade),
    ]
    return item(solids, [foot], (), (0.16, 0.16))


def pendant(style: Style, ceiling: float, drop: float) -> Item:
    """A lamp that hangs from the ceiling, its origin on the floor below."""
    metal, shade = Material(color=style.metal), Material(color=(200, 226, 244), glow=0.35)
    low = ceiling - drop
    return item(
        [
            Cylinder((0, low, 0), 0.006, 0.006, drop, metal),
            Cylinder((0, low - 0.2, 0), 0.24, 0.1, 0.22, shade),
        ],
        [],
    )


def plant(rng: Rng, style: Style, height: float) -> Item:
    """A pot with large leaves."""
    pot = Cylinder((0, 0, 0), 0.13, 0.18, 0.3, Material(color=tone(style.paint, 0.9)))
    green: Vector = (62, 104, 72)
    solids: list[Solid] = [pot, Cylinder((0, 0.27, 0), 0.165, 0.165, 0.035, Material(color=(40, 52, 66)))]
    for number in range(26):
        angle, lean = number * 2.4 + float(rng.uniform(-0.3, 0.3)), float(rng.uniform(0.15, 1.0))
        reach, rise = 0.1 + 0.26 * lean, height * (1 - 0.45 * lean) * float(rng.uniform(0.6, 1.0))
        center = reach * float(np.sin(angle)), 0.3 + rise * 0.75, reach * float(np.cos(angle))
        leaf = Material(color=tone(green, float(rng.uniform(0.75, 1.3))))
        turn = rotation(angle, -1.25 + 0.75 * lean, float(rng.uniform(-0.3, 0.3)))
        solids.append(Blob(center, (0.05 + 0.025 * lean, 0.008, 0.15 + 0.08 * lean), leaf, turn))
    crown = Blob((0, 0.3 + height * 0.5, 0), (0.22, height * 0.3, 0.22), Material())
    return item(solids, [pot, crown], (), (0.2, 0.2))


def rug(width: float, depth: float, texture: Bytes) -> Item:
    """A thin rug."""
    plate = box(
        (-width / 2, width / 2), (0, 0.012), (-depth / 2, depth / 2), Material(texture=texture, tile=0), 0.005
    )
    return item([plate], [plate])


def picture(rng: Rng, style: Style, width: float, height: float) -> Item:
    """A framed print; its back at z = 0."""
    w, h = width / 2, height / 2
    rim = Material(color=style.metal) if rng.random() < 0.5 else wooden(rng, style)
    colors = tuple(tone(color, 1.0) for color in (style.linen, *style.accents))
    frame = box((-w - 0.02, w + 0.02), (-h - 0.02, h + 0.02), (-0.025, 0), rim)
    return item(
        [frame, box((-w, w), (-h, h), (-0.029, -0.01), Material(texture=art(rng, colors), tile=0))], [frame]
    )


def window(rng: Rng, style: Style, width: float, height: float, *, curtains: bool) -> Item:
    """A window with frame, sill and curtains; its origin in the middle of its lower edge on the wall."""
    w = width / 2
    white = Material(color=(236, 238, 238))
    glass = Material(texture=view(rng), tile=0, glow=0.75)
    solids: list[Solid] = [
        box((-w, w), (0, height), (-0.012, 0), glass),
        box((-w - 0.07, w + 0.07), (height, height + 0.08), (-0.045, 0), white),
        box((-w - 0.07, -w), (0, height), (-0.045, 0), white),
        box((w, w + 0.07), (0, height), (-0.045, 0), white),
        box((-w - 0.12, w + 0.12), (-0.05, 0), (-0.16, 0), white, 0.01),
    ]
    bars = 2 if width > 1.3 else 1
    for number in range(bars):
        x = -w + (number + 1) * width / (bars + 1)
        solids.append(box((x - 0.025, x + 0.025), (0, height), (-0.035, 0), white))
    solids.append(box((-w, w), (height * 0.68, height * 0.68 + 0.035), (-0.03, 0), white))
    shadows = [solids[4]]
    if curtains:
        hang = Material(texture=folds(rng, style.linen), tile=0)
        rod = Material(color=style.metal)
        solids.append(box((-w - 0.5, w + 0.5), (height + 0.16, height + 0.18), (-0.11, -0.09), rod, 0.01))
        for side in (-1, 1):
            edges = sorted((side * (w - 0.06), side * (w + 0.42)))
            panel = box((edges[0], edges[1]), (-0.82, height + 0.16), (-0.13, -0.07), hang, 0.02)
            solids.append(panel)
            shadows.append(panel)
    return item(solids, shadows)


def door(rng: Rng, style: Style) -> Item:
    """A closed door in its frame."""
    white = Material(color=tone(style.paint, 0.97))
    leaf = Material(texture=doors(tone(style.paint, 0.95), int(rng.integers(1, 3)), 2), tile=0)
    solids: list[Solid] = [
        box((-0.42, 0.42), (0, 2.04), (-0.015, 0), leaf),
        box((-0.5, -0.42), (0, 2.12), (-0.04, 0), white),
        box((0.42, 0.5), (0, 2.12), (-0.04, 0), white),
        box((-0.5, 0.5), (2.04, 2.12), (-0.04, 0), white),
        box((0.26, 0.37), (1.02, 1.045), (-0.07, -0.05), Material(color=style.metal), 0.01),
    ]
    return item(solids, [], (), (0.5, 0.05))


def kitchen(rng: Rng, style: Style, width: float) -> Item:
    """A fitted kitchen: base cupboards with a worktop, wall cupboards, a tap and a hood."""
    w, units = width / 2, max(3, round(width / 0.6))
    color, worktop = style.paint, wooden(rng, style)
    front = Material(texture=doors(color, units, 1), tile=0)
    steel = Material(color=(178, 178, 176))
    body = box((-w, w), (0.1, 0.86), (-0.29, 0.3), Material(color=color))
    plate = box((-w - 0.01, w + 0.01), (0.86, 0.9), (-0.32, 0.3), worktop)
    upper = box((-w, w - 0.65), (1.45, 2.1), (-0.05, 0.3), Material(color=color))
    solids: list[Solid] = [
        body,
        box((-w, w), (0, 0.1), (-0.24, 0.3), Material(color=tone(color, 0.45))),
        box((-w, w), (0.11, 0.85), (-0.305, -0.28), front),
        plate,
        box((-w, w), (0.9, 1.45), (0.292, 0.3), Material(color=(222, 226, 228))),
        upper,
        box(
            (-w, w - 0.65), (1.45, 2.1), (-0.066, -0.04), Material(texture=doors(color, units - 1, 1), tile=0)
        ),
        box((w - 0.62, w - 0.02), (1.5, 1.56), (-0.15, 0.3), steel),
        box((w - 0.42, w - 0.22), (1.56, 2.3), (0.05, 0.3), steel),
        box((w - 0.6, w - 0.04), (0.9, 0.906), (-0.26, 0.24), Material(color=(34, 34, 36))),
        Cylinder((-w * 0.3, 0.9, 0.18), 0.014, 0.014, 0.3, steel),
        box((-w * 0.3 - 0.012, -w * 0.3 + 0.012), (1.18, 1.2), (-0.02, 0.19), steel, 0.008),
        box((-w * 0.3 - 0.25, -w * 0.3 + 0.25), (0.9, 0.904), (-0.2, 0.14), Material(color=(150, 150, 148))),
    ]
    solids += [
        box((x - 0.06, x + 0.06), (0.79, 0.802), (-0.325, -0.31), steel)
        for x in (-w + (number + 0.5) * width / units for number in range(units))
    ]
    return item(solids, [body, plate, upper], (), (w, 0.32))


def television(style: Style, width: float) -> Item:
    """A screen on its foot, to stand on a sideboard."""
    w = width / 2
    screen = box((-w, w), (0.06, 0.06 + width * 0.57), (-0.03, 0.02), Material(color=(30, 28, 27)))
    foot = box((-0.2, 0.2), (0, 0.02), (-0.1, 0.1), Material(color=tone(style.metal, 0.6)))
    return item([screen, box((-0.03, 0.03), (0, 0.1), (-0.02, 0.02), foot.material), foot], [screen])
