"""The contract: sound by itself, and kept by the emulator against generated requests, good and bad."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from emulator_client import calling
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from schemathesis.config import SchemathesisConfig

from declutter_async.emulator import Behaviour, Emulator
from declutter_async.emulator.openapi import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case

_SOUND = re.compile(r"https?://|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)


def test_the_contract_is_sound_openapi_with_every_status() -> None:
    document = contract()
    validate(document, cls=OpenAPIV31SpecValidator)
    calls = {path.rpartition("/")[2]: item["post"] for path, item in document["paths"].items()}
    always = {"200", "400", "401", "403", "413", "415", "429"}
    assert {name: set(call["responses"]) - always for name, call in calls.items()} == {
        "generate": {"402"},
        "generate-variation": {"402", "404"},
        "get": {"404"},
    }
    (delivery,) = calls["generate"]["callbacks"]["finished"].values()
    assert delivery["post"]["requestBody"] == {
        "required": True,
        "content": calls["get"]["responses"]["200"]["content"],
    }


@attrs.frozen
class Live:
    """An emulator in a thread of its own, with what requests to it may name."""

    url: str
    api_key: str
    user_id: str
    generation_id: str

    def in_our_world(self, body: Any) -> Any:
        """Put our account, our generation and pictures of ours where sound but unknown ones were made up."""
        if not isinstance(body, dict):
            return body
        ours = {
            "user_id": self.user_id,
            "generation_id": self.generation_id,
            "image_url": f"{self.url}/rooms/1/cluttered.jpg",
            "original_url": f"{self.url}/rooms/1/cluttered.jpg",
            "mask_url": f"{self.url}/rooms/1/mask.png",
            "webhook": f"{self.url}/nowhere",
        }
        return body | {
            name: value
            for name, value in ours.items()
            if isinstance(made_up := body.get(name), str) and _SOUND.match(made_up)
        }


async def generate(emulator: Emulator) -> str:
    async with calling(emulator) as ask:
        answer = await ask("generate", image_url=f"{emulator.url}/rooms/1/cluttered.jpg", auto=True)
        return str(answer.body["generation_id"])


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    emulator = Emulator(Behaviour(duration=0, photos=10**6))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(emulator):
        generation_id = portal.call(generate, emulator)
        yield Live(emulator.url, emulator.api_key, emulator.user_id, generation_id)


_CONFIG = SchemathesisConfig.from_dict({"generation": {"deterministic": True}})
_SCHEMA = schemathesis.openapi.from_dict(contract(), config=_CONFIG)


@_SCHEMA.parametrize()
@settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=[*HealthCheck]
)
def test_the_emulator_keeps_it(case: Case[Any], live: Live) -> None:
    case.body = live.in_our_world(case.body)
    answer = case.call_and_validate(base_url=live.url, headers={"x-api-key": live.api_key})
    if case.meta is not None and case.meta.generation.mode.is_positive:
        assert answer.status_code == 200
