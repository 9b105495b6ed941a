"""Clutter of rendered rooms: what goes when a room is tidied. Sizes in metres; each thing stands on y = 0."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from declutter_async.emulator.room_items import Item, box, item, place, rotation
from declutter_async.emulator.room_raster import Blob, Box, Cylinder, Material, Solid, Vector
from declutter_async.emulator.room_textures import Rng, cloth, print_, stripes, tone

# Things that lie about come in the colours that shops sell them in (BGR).
_CLOTHES: tuple[Vector, ...] = (
    (60, 56, 178), (150, 84, 36), (72, 150, 214), (110, 128, 40), (150, 90, 196), (98, 52, 44),
    (84, 132, 60), (196, 160, 92),
)  # fmt: skip
_TOYS: tuple[Vector, ...] = (
    (40, 44, 214),
    (206, 118, 24),
    (28, 196, 240),
    (70, 164, 52),
    (30, 122, 238),
    (168, 64, 168),
)
_COVERS: tuple[Vector, ...] = (
    (52, 44, 150), (128, 74, 30), (60, 108, 50), (40, 150, 206), (48, 48, 52), (132, 128, 40), (120, 60, 140),
)  # fmt: skip
_CARDBOARD: Vector = (84, 124, 164)


def _any(rng: Rng, colors: tuple[Vector, ...]) -> Vector:
    return colors[int(rng.integers(len(colors)))]


def _seed(rng: Rng) -> int:
    return int(rng.integers(1 << 31))


def carton(rng: Rng) -> Item:
    """A cardboard box or, as often, a printed one of a shop or a mover; taped or open."""
    w, h, d = (float(rng.uniform(low, high)) / 2 for low, high in ((0.28, 0.44), (0.2, 0.34), (0.26, 0.38)))
    color = _any(
        rng,
        (_CARDBOARD, tone(_CARDBOARD, 1.12), (170, 110, 40), (60, 60, 180), (50, 170, 220), (110, 140, 50)),
    )
    paper = Material(texture=cloth(rng, color, 0.02), tile=0.4)
    solids: list[Solid] = [box((-w, w), (0, 2 * h), (-d, d), paper, 0.008)]
    mark = Material(texture=print_(rng, color), tile=0)
    solids.append(box((-w * 0.8, w * 0.8), (h * 0.3, h * 1.6), (-d - 0.002, -d + 0.01), mark, 0.001))
    if rng.random() < 0.5:
        tape = Material(color=(120, 172, 205))
        solids.append(
            box((-0.028, 0.028), (2 * h - 0.1, 2 * h + 0.002), (-d - 0.003, d + 0.003), tape, 0.001)
        )
    else:
        dark = Material(color=(46, 66, 84))
        solids.append(
            box((-w + 0.012, w - 0.012), (2 * h - 0.01, 2 * h + 0.003), (-d + 0.012, d - 0.012), dark, 0.001)
        )
        for side in (-1, 1):
            flap = box((-w, w), (2 * h - 0.004, 2 * h + 0.004), (-0.09, 0.09), paper, 0.001)
            solids.append(Box((0, 2 * h + 0.05, side * (d + 0.045)), (w, 0.06, 0.004), flap.material))
            solids.append(Box((side * (w + 0.045), 2 * h - 0.045, 0), (0.004, 0.06, d), flap.material))
    return item(solids, solids[:1], (), (w, d))


def clothes(rng: Rng) -> Item:
    """A heap of clothes."""
    solids: list[Solid] = []
    count, spread = int(rng.integers(4, 8)), float(rng.uniform(0.16, 0.28))
    for number in range(count):
        stuff = _any(rng, _CLOTHES)
        striped = rng.random() < 0.25
        texture = stripes(stuff, _any(rng, _CLOTHES), 8) if striped else cloth(rng, stuff, 0.06)
        material = Material(texture=texture, tile=0.25, bump=0.75)
        x, z = (float(value) for value in rng.normal(0, spread * (1 - number / count), 2))
        radii = float(rng.uniform(0.16, 0.28)), float(rng.uniform(0.06, 0.1)), float(rng.uniform(0.14, 0.24))
        turn = rotation(float(rng.uniform(0, 6.28)), float(rng.normal(0, 0.2)), float(rng.normal(0, 0.2)))
        solids.append(Blob((x, 0.03 + 0.04 * number, z), radii, material, turn, 0.32, _seed(rng)))
    return item(solids, solids[:5], (), (0.32, 0.3))


def garment(rng: Rng) -> Item:
    """One piece of clothing, dropped or thrown over something."""
    texture = cloth(rng, _any(rng, _CLOTHES), 0.06)
    material = Material(texture=texture, tile=0.25, bump=0.8)
    body = Blob((0, 0.025, 0), (0.26, 0.055, 0.19), material, rotation(0, 0, 0), 0.28, _seed(rng))
    sleeves = [
        Blob(
            (side * 0.26, 0.02, 0.08),
            (0.18, 0.035, 0.07),
            material,
            rotation(side * 0.5, 0, 0),
            0.45,
            _seed(rng),
        )
        for side in (-1, 1)
    ]
    return item([body, *sleeves], [body], (), (0.3, 0.2))


def ball(rng: Rng) -> Item:
    """A play ball."""
    radius = float(rng.uniform(0.07, 0.13))
    texture = stripes(_any(rng, _TOYS), _any(rng, (*_TOYS, (236, 238, 240))), int(rng.integers(2, 5)))
    sphere = Blob(
        (0, radius, 0),
        (radius, radius, radius),
        Material(texture=texture, tile=radius * 4),
        rotation(*rng.uniform(0, 6, 3)),
    )
    return item([sphere], None, (), (radius, radius))


def blocks(rng: Rng) -> Item:
    """Toy bricks, strewn and stacked."""
    solids: list[Solid] = []
    for _ in range(int(rng.integers(6, 11))):
        half = float(rng.uniform(0.03, 0.05))
        x, z = (float(value) for value in rng.uniform(-0.24, 0.24, 2))
        layer = half * (3 if rng.random() < 0.25 else 1)
        shape = (half * float(rng.choice([1.0, 2.0])), half, half)
        solids.append(
            Box((x, layer, z), shape, Material(color=_any(rng, _TOYS)), float(rng.uniform(0, 3)), 0.006)
        )
    return item(solids, None, (), (0.28, 0.28))


def teddy(rng: Rng) -> Item:
    """A stuffed bear that sits."""
    color = _any(rng, ((52, 92, 150), (60, 120, 190), (150, 130, 214), (170, 130, 80)))
    fur = Material(texture=cloth(rng, color, 0.09), tile=0.2, bump=0.3)
    pale = Material(texture=cloth(rng, (150, 190, 214), 0.06), tile=0.2, bump=0.2)
    solids = [
        Blob((0, 0.13, 0), (0.11, 0.14, 0.1), fur),
        Blob((0, 0.33, 0), (0.095, 0.09, 0.09), fur),
        Blob((0, 0.31, -0.08), (0.04, 0.033, 0.035), pale),
        *(Blob((side * 0.08, 0.41, 0), (0.035, 0.035, 0.02), fur) for side in (-1, 1)),
        *(
            Blob((side * 0.12, 0.17, -0.04), (0.04, 0.1, 0.04), fur, rotation(0, 0.5, side * 0.6))
            for side in (-1, 1)
        ),
        *(
            Blob((side * 0.08, 0.05, -0.13), (0.05, 0.05, 0.12), fur, rotation(side * 0.3, 0, 0))
            for side in (-1, 1)
        ),
    ]
    return item(solids, solids[:2], (), (0.16, 0.2))


def bottles(rng: Rng) -> Item:
    """A few bottles and cans."""
    solids: list[Solid] = []
    for _ in range(int(rng.integers(2, 5))):
        x, z = (float(value) for value in rng.uniform(-0.13, 0.13, 2))
        color = _any(rng, ((40, 84, 36), (30, 60, 96), (190, 120, 50), (44, 40, 190), (60, 170, 215)))
        glass = Material(color=color)
        if rng.random() < 0.65:
            paper = Material(color=_any(rng, ((220, 226, 230), (70, 190, 230), (60, 60, 200))))
            solids += [
                Cylinder((x, 0, z), 0.037, 0.037, 0.18, glass),
                Cylinder((x, 0.18, z), 0.037, 0.014, 0.05, glass),
                Cylinder((x, 0.23, z), 0.014, 0.014, 0.06, glass),
                Cylinder((x, 0.05, z), 0.0382, 0.0382, 0.08, paper),
            ]
        else:
            solids.append(Cylinder((x, 0, z), 0.033, 0.033, 0.115, glass))
            solids.append(Cylinder((x, 0.113, z), 0.03, 0.028, 0.005, Material(color=(190, 190, 190))))
    return item(
        solids,
        [solid for solid in solids if isinstance(solid, Cylinder) and solid.foot[1] == 0],
        (),
        (0.17, 0.17),
    )


def books(rng: Rng) -> Item:
    """Books in a crooked heap, with one that slid off."""
    solids: list[Solid] = []
    y = 0.0
    for _ in range(int(rng.integers(3, 8))):
        thick = float(rng.uniform(0.02, 0.045))
        half = float(rng.uniform(0.09, 0.13)), thick / 2, float(rng.uniform(0.12, 0.16))
        x, z = (float(value) for value in rng.normal(0, 0.025, 2))
        turned = float(rng.normal(0, 0.35))
        cover, pages = Material(color=_any(rng, _COVERS)), Material(color=(206, 222, 228))
        solids.append(Box((x, y + thick / 2, z), half, cover, turned, 0.003))
        inner = half[0] - 0.004, half[1] - 0.004, half[2] + 0.001
        solids.append(Box((x, y + thick / 2, z), inner, pages, turned, 0.002))
        y += thick
    solids.append(
        Box(
            (0.22, 0.015, -0.06),
            (0.1, 0.015, 0.14),
            Material(color=_any(rng, _COVERS)),
            float(rng.uniform(0, 3)),
            0.003,
        )
    )
    pile = box((-0.11, 0.11), (0, y), (-0.14, 0.14), Material())
    return item(solids, [pile, solids[-1]], (), (0.2, 0.18))


def shoes(rng: Rng) -> Item:
    """A pair of shoes, one of them askew."""
    upper = Material(color=_any(rng, _CLOTHES), bump=0.15)
    sole, inside = Material(color=(214, 218, 222)), Material(color=(30, 30, 32))

    def shoe() -> list[Solid]:
        return [
            Blob((0, 0.016, 0), (0.05, 0.02, 0.145), sole),
            Blob((0, 0.035, -0.05), (0.043, 0.045, 0.09), upper),
            Blob((0, 0.055, 0.065), (0.04, 0.055, 0.07), upper),
            Blob((0, 0.1, 0.07), (0.028, 0.014, 0.045), inside),
        ]

    one = place(item(shoe(), shoe()[:1]), (-0.08, 0, 0), float(rng.uniform(-0.5, 0.5)))
    two = place(item(shoe(), shoe()[:1]), (0.1, 0, 0.03), float(rng.uniform(-1.2, 1.2)))
    return Item((*one.solids, *two.solids), (*one.occluders, *two.occluders), (), (0.18, 0.18))


def bag(rng: Rng) -> Item:
    """A full plastic bag, tied up."""
    color = _any(
        rng, ((214, 196, 150), (110, 62, 34), (62, 62, 190), (150, 100, 40), (80, 150, 60), (60, 190, 230))
    )
    film = Material(color=color, bump=0.7)
    size = float(rng.uniform(0.8, 1.15))
    body = Blob(
        (0, 0.14 * size, 0),
        (0.18 * size, 0.16 * size, 0.15 * size),
        film,
        rotation(0, 0, 0),
        0.22,
        _seed(rng),
    )
    neck = Blob(
        (0.01, 0.28 * size, 0),
        (0.09 * size, 0.08 * size, 0.08 * size),
        film,
        rotation(0, 0, 0.2),
        0.25,
        _seed(rng),
    )
    knot = Blob(
        (0.02, 0.36 * size, 0), (0.05 * size, 0.035, 0.04), film, rotation(0, 0, 0.5), 0.3, _seed(rng)
    )
    return item([body, neck, knot], [body], (), (0.18, 0.16))


def cable(rng: Rng) -> Item:
    """A tangled cable with its plug, on the floor."""
    steps = np.linspace(0, 1, 46)
    turns = rng.uniform(1.2, 2.6)
    wobble = rng.uniform(0.6, 1.4, 2)
    x = 0.3 * np.sin(steps * 6.28 * turns) * wobble[0] * (0.4 + steps)
    z = 0.2 * np.cos(steps * 6.28 * turns * 0.8) * wobble[1] + 0.25 * (steps - 0.5)
    black = Material(color=_any(rng, ((40, 40, 200), (200, 90, 30), (40, 90, 220))))
    solids: list[Solid] = []
    for (x0, x1), (z0, z1) in zip(pairwise(x), pairwise(z), strict=True):
        long = float(np.hypot(x1 - x0, z1 - z0)) / 2 + 0.006
        angle = float(np.arctan2(-(z1 - z0), x1 - x0))
        solids.append(
            Box((float(x0 + x1) / 2, 0.008, float(z0 + z1) / 2), (long, 0.007, 0.008), black, angle, 0.006)
        )
    plug = Box((float(x[0]), 0.02, float(z[0])), (0.03, 0.02, 0.025), black, 0.4, 0.01)
    return item([*solids, plug], [plug, *solids[::6]], (), (0.3, 0.25))


def basket(rng: Rng) -> Item:
    """A laundry basket that runs over."""
    plastic = _any(
        rng, ((190, 140, 40), (150, 168, 60), (150, 110, 214), (180, 206, 222), (60, 70, 190), (70, 190, 214))
    )
    weave = Material(texture=stripes(plastic, tone(plastic, 0.72), 9), tile=0.3)
    rim = Material(color=tone(plastic, 0.95))
    color = Material(texture=cloth(rng, _any(rng, _CLOTHES), 0.06), tile=0.25, bump=0.75)
    other = Material(texture=cloth(rng, _any(rng, _CLOTHES), 0.06), tile=0.25, bump=0.75)
    body = Cylinder((0, 0, 0), 0.2, 0.26, 0.42, weave)
    return item(
        [
            body,
            Cylinder((0, 0.4, 0), 0.27, 0.27, 0.03, rim),
            Blob((0.04, 0.44, 0), (0.22, 0.12, 0.2), color, rotation(0.4, 0, 0), 0.3, _seed(rng)),
            Blob((-0.14, 0.42, -0.12), (0.16, 0.1, 0.14), other, rotation(1.0, 0.3, 0), 0.35, _seed(rng)),
        ],
        [body],
        (),
        (0.27, 0.27),
    )


def papers(rng: Rng) -> Item:
    """Loose sheets and magazines."""
    solids: list[Solid] = []
    for number in range(int(rng.integers(4, 9))):
        x, z = (float(value) for value in rng.uniform(-0.2, 0.2, 2))
        color = (226, 230, 232) if rng.random() < 0.3 else _any(rng, _COVERS)
        sheet = Material(color=color)
        solids.append(
            Box((x, 0.004 + 0.002 * number, z), (0.105, 0.003, 0.148), sheet, float(rng.uniform(0, 3)), 0.001)
        )
    return item(solids, solids[:4], (), (0.3, 0.3))


def dishes(rng: Rng) -> Item:
    """A stack of plates with a mug beside it."""
    china = Material(color=_any(rng, ((226, 230, 234), (200, 180, 120), (170, 196, 220))))
    solids: list[Solid] = []
    for level in range(int(rng.integers(2, 5))):
        x, z = (float(value) for value in rng.normal(0, 0.008, 2))
        solids.append(Cylinder((x, 0.018 * level, z), 0.06, 0.115, 0.017, china))
    mug = Material(color=_any(rng, _TOYS))
    solids.append(Cylinder((0.17, 0, 0.03), 0.038, 0.042, 0.095, mug))
    solids.append(Cylinder((0.17, 0.09, 0.03), 0.036, 0.036, 0.006, Material(color=(24, 36, 54))))
    return item(solids, [solids[0], solids[-2]], (), (0.2, 0.12))


Maker = Callable[[Rng], Item]

ON_FLOOR: tuple[Maker, ...] = (
    carton, clothes, clothes, clothes, garment, garment, ball, ball, blocks, teddy, bottles, books, books, shoes, shoes, bag, cable, basket, papers,
)  # fmt: skip
ON_TABLE: tuple[Maker, ...] = (bottles, books, dishes, papers, dishes, garment)
ON_SEAT: tuple[Maker, ...] = (clothes, garment, garment, bag, books, teddy)
