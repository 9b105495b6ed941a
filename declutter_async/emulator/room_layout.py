"""Rooms before they are photographed: their size, colours, surfaces, furniture and light, each drawn from a seed."""

from collections.abc import Callable

import attrs
import numpy as np

from declutter_async.emulator import room_furniture as make
from declutter_async.emulator.room_furniture import Style
from declutter_async.emulator.room_items import Item, Top, box, item, place
from declutter_async.emulator.room_light import Lights, Occluder
from declutter_async.emulator.room_raster import Bytes, Material, Solid, Vector
from declutter_async.emulator.room_textures import (
    Rng,
    carpet,
    herringbone,
    planks,
    plaster,
    stripes,
    tiles,
    tone,
    wallpaper,
)

_QUARTER = float(np.pi / 2)

_WALLS: tuple[Vector, ...] = (
    (226, 232, 236), (214, 224, 230), (206, 216, 216), (216, 214, 206), (200, 212, 224), (198, 206, 202), (222, 218, 214),
    (190, 200, 204), (196, 206, 216),
)  # fmt: skip
_WOODS: tuple[Vector, ...] = (
    (110, 150, 186), (92, 130, 168), (76, 110, 146), (134, 172, 202), (96, 120, 142), (120, 140, 156),
)  # fmt: skip
_FABRICS: tuple[Vector, ...] = (
    (150, 150, 148), (176, 188, 196), (122, 112, 104), (128, 140, 150), (140, 134, 118), (128, 138, 126), (108, 104, 102),
    (160, 170, 184),
)  # fmt: skip
_LINENS: tuple[Vector, ...] = (
    (206, 214, 220),
    (190, 200, 212),
    (196, 194, 186),
    (180, 196, 204),
    (186, 196, 188),
)
_ACCENTS: tuple[Vector, ...] = (
    (128, 116, 96),
    (112, 128, 120),
    (112, 140, 164),
    (140, 150, 160),
    (96, 104, 120),
    (150, 146, 132),
)


@attrs.frozen
class Wall:
    """A side of the room: its texture, and its corner, width and height as points and ways in the room (metres)."""

    texture: Bytes
    corner: Vector
    across: Vector
    down: Vector


@attrs.frozen
class Layout:
    """A furnished, tidy room: `size` is its width, height and length; `taken` are (x, z, half width, half depth)."""

    size: Vector
    walls: tuple[Wall, ...]
    items: tuple[Item, ...]
    lights: Lights
    taken: tuple[tuple[float, float, float, float], ...]

    @property
    def solids(self) -> list[Solid]:
        """All solids of the furniture."""
        return [solid for thing in self.items for solid in thing.solids]

    @property
    def occluders(self) -> list[Occluder]:
        """All that casts shadows."""
        return [occluder for thing in self.items for occluder in thing.occluders]

    @property
    def tops(self) -> list[Top]:
        """All places to put things on."""
        return [top for thing in self.items for top in thing.tops]


@attrs.define
class _Plan:
    """A room being furnished."""

    rng: Rng
    size: Vector
    style: Style
    items: list[Item] = attrs.field(factory=list)
    taken: list[tuple[float, float, float, float]] = attrs.field(factory=list)

    def put(self, thing: Item, x: float, z: float, yaw: float = 0.0, y: float = 0.0) -> Item:
        placed = place(thing, (x, y, z), yaw)
        self.items.append(placed)
        if max(placed.foot) > 0 and y == 0:
            self.taken.append((x, z, *placed.foot))
        return placed

    def back(self, thing: Item, x: float) -> Item:
        return self.put(thing, x, self.size[2] - thing.foot[1] - 0.03)

    def side(self, thing: Item, z: float, *, right: bool) -> Item:
        gap = thing.foot[1] + 0.03
        return self.put(thing, self.size[0] - gap if right else gap, z, _QUARTER if right else -_QUARTER)

    def hang(self, thing: Item, along: float, y: float, where: str) -> None:
        """Put a flat thing on a wall: "back" at x = `along`, "left" or "right" at z = `along`."""
        width, _, length = self.size
        if where == "back":
            self.items.append(place(thing, (along, y, length)))
        else:
            x, yaw = (width, _QUARTER) if where == "right" else (0.0, -_QUARTER)
            self.items.append(place(thing, (x, y, along), yaw))


def arrange(rng: Rng, kind: str | None = None) -> Layout:
    """Draw a room."""
    width, height, length = (
        float(rng.uniform(4.0, 5.4)),
        float(rng.uniform(2.5, 2.8)),
        float(rng.uniform(4.8, 5.8)),
    )
    style = _style(rng)
    plan = _Plan(rng, (width, height, length), style)
    kinds: dict[str, Callable[[_Plan, bool], Lights]] = {
        "living": _living,
        "bedroom": _bedroom,
        "dining": _dining,
        "study": _study,
    }
    chosen = kind or str(rng.choice(list(kinds)))
    lights = kinds[chosen](plan, bool(rng.random() < 0.5))
    _skirting(plan)
    walls = _walls(rng, style, plan.size, chosen)
    return Layout(plan.size, walls, tuple(plan.items), lights, tuple(plan.taken))


def _pick(rng: Rng, colors: tuple[Vector, ...]) -> Vector:
    blue, green, red = np.array(colors[int(rng.integers(len(colors)))]) * rng.uniform(
        0.95, 1.04
    ) + rng.uniform(-4, 4, 3)
    return float(blue), float(green), float(red)


def _style(rng: Rng) -> Style:
    wood = _pick(rng, _WOODS)
    floor = tone(
        wood, float(rng.uniform(0.92, 1.08))
    )  # one wood for floor and furniture, as decorators advise
    return Style(
        wall=_pick(rng, _WALLS),
        floor=floor,
        fabric=_pick(rng, _FABRICS),
        linen=_pick(rng, _LINENS),
        wood=wood,
        paint=_pick(rng, ((226, 230, 232), (206, 212, 212), (150, 156, 148), (196, 204, 210))),
        metal=_pick(rng, ((52, 52, 54), (150, 152, 154), (96, 140, 164))),
        accents=(_pick(rng, _ACCENTS), _pick(rng, _ACCENTS), _pick(rng, _ACCENTS)),
    )


def _walls(rng: Rng, style: Style, size: Vector, kind: str) -> tuple[Wall, ...]:
    width, height, length = size
    board, contrast = float(rng.uniform(0.11, 0.2)), float(rng.uniform(0.025, 0.06))
    choice = rng.random()
    if kind == "bedroom" and choice < 0.4:
        floor = carpet(rng, width, length, _pick(rng, _FABRICS[:4]))
    elif kind == "dining" and choice < 0.3:
        floor = tiles(
            rng,
            width,
            length,
            _pick(rng, ((196, 204, 210), (150, 152, 152), (170, 182, 192))),
            0.45,
            contrast,
        )
    elif choice > 0.8:
        floor = herringbone(rng, width, length, style.floor, board, contrast)
    else:
        floor = planks(rng, width, length, style.floor, board, contrast)
    paper = wallpaper if rng.random() < 0.35 else plaster
    feature = tone(style.wall, float(rng.choice([1.0, 1.0, 0.82])))
    return (
        Wall(floor, (0, 0, length), (width, 0, 0), (0, 0, -length)),
        Wall(plaster(rng, width, length, (238, 240, 241)), (0, height, 0), (width, 0, 0), (0, 0, length)),
        Wall(paper(rng, width, height, feature), (0, height, length), (width, 0, 0), (0, -height, 0)),
        Wall(plaster(rng, length, height, style.wall), (0, height, 0), (0, 0, length), (0, -height, 0)),
        Wall(
            plaster(rng, length, height, style.wall),
            (width, height, length),
            (0, 0, -length),
            (0, -height, 0),
        ),
    )


def _skirting(plan: _Plan) -> None:
    width, _, length = plan.size
    white = Material(color=tone(plan.style.paint, 1.0) if plan.rng.random() < 0.3 else (232, 234, 235))
    boards = [
        box((0, width), (0, 0.09), (length - 0.014, length), white),
        box((0, 0.014), (0, 0.09), (0.5, length), white),
        box((width - 0.014, width), (0, 0.09), (0.5, length), white),
    ]
    plan.items.append(item(boards, []))


def _lights(plan: _Plan, where: str, along: float, lamp: Vector) -> Lights:
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


def _glaze(
    plan: _Plan, where: str, along: float, *, curtains: bool, lamp: Vector, low: float = 0.9
) -> Lights:
    rng = plan.rng
    span, high = float(rng.uniform(1.1, 1.9)), float(rng.uniform(1.25, 1.4))
    plan.hang(make.window(rng, plan.style, span, high, curtains=curtains), along, low, where)
    return _lights(plan, where, along, lamp)


def _rug(plan: _Plan, x: float, z: float, width: float, depth: float, yaw: float = 0.0) -> None:
    rng, style = plan.rng, plan.style
    if rng.random() < 0.4:
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


def _living(plan: _Plan, flip: bool) -> Lights:  # noqa: FBT001  # the same shape for every kind of room
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
        _rug(plan, middle, length - 1.9, 2.3, 1.6)
        plan.put(make.table(rng, style, 1.0, 0.55, 0.42), middle, length - 1.85)
        plan.put(make.floor_lamp(style), lamp_side, length - 0.4)
        if abs(lamp_side - middle) - wide > 0.9:
            plan.back(
                make.plant(rng, style, 0.9), (lamp_side + middle) / 2 + np.sign(lamp_side - middle) * wide / 2
            )
        lights = _glaze(
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
        _rug(plan, width / 2, length * 0.6, 1.7, 2.2)
        plan.put(make.table(rng, style, 0.6, 1.0, 0.4), width / 2, length * 0.6)
        lights = _glaze(plan, "back", width / 2, curtains=True, lamp=(x(0.4), 1.4, length - 0.5))
        plan.put(make.floor_lamp(style), x(0.4), length - 0.45)
        plan.side(make.bookshelf(rng, style, 1.1, 1.9), length * 0.55, right=not flip)
        plan.put(make.plant(rng, style, 1.0), x(width - 0.45), length - 0.45)
        if rng.random() < 0.7:
            plan.put(make.sofa(rng, style, 1), x(width - 1.3), length - 0.85, 0.5 * (1 if not flip else -1))
    if rng.random() < 0.5:
        plan.put(make.pendant(style, height, 0.5), width / 2, length * 0.55)
    return lights


def _bedroom(plan: _Plan, flip: bool) -> Lights:  # noqa: FBT001  # the same shape for every kind of room
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
    lights = _glaze(plan, "left" if flip else "right", length * 0.6, curtains=True, lamp=lamp)
    fronts = int(rng.integers(2, 4))
    plan.side(
        make.cabinet(rng, style, 0.5 * fronts, 2.05, 0.58, (fronts, 1), painted=True),
        length * 0.6,
        right=flip,
    )
    if rng.random() < 0.6:
        plan.put(make.plant(rng, style, 0.8), x(width - 0.4), length - 0.4)
    return lights


def _dining(plan: _Plan, flip: bool) -> Lights:  # noqa: FBT001  # the same shape for every kind of room
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
    plan.put(make.chair(rng, style), x + wide / 2 + 0.3, z, _QUARTER + float(rng.normal(0, 0.2)))
    plan.put(make.chair(rng, style), x - wide / 2 - 0.3, z, -_QUARTER + float(rng.normal(0, 0.2)))
    plan.put(make.pendant(style, height, 0.75), x, z)
    lights = _glaze(
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


def _study(plan: _Plan, flip: bool) -> Lights:  # noqa: FBT001  # the same shape for every kind of room
    rng, style, (width, _, length) = plan.rng, plan.style, plan.size

    def x(at: float) -> float:
        return width - at if flip else at

    desk_x = x(width * 0.4)
    desk = plan.back(make.table(rng, style, 1.5, 0.7, 0.74), desk_x)
    plan.put(make.television(style, 0.6), desk_x, length - 0.25, 0.0, desk.tops[0].center[1])
    plan.put(make.chair(rng, style), desk_x + 0.1, length - 1.05, np.pi + float(rng.normal(0, 0.3)))
    lights = _glaze(
        plan, "back", desk_x, curtains=rng.random() < 0.6, lamp=(x(width - 0.4), 1.4, length - 0.5), low=0.98
    )
    plan.side(make.bookshelf(rng, style, float(rng.uniform(1.2, 1.8)), 2.0), length * 0.62, right=flip)
    plan.put(make.floor_lamp(style), x(width - 0.45), length - 0.4)
    plan.put(make.sofa(rng, style, 1), x(width - 0.95), length - 1.3, 0.7 * (-1 if flip else 1))
    _rug(plan, width / 2, length * 0.6, 2.2, 1.6)
    if rng.random() < 0.6:
        plan.put(make.plant(rng, style, 0.9), x(0.35), length - 0.35)
    plan.hang(make.picture(rng, style, 0.5, 0.6), length * 0.55, 1.6, "left" if flip else "right")
    return lights
