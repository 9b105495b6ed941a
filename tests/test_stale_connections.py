"""A service that closes idle connections at any moment makes no submission uncertain, and no look fail."""

from __future__ import annotations

import asyncio
import uuid

from aiohttp import web
from answering_service import run_service
from hypothesis import given, settings
from hypothesis import strategies as st

IDLE = 0.01  # seconds after which the service closes a connection, saying nothing


async def accept(_: web.Request) -> web.StreamResponse:
    return web.json_response(
        {"generation_id": str(uuid.uuid4()), "remaining_photos": 1, "project_id": str(uuid.uuid4())}
    )


async def running(_: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "PROCESSING"})


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["generate", "get"]), st.integers(1, 4), st.floats(0.0, 3 * IDLE)),
        min_size=2,
        max_size=8,
    )
)
def test_any_schedule_of_calls_and_pauses(steps: list[tuple[str, int, float]]) -> None:
    """Some calls at once, a pause about as long as the service's patience, and again."""

    async def story() -> None:
        async with run_service(keepalive_timeout=IDLE) as service:
            service.generate, service.get = accept, running
            async with service.session() as session:
                for call, at_once, pause in steps:
                    if call == "generate":
                        await asyncio.gather(
                            *(session.generate("https://host/a.jpg") for _ in range(at_once))
                        )
                    else:
                        await asyncio.gather(*(session.get(uuid.uuid4()) for _ in range(at_once)))
                    await asyncio.sleep(pause)
            paid = [call for call, _ in service.requests if call == "generate"]
            assert len(paid) == sum(at_once for call, at_once, _ in steps if call == "generate")

    asyncio.run(story())
