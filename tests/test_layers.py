"""The import table: the rooms from the ground up, each of which knows only those before it.

Read from the source itself, so that the picture stays true. Imports under `if TYPE_CHECKING:` run nothing, and are
held to a list of their own.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import declutter_async

PACKAGE = Path(declutter_async.__file__).parent
NAME = "declutter_async"

# From the ground up; the rooms of one line do not know one another. A folder is one room.
LAYERS = [
    {"models", "_version", "_durations", "_look_plan", "_balance", "_purse", "_schedule"},
    {"errors"},
    {"outcomes", "polling", "_retry", "_in_flight", "storage"},
    {"events", "_wire", "_tally", "_records", "_photo_source", "_early_end"},
    {"_refusals", "_throttle", "_saving"},
    {"_transport", "_watcher"},
    {"_watch", "_settings", "_submission"},
    {"_core", "batch"},
    {"session"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]
APART = {"emulator"}  # imports nothing of ours, so that the two cannot be wrong together

PURE = {
    "_balance",
    "_early_end",
    "_durations",
    "_look_plan",
    "_purse",
    "_retry",
    "_schedule",
    "_tally",
    "_wire",
    "_refusals",
}
IMPURE_MODULES = {"asyncio", "anyio", "aiohttp", "socket", "time", "os", "random", "threading", "logging"}
EXTRAS = {"cv2", "numpy", "rich", "cyclopts"}


@attrs.frozen
class Import:
    """One imported module, by its whole name."""

    room: str
    module: str
    types_alone: bool

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_in(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import is not seen by this table"
            # `from package import module` imports the module, too.
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            yield Import(room_of(path), module, node in for_types)


def all_imports() -> list[Import]:
    return [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_in(path)]


def our_rooms(found: Import) -> set[str]:
    """Rooms of ours that an import knows."""
    if found.root != NAME:
        return set()
    parts = found.module.split(".")[1:]
    if (PACKAGE / parts[0]).is_dir() or (PACKAGE / f"{parts[0]}.py").exists():
        return {parts[0]}
    return {"__init__"}  # a public name, out of the package itself


IMPORTS = all_imports()
ROOMS = {room_of(path) for path in PACKAGE.rglob("*.py")}
HEIGHT = {room: height for height, layer in enumerate(LAYERS) for room in layer}


def test_every_room_has_its_place_in_the_table() -> None:
    assert not ROOMS - set(HEIGHT) - APART
    assert sum(len(layer) for layer in LAYERS) == len(HEIGHT), "a room stands in two layers"
    # What is not built yet, or taken out of a distribution, is no error; what is misspelt is.
    assert not set(HEIGHT) - ROOMS - {"cli", "__main__"}


@pytest.mark.parametrize("room", sorted(ROOMS - APART))
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    above = {
        f"{room} imports {known}"
        for found in IMPORTS
        if found.room == room
        for known in our_rooms(found) - {room} - APART
        if HEIGHT[known] >= HEIGHT[room]
    }
    assert not above


def test_only_the_command_line_knows_the_emulator() -> None:
    assert {found.room for found in IMPORTS if "emulator" in our_rooms(found)} <= {"emulator", "cli"}


def test_the_emulator_imports_nothing_of_ours() -> None:
    ours = [found for found in IMPORTS if found.room == "emulator" and our_rooms(found) - {"emulator"}]
    assert not ours


def test_only_the_transport_knows_aiohttps_client() -> None:
    knowing = {
        found.room
        for found in IMPORTS
        if found.root == "aiohttp"
        and not found.types_alone
        and not found.module.startswith("aiohttp.web")
        and found.room not in APART
    }
    assert knowing == {"_transport"}


@pytest.mark.parametrize("room", sorted(PURE))
def test_what_is_pure_has_no_clock_no_socket_and_no_chance(room: str) -> None:
    touched = {found.root for found in IMPORTS if found.room == room and not found.types_alone}
    assert not touched & IMPURE_MODULES
    pure_or_data = PURE | {"models", "errors", "outcomes"}
    assert all(our_rooms(found) <= pure_or_data for found in IMPORTS if found.room == room)


def test_extras_are_imported_by_their_rooms_alone() -> None:
    knowing = {found.room for found in IMPORTS if found.root in EXTRAS}
    assert knowing <= {"cli", "emulator"}


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_no_extra() -> None:
    loaded = loaded_by(f"import {NAME}, {NAME}.errors, {NAME}.events, {NAME}.storage")
    assert NAME in loaded
    assert not {module.partition(".")[0] for module in loaded} & EXTRAS
    assert not {module for module in loaded if module.startswith((f"{NAME}.emulator", f"{NAME}.cli"))}


def test_importing_the_emulator_loads_nothing_of_the_sessions() -> None:
    loaded = loaded_by(
        f"import sys, types; sys.modules['{NAME}'] = package = types.ModuleType('{NAME}'); "
        f"package.__path__ = [{str(PACKAGE)!r}]; import {NAME}.emulator.behaviour"
    )
    ours = {module for module in loaded if module.startswith(f"{NAME}.")}
    assert ours
    assert all(module.startswith(f"{NAME}.emulator") for module in ours)


def test_the_package_has_only_public_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    docstring, *statements = tree.body
    assert isinstance(docstring, ast.Expr)
    imported = []
    for statement in statements[:-1]:
        assert isinstance(statement, ast.ImportFrom), "public names, nothing else"
        imported += [alias.asname or alias.name for alias in statement.names]
    assert isinstance(statements[-1], ast.Assign)
    assert sorted(imported) == sorted(declutter_async.__all__)
    assert len(set(imported)) == len(imported)
    assert all(name == "__version__" or not name.startswith("_") for name in imported)
