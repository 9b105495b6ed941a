"""The session: its calls, its life, its loop."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from answering_service import KEY, USER, Service, run_service

import declutter_async
from declutter_async import DeclutterSession, Generation, Photo, Status
from declutter_async.emulator import Behaviour, Emulator, LogNormal
from declutter_async.errors import (
    BadRequest,
    ConnectionNotMade,
    GenerationFailed,
    GenerationTimeout,
    InvalidArgument,
    KeyRefused,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    SessionMisuse,
    SubmissionUncertain,
    UnknownUser,
)
from declutter_async.events import Event, Retried, Throttled

SAMPLES = Path(__file__).parent / "samples"
SessionOf = Callable[..., DeclutterSession]
asyncio_only = pytest.mark.anyio


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def answering(body: Any, status: int = 200) -> Callable[[web.Request], Any]:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return handler


# --- the three calls, as documented ---


@asyncio_only
async def test_generate_as_documented(service: Service) -> None:
    service.generate = answering(answer := sample("generate_answer"))
    asked = sample("generate_request")
    async with service.session() as session:
        generation = await session.generate(asked["image_url"])
    assert generation == Generation(answer["generation_id"], answer["remaining_photos"], answer["project_id"])
    assert service.requests == [
        ("generate", {"user_id": USER, "image_url": asked["image_url"], "auto": True})
    ]


@asyncio_only
async def test_generate_with_everything(service: Service) -> None:
    service.generate = answering(sample("generate_answer"))
    async with service.session() as session:
        await session.generate(
            "https://host/a.jpg",
            mask_url="https://host/m.png",
            webhook="https://me/hook",
            extra={"style": "bare"},
        )
    assert service.requests[0][1] == {
        "user_id": USER,
        "image_url": "https://host/a.jpg",
        "auto": False,
        "mask_url": "https://host/m.png",
        "webhook": "https://me/hook",
        "style": "bare",
    }


@asyncio_only
@pytest.mark.parametrize("as_type", [str, uuid.UUID])
async def test_generate_variation_as_documented(service: Service, as_type: Callable[[str], Any]) -> None:
    service.generate = answering(answer := sample("variation_answer"))
    asked = sample("variation_request")
    async with service.session() as session:
        generation = await session.generate_variation(
            as_type(asked["generation_id"]), original_url=asked["original_url"], mask_url=asked["mask_url"]
        )
    assert generation == Generation(answer["generation_id"], answer["remaining_photos"], None)
    assert service.requests == [("generate-variation", {**asked, "user_id": USER})]


@asyncio_only
@pytest.mark.parametrize("status", ["starting", "processing", "succeeded", "failed"])
async def test_get_as_documented(service: Service, status: str) -> None:
    service.get = answering(answer := sample(f"get_answer_{status}"))
    asked = sample("get_request")
    async with service.session() as session:
        state = await session.get(asked["generation_id"])
    assert state.generation_id == asked["generation_id"]
    assert state.status is Status(status.upper())
    assert state.finished is (status in {"succeeded", "failed"})
    assert state.urls == tuple(answer.get("urls", ()))
    assert state.variation_number == answer.get("variationNumber")
    assert service.requests == [("get", {**asked, "user_id": USER})]


# --- arguments, before anything is sent ---


@asyncio_only
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"image_url": "photo.jpg"}, "image_url"),
        ({"image_url": "ftp://host/a.jpg"}, "image_url"),
        ({"image_url": "file:///etc/passwd"}, "image_url"),
        ({"image_url": "https://host/a b.jpg"}, "image_url"),
        ({"image_url": None}, "image_url"),
        ({"image_url": "https://host/a.jpg", "mask_url": "m.png"}, "mask_url"),
        ({"image_url": "https://host/a.jpg", "webhook": "me"}, "webhook"),
        ({"image_url": "https://host/a.jpg", "auto": False}, "mask_url"),
        ({"image_url": "https://host/a.jpg", "auto": True, "mask_url": "https://host/m.png"}, "mask_url"),
        ({"image_url": "https://host/a.jpg", "auto": "yes"}, "auto"),
        ({"image_url": "https://host/a.jpg", "extra": {"x": object()}}, "extra"),
        ({"image_url": "https://host/a.jpg", "extra": [1]}, "extra"),
    ],
)
async def test_wrong_arguments_send_nothing(service: Service, arguments: dict[str, Any], names: str) -> None:
    async with service.session() as session:
        with pytest.raises(InvalidArgument, match=names) as caught:
            await session.generate(**arguments)
    assert caught.value.money == "none"
    assert service.requests == []


@asyncio_only
async def test_wrong_ids_and_urls_of_the_other_calls(service: Service) -> None:
    good = str(uuid.uuid4())
    async with service.session() as session:
        for call in (session.get, session.wait):
            with pytest.raises(InvalidArgument, match="generation_id"):
                await call("12345")
        with pytest.raises(InvalidArgument, match="generation_id"):
            await session.generate_variation("x", original_url="https://h/a", mask_url="https://h/m")
        with pytest.raises(InvalidArgument, match="original_url"):
            await session.generate_variation(good, original_url="a", mask_url="https://h/m")
        with pytest.raises(InvalidArgument, match="mask_url"):
            await session.generate_variation(good, original_url="https://h/a", mask_url="m")
        with pytest.raises(InvalidArgument, match="timeout"):
            await session.wait(good, timeout=-1)
        with pytest.raises(InvalidArgument, match="timeout"):
            await session.declutter("https://host/a.jpg", timeout=float("nan"))
        with pytest.raises(InvalidArgument, match="photo"):
            await session.declutter(5)  # type: ignore[arg-type]
    assert service.requests == []


def test_missing_key_and_user_name_argument_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match=r"api_key.*DECLUTTER_API_KEY"):
        DeclutterSession(user_id=USER)
    with pytest.raises(InvalidArgument, match=r"user_id.*DECLUTTER_USER_ID"):
        DeclutterSession(api_key=KEY)
    monkeypatch.setenv("DECLUTTER_API_KEY", KEY)
    monkeypatch.setenv("DECLUTTER_USER_ID", USER)
    monkeypatch.setenv("DECLUTTER_BASE_URL", "http://127.0.0.1:1/")
    session = DeclutterSession()
    assert KEY not in repr(session)
    assert "http://127.0.0.1:1 " in repr(session)


@pytest.mark.parametrize("observers", [print, 5, ["log.txt"], [print, None]])
def test_observers_that_cannot_be_called(observers: Any) -> None:
    with pytest.raises(InvalidArgument, match="observers"):
        DeclutterSession(api_key=KEY, user_id=USER, observers=observers)


# --- errors a caller acts on ---


@asyncio_only
async def test_refusals_carry_what_to_act_on(session_of: SessionOf) -> None:
    async with Emulator(Behaviour(photos=0)) as emulator:
        photo = f"{emulator.url}/rooms/1/cluttered.jpg"
        async with session_of(emulator) as session:
            with pytest.raises(NotFound) as unknown:
                await session.get(uuid.uuid4())
            assert unknown.value.status == 404
            with pytest.raises(BadRequest) as bad:
                await session.generate(f"{emulator.url}/openapi.json")
            assert bad.value.status == 400
            assert bad.value.service_message
        async with DeclutterSession(
            base_url=emulator.url, api_key="wrong", user_id=emulator.user_id
        ) as session:
            with pytest.raises(KeyRefused):
                await session.generate(photo)
        async with DeclutterSession(base_url=emulator.url, api_key=emulator.api_key, user_id=USER) as session:
            with pytest.raises(UnknownUser):
                await session.generate(photo)


@asyncio_only
async def test_rate_limited_for_too_long_carries_its_wait(service: Service) -> None:
    async def busy(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "7"})

    service.generate = service.get = busy
    async with service.session(outage_timeout=0.2) as session:
        with pytest.raises(RateLimited) as caught:
            await session.generate("https://host/a.jpg")
        assert (caught.value.retry_after, caught.value.money, caught.value.status) == (7.0, "none", 429)
        with pytest.raises(RateLimited) as caught:
            await session.get(uuid.uuid4())
        assert caught.value.money == "spent"


@asyncio_only
async def test_reads_wait_out_trouble_and_paid_requests_what_was_not_sent(service: Service) -> None:
    events: list[Event] = []
    troubles = iter([500, 429, 503, 408])

    async def get(_: web.Request) -> web.StreamResponse:
        status = next(troubles, None)
        if status is not None:
            return web.Response(status=status, headers={"Retry-After": "0"})
        return web.json_response({"status": "PROCESSING"})

    busy = iter([429, 429])

    async def generate(_: web.Request) -> web.StreamResponse:
        status = next(busy, None)
        if status is not None:
            return web.Response(status=status, headers={"Retry-After": "0"})
        return web.json_response(sample("generate_answer"))

    service.get, service.generate = get, generate
    async with service.session(outage_timeout=30, observers=[events.append]) as session:
        assert (await session.get(uuid.uuid4())).status is Status.PROCESSING
        await session.generate("https://host/a.jpg")
    assert [e.call for e in events if isinstance(e, Retried)] == ["get"] * 4 + ["generate"] * 2
    assert any(isinstance(e, Throttled) for e in events)


@asyncio_only
async def test_a_service_that_is_not_there_is_waited_out_and_then_said() -> None:
    session = DeclutterSession(api_key=KEY, user_id=USER, base_url="http://127.0.0.1:9", outage_timeout=0.3)
    async with session:
        with pytest.raises(ConnectionNotMade) as caught:
            await session.generate("https://host/a.jpg")
        assert caught.value.money == "none"
        with pytest.raises(ConnectionNotMade):
            await session.get(uuid.uuid4())


@asyncio_only
async def test_a_paid_request_is_never_repeated_when_nobody_knows(service: Service) -> None:
    service.generate = answering({"error": "oops"}, 503)
    async with service.session() as session:
        with pytest.raises(SubmissionUncertain) as caught:
            await session.generate("https://host/a.jpg")
    assert (caught.value.money, caught.value.status, caught.value.service_message) == ("unknown", 503, "oops")
    assert isinstance(caught.value.__cause__, ServiceUnavailable)
    assert len(service.requests) == 1


@asyncio_only
async def test_declutter_one_photo(session_of: SessionOf) -> None:
    async with Emulator(Behaviour(duration=LogNormal(0.3, 0.1))) as emulator, session_of(emulator) as session:
        url = f"{emulator.url}/rooms/1/cluttered.jpg"
        state = await session.declutter(Photo(url, labels={"room": "kitchen"}))
        assert state.status is Status.SUCCEEDED
        with pytest.raises(GenerationTimeout) as late:
            await session.declutter(url, timeout=0)
        assert late.value.generation_id in emulator.account.photos[url].generation_ids
        assert session.detached == ()  # the error told the caller
        variation = await session.generate_variation(
            state.generation_id, original_url=url, mask_url=f"{emulator.url}/rooms/1/mask.png"
        )
        assert (await session.wait(variation.generation_id)).variation_number == 1


@asyncio_only
async def test_a_failed_one_raises_and_is_refunded(session_of: SessionOf) -> None:
    behaviour = Behaviour(duration=LogNormal(0.3, 0.1), failure_rate=1.0)
    async with Emulator(behaviour) as emulator, session_of(emulator) as session:
        with pytest.raises(GenerationFailed) as caught:
            await session.declutter(f"{emulator.url}/rooms/1/cluttered.jpg")
        assert caught.value.money == "none"
        assert emulator.account.refunded == 1


# --- life ---


@asyncio_only
async def test_closed_is_closed(service: Service) -> None:
    session = service.session()
    await session.aclose()
    await session.aclose()
    for use in (lambda: session.get(uuid.uuid4()), lambda: session.generate("https://host/a.jpg")):
        with pytest.raises(SessionMisuse, match="closed"):
            await use()
    with pytest.raises(SessionMisuse, match="closed"):
        session.watch([])
    assert "closed" in repr(session)


@asyncio_only
async def test_opened_and_closed_in_different_tasks(service: Service) -> None:
    service.get = answering({"status": "PROCESSING"})
    session = service.session()
    await asyncio.create_task(session.__aenter__())
    await asyncio.create_task(_get(session))
    waiting = asyncio.create_task(_closed_while_waiting(session))
    await asyncio.sleep(0.05)
    await asyncio.create_task(session.aclose())
    await waiting


async def _get(session: DeclutterSession) -> None:
    await session.get(uuid.uuid4())


async def _closed_while_waiting(session: DeclutterSession) -> None:
    with pytest.raises(SessionMisuse):
        await session.wait(uuid.uuid4())


def test_another_event_loop_is_a_clear_error() -> None:
    async def open_one() -> DeclutterSession:
        async with run_service() as service:
            service.get = answering({"status": "PROCESSING"})
            session = service.session()
            await session.get(uuid.uuid4())
            return session

    async def use(session: DeclutterSession) -> None:
        with pytest.raises(SessionMisuse, match="another event loop"):
            await session.get(uuid.uuid4())
        with pytest.raises(SessionMisuse, match="another event loop"):
            await session.aclose()

    first = asyncio.new_event_loop()
    session = first.run_until_complete(open_one())
    asyncio.run(use(session))
    first.run_until_complete(session.aclose())
    first.close()


def test_used_outside_of_any_loop() -> None:
    session = DeclutterSession(api_key=KEY, user_id=USER)
    with pytest.raises(SessionMisuse, match="asyncio"):
        session.watch([])


STORY = """
    import asyncio, sys
    from declutter_async import DeclutterSession
    from declutter_async.emulator import Behaviour, Emulator, LogNormal

    async def main():
        async with Emulator(Behaviour(duration=LogNormal(0.3, 0.1))) as emulator:
            async with DeclutterSession(
                base_url=emulator.url, api_key=emulator.api_key, user_id=emulator.user_id
            ) as session:
                await session.declutter(f"{emulator.url}/rooms/1/cluttered.jpg")
                async for update in session.watch([(await session.generate(f"{emulator.url}/rooms/2/cluttered.jpg")).generation_id]):
                    break

    asyncio.run(main())
    print("done")
"""


def test_used_as_documented_nothing_is_left_unclosed() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(STORY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "done", "")


@asyncio_only
async def test_one_session_serves_many_tasks(session_of: SessionOf) -> None:
    async with Emulator(Behaviour(duration=LogNormal(0.3, 0.1))) as emulator, session_of(emulator) as session:
        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(session.declutter, f"{emulator.url}/rooms/1/cluttered.jpg?n={n}")
        assert emulator.account.charged == 20


def test_the_version_is_the_packages() -> None:
    assert declutter_async.__version__ == "0.1.0"
