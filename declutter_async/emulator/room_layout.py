"""Rooms before they are photographed: their size, colours, surfaces, furniture and light, each drawn from a seed."""

import attrs
import numpy as np

from declutter_async.emulator.room_furniture import Style
from declutter_async.emulator.room_items import Item, Top, box, item
from declutter_async.emulator.room_kinds import bedroom, dining, living, study
from declutter_async.emulator.room_light import Lights, Occluder
from declutter_async.emulator.room_plan import Plan
from declutter_async.emulator.room_raster import Material, Solid, Vector
from declutter_async.emulator.room_shell import Wall
from declutter_async.emulator.room_textures import (
    Rng,
    carpet,
    herringbone,
    planks,
    plaster,
    tiles,
    tone,
    wallpaper,
)

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


def arrange(rng: Rng) -> Layout:
    """Draw a room."""
    width, height, length = (
        float(rng.uniform(4.0, 5.4)),
        float(rng.uniform(2.5, 2.8)),
        float(rng.uniform(4.8, 5.8)),
    )
    style = _style(rng)
    plan = Plan(rng, (width, height, length), style)
    kinds = {"living": living, "bedroom": bedroom, "dining": dining, "study": study}
    kind = str(rng.choice(list(kinds)))
    lights = kinds[kind](plan, flip=bool(rng.random() < 0.5))
    _skirting(plan)
    walls = _walls(rng, style, plan.size, kind)
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


def _skirting(plan: Plan) -> None:
    width, _, length = plan.size
    white = Material(color=tone(plan.style.paint, 1.0) if plan.rng.random() < 0.3 else (232, 234, 235))
    boards = [
        box((0, width), (0, 0.09), (length - 0.014, length), white),
        box((0, 0.014), (0, 0.09), (0.5, length), white),
        box((width - 0.014, width), (0, 0.09), (0.5, length), white),
    ]
    plan.items.append(item(boards, []))
