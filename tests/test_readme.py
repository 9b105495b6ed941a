"""What the README shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import declutter_async
from declutter_async import DeclutterSession, OutcomeKind
from declutter_async.emulator import Behaviour, Emulator, LogNormal

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no example {name}"
    return found[1].replace("asyncio.run(main(", "result = (main(")


async def run_main(code: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    await names["result"]


@pytest.fixture
async def account(monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> Any:
    async with Emulator(Behaviour(duration=LogNormal(0.3, 0.2))) as emulator:
        monkeypatch.setenv("DECLUTTER_API_KEY", emulator.api_key)
        monkeypatch.setenv("DECLUTTER_USER_ID", emulator.user_id)
        monkeypatch.setenv("DECLUTTER_BASE_URL", emulator.url)
        yield emulator


def on_emulator(code: str, emulator: Emulator) -> str:
    """The example with photos that the emulator can fetch."""
    return re.sub(r"https://photos\.example\.com/", f"{emulator.url}/rooms/1/cluttered.jpg?", code)


@pytest.mark.anyio
async def test_the_example_for_an_app(account: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    await run_main(on_emulator(example("app"), account))
    assert "/results/" in capsys.readouterr().out
    assert account.account.charged == 1


@pytest.mark.anyio
async def test_the_example_for_a_batch(
    account: Emulator, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await run_main(on_emulator(example("batch"), account))
    assert capsys.readouterr().out.count("DELIVERED") == 2
    assert len(list((tmp_path / "decluttered").iterdir())) == 2


@pytest.mark.anyio
async def test_the_example_for_the_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    await run_main(example("emulator"))
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 9
    assert "charged" in out


def test_the_first_block_is_two_commands() -> None:
    block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert block
    assert README.index("```") == block.start()
    commands = block[1].splitlines()
    assert len(commands) == 2
    assert "declutter-async demo" in commands[0]
    assert "pytest" in commands[1]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_table_of_outcomes_is_whole() -> None:
    assert {kind for kind in OutcomeKind if f"| `{kind}` |" in README} == set(OutcomeKind)


def test_public_names_are_there() -> None:
    assert all(hasattr(declutter_async, name) for name in declutter_async.__all__)
    assert DeclutterSession.__doc__
