"""Every fault, as a bare socket sees it, and what the books say of it."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from emulator_client import Exchange, Studio, bare, calling, run_studio, until

from declutter_async.emulator import FAULTS, Behaviour, Emulator, Fault
from declutter_async.emulator.faults import API_CALLS, PAID_CALLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

_STATUS = {
    "refused": 200,
    "stale": 200,
    "rate_limited": 429,
    "half": 200,
    "empty": 200,
    "garbage": 200,
    "list": 200,
    "wrong_types": 200,
    "bomb": 200,
    "redirect": 302,
    "html_502": 502,
    "status_408": 408,
    "status_409": 409,
    "status_500": 500,
    "status_503": 503,
    "expired": 403,
}
_END = {"stale": "FIN", "closed": "FIN", "half": "FIN", "reset": "RST"}
_COMBINATIONS = [
    (name, call, when)
    for name, kind in FAULTS.items()
    for call in sorted(kind.calls & API_CALLS)
    for when in kind.whens
]


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with run_studio() as made:
        yield made


def length(exchange: Exchange) -> int:
    return next(
        int(line.split()[1])
        for line in exchange.head.splitlines()
        if line.lower().startswith(b"content-length:")
    )


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("name", "call", "when"), _COMBINATIONS)
async def test_a_fault_strikes_a_call(studio: Studio, name: str, call: str, when: Any) -> None:
    behaviour = Behaviour(duration=0, photos=10, faults=[Fault(name, 1, on=call, when=when)])
    async with Emulator(behaviour) as emulator, calling(emulator) as ask:
        first = "0" * 8 + "-0000-4000-8000-" + "0" * 12
        if call != "generate":
            first = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        every: dict[str, dict[str, Any]] = {
            "generate": {"image_url": studio.photo, "auto": True},
            "generate-variation": {
                "generation_id": first,
                "original_url": studio.photo,
                "mask_url": studio.mask,
            },
            "get": {"generation_id": first},
        }
        before = emulator.account.charged
        path = f"/api/declutter_total/{call}"
        fields = every[call] | {"user_id": emulator.user_id}
        exchange = await bare(emulator, path, fields, ends=name in _END, silent=name == "hang")

        if name in _STATUS:
            assert exchange.status == _STATUS[name]
            assert (len(exchange.body) < length(exchange)) == (name == "half")
        else:
            assert exchange.data == b""
        assert exchange.end == _END.get(name)
        assert b"connection: close" not in exchange.head.lower()

        kind, (strike,) = FAULTS[name], emulator.account.strikes
        charged = call in PAID_CALLS and (kind.answered or when == "after")
        assert emulator.account.charged - before == charged
        assert (strike.fault, strike.call, strike.when, strike.charged) == (name, call, when, charged)
        assert strike.uncertain == (call in PAID_CALLS and name not in {"refused", "stale", "rate_limited"})
        assert strike.image_url == (studio.photo if call in PAID_CALLS else None)
        if charged:
            assert strike.generation_id == emulator.account.photos[studio.photo].generation_ids[-1]
        else:
            assert strike.generation_id == (first if call == "get" else None)


async def test_bodies_of_the_broken_answers() -> None:
    def look(name: str) -> Any:
        return Emulator(Behaviour(faults=[Fault(name, 1)]))

    path = "/api/declutter_total/get"
    async with look("garbage") as emulator:
        assert not is_json((await bare(emulator, path, {})).body)
    async with look("empty") as emulator:
        assert (await bare(emulator, path, {})).body == b""
    async with look("list") as emulator:
        assert isinstance(json.loads((await bare(emulator, path, {})).body), list)
    async with look("wrong_types") as emulator:
        wrong = json.loads((await bare(emulator, path, {})).body)
        assert not isinstance(wrong["status"], str)
        assert not isinstance(wrong["variationNumber"], int)
    async with look("html_502") as emulator:
        assert b"<html>" in (await bare(emulator, path, {})).body
    async with look("status_503") as emulator:
        assert b"Retry-After: 1" in (await bare(emulator, path, {})).head
    async with look("bomb") as emulator:
        exchange = await bare(emulator, path, {})
        assert b"Content-Encoding: gzip" in exchange.head
        assert len(exchange.body) < 2**17
        # The checksum at its end holds, so that no client stops for another reason than the size.
        assert len(zlib.decompress(exchange.body, 31)) > 64 * 2**20


async def test_a_redirect_that_is_followed_is_counted() -> None:
    async with Emulator(Behaviour(faults=[Fault("redirect", 1)])) as emulator, calling(emulator) as ask:
        followed = await ask.post("get", json={}, allow_redirects=True)
        assert followed.status == 404
        assert emulator.account.requests == {"get": 1, "elsewhere": 1}


async def test_a_struck_request_that_is_refused_is_not_charged(studio: Studio) -> None:
    faults = [Fault("status_500", 1, when="after", on="generate")]
    faults.append(Fault("html_502", 1, when="after", on="result"))
    async with Emulator(Behaviour(faults=faults)) as emulator, calling(emulator) as ask:
        broken = await ask("generate", image_url=f"{studio.url}/missing.jpg", auto=True)
        assert broken.status == 500
        async with ask.session.get(f"{emulator.url}/results/unknown.jpg") as answer:
            assert answer.status == 502
        paid, result = emulator.account.strikes
        assert (paid.charged, paid.generation_id) == (False, None)
        assert (result.charged, result.generation_id) == (False, "unknown")


async def test_what_goes_on_after_the_client_went_is_charged(studio: Studio) -> None:
    async with Emulator(Behaviour(duration=0)) as emulator, calling(emulator) as ask:
        patient = asyncio.create_task(ask("generate", image_url=f"{studio.url}/slow.jpg", auto=True))
        await until(lambda: studio.asked)
        patient.cancel()  # while the emulator waits for the picture
        with pytest.raises(asyncio.CancelledError):
            await patient
        await until(lambda: emulator.account.charged)
        assert emulator.account.photos[f"{studio.url}/slow.jpg"].net == 1


async def test_refused_shuts_the_door_for_a_while() -> None:
    faults = [Fault("refused", 1, on="get")]
    async with Emulator(Behaviour(faults=faults)) as emulator, calling(emulator) as ask:
        assert (await ask.post("get", json={})).status == 400
        async with aiohttp.ClientSession() as fresh:
            with pytest.raises(aiohttp.ClientConnectorError):
                await fresh.get(emulator.url)
            while True:
                try:
                    async with fresh.get(emulator.url) as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", [name for name, kind in FAULTS.items() if "result" in kind.calls])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_fault_strikes_the_download(studio: Studio, name: str, when: Any) -> None:
    if when not in FAULTS[name].whens:
        when = FAULTS[name].whens[0]
    behaviour = Behaviour(duration=0, faults=[Fault(name, 1, on="result", when=when)])
    async with Emulator(behaviour) as emulator, calling(emulator) as ask:
        generation_id = (await ask("generate", image_url=studio.photo, auto=True)).body["generation_id"]
        (url,) = (await ask("get", generation_id=generation_id)).body["urls"]
        path = url.removeprefix(emulator.url)
        exchange = await bare(emulator, path, None, ends=name in _END, silent=name == "hang")
        if name in _STATUS:
            assert exchange.status == _STATUS[name]
            assert (len(exchange.body) < length(exchange)) == (name == "half")
        else:
            assert exchange.data == b""
        assert exchange.end == _END.get(name)
        if name in {"half", "garbage"}:
            assert b"image/jpeg" in exchange.head
            assert exchange.body.startswith(b"\xff\xd8") == (name == "half")
        (strike,) = emulator.account.strikes
        assert (strike.call, strike.generation_id, strike.charged) == ("result", generation_id, False)
        assert emulator.account.requests["result"] == 1


async def test_faults_strike_the_same_requests_again() -> None:
    async def run() -> list[int]:
        faults = [Fault("status_500", 0.3), Fault("status_503", 0.3)]
        async with Emulator(Behaviour(seed=4, faults=faults)) as emulator, calling(emulator) as ask:
            return [(await ask.post("get", json={})).status for _ in range(20)]

    statuses = await run()
    assert statuses == await run()
    assert set(statuses) == {400, 500, 503}
