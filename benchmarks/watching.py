"""What it costs to watch many generations: tasks, timers, memory, CPU.

    python benchmarks/watching.py --watched 10000 --seconds 60

The service runs in a process of its own and says PROCESSING to every look, so nothing ever finishes. Prints, and
ends with an error unless it holds: at most one task and one timer beside the looks on the way; after the first 10
seconds (or once each was looked at, if that takes longer) memory grows by less than 1 MiB; a hundred dropped watchers leave neither a task nor a scheduled look.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import resource
import sys
import tracemalloc
import uuid
from multiprocessing.connection import Connection

from aiohttp import web

from declutter_async import DeclutterSession, Watch
from declutter_async.events import Looked

CONNECTIONS = 32


def serve(pipe: Connection) -> None:
    """The service: every look is answered PROCESSING, until the process is ended."""

    async def get(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"status": "PROCESSING", "variationNumber": 0})

    async def main() -> None:
        application = web.Application()
        application.router.add_post("/api/declutter_total/get", get)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def ours() -> int:
    """Tasks of the session."""
    return sum(task.get_name().startswith("declutter-async") for task in asyncio.all_tasks())


def timers(loop: asyncio.AbstractEventLoop) -> int:
    """Timers of the watcher; a request's own timeout is aiohttp's or asyncio's, and goes with it."""
    scheduled = loop._scheduled  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no way to ask
    return sum(not handle.cancelled() and "Event.set" in repr(handle) for handle in scheduled)


async def read(updates: Watch) -> None:
    """Take the updates, as a user does."""
    async for _ in updates:
        pass


async def watch(url: str, watched: int, seconds: float) -> list[str]:
    """Watch, print the figures, and return what does not hold."""
    loop = asyncio.get_running_loop()
    looks = 0

    def count(event: object) -> None:
        nonlocal looks
        looks += isinstance(event, Looked)

    session = DeclutterSession(
        base_url=url,
        api_key="k",
        user_id=str(uuid.uuid4()),
        max_connections=CONNECTIONS,
        observers=[count],
    )
    most_tasks = most_timers = 0
    async with session:
        tracemalloc.start()
        watching = session.watch([str(uuid.uuid4()) for _ in range(watched)])
        reading = asyncio.ensure_future(read(watching))
        start, memory = loop.time(), 0
        while (elapsed := loop.time() - start) < seconds:
            await asyncio.sleep(0.25)
            most_tasks, most_timers = max(most_tasks, ours()), max(most_timers, timers(loop))
            if elapsed >= min(10.0, seconds / 2) and looks >= watched and not memory:
                gc.collect()
                memory = tracemalloc.get_traced_memory()[0]
        gc.collect()
        growth = tracemalloc.get_traced_memory()[0] - memory
        tracemalloc.stop()
        cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        await watching.aclose()
        await reading
        for _ in range(100):
            session.watch([str(uuid.uuid4()) for _ in range(10)])
        gc.collect()
        await asyncio.sleep(3.0)
        left = ours()
    print(f"watched {watched:,} for {seconds:g} s: {looks:,} looks, {cpu:.1f} s of CPU with tracing")
    print(
        f"tasks at once at most {most_tasks} (looks on the way at most {CONNECTIONS}), timers {most_timers}"
    )
    print(
        f"memory after the first seconds grew by {growth / 2**10:,.0f} KiB; tasks left by dropped watchers: {left}"
    )
    wrong = {
        "tasks": most_tasks > CONNECTIONS + 1,
        "timers": most_timers > 1,
        "memory": growth >= 2**20,
        "left": left > 0,
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]


def main() -> None:
    """Start the service, watch, and say what does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--watched", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    ours_end, theirs = multiprocessing.Pipe()
    service = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    service.start()
    try:
        port = ours_end.recv()
        wrong = asyncio.run(watch(f"http://127.0.0.1:{port}", options.watched, options.seconds))
    finally:
        service.kill()
        service.join()
    if wrong:
        sys.exit(f"does not hold: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
