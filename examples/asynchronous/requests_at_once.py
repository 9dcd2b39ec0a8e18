"""A hundred requests at once in one event loop, right and wrong, and how the loop fares.

    python requests_at_once.py

salesflow has no async functions: a database waits for a disk, and waiting belongs into threads.
From an event loop everything is called in one, and awaited. This program does so for a hundred
requests, then does what nobody should, and counts meanwhile how often the loop comes round to
something else: a heart that wants to beat every millisecond.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from threading import Event as Flag
from time import perf_counter
from typing import Any, NamedTuple, ParamSpec, TypeVar

from salesflow import STANDARD, Deal, SalesFlow, Session
from salesflow.engine.worker import CaughtUp
from salesflow.errors import SalesflowError

REQUESTS = 100
THREADS = 16
"""Requests that record at the same time share one commit, so more threads are faster, up to a
point. `asyncio.to_thread` has four more than the machine has cores."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Desk:
    """The engine as a coroutine uses it: every call in a thread, awaited."""

    def __init__(self, flow: SalesFlow, pool: ThreadPoolExecutor) -> None:
        self.flow = flow
        self._pool = pool

    async def call(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Call what waits for the database in a thread, and give what it returns."""
        work = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def open_deal(self, user: str, key: str) -> int:
        """Do one request: a whole function in one thread, which begins and ends its session."""
        receipt = await self.call(
            self.flow.run, open_deal, actor=user, command_id=f"{user}/{key}"
        )
        assert receipt is not None
        return receipt.last


def open_deal(s: Session) -> None:
    """Take on a prospect; a plain function, with no `await` between its reads and writes."""
    s.add(Deal.open(STANDARD, title="ERP rollout 数字化", owner="u-17"))


class Heart:
    """Beats every millisecond, if the loop lets it."""

    def __init__(self) -> None:
        self.beats, self.longest = 0, 0.0

    async def beat(self) -> None:
        """Beat until cancelled, and keep the longest time without."""
        last = perf_counter()
        while True:
            await asyncio.sleep(0.001)
            self.beats, now = self.beats + 1, perf_counter()
            self.longest, last = max(self.longest, now - last), now


@asynccontextmanager
async def beating() -> AsyncIterator[Heart]:
    """Give a heart that beats beside the block."""
    heart = Heart()
    task = asyncio.create_task(heart.beat())
    yield heart
    task.cancel()


class Measured(NamedTuple):
    """How it went, and how often the loop came round to something else meanwhile."""

    seconds: float
    beats: int
    longest: float

    def sentence(self, name: str) -> str:
        """Return it in words."""
        return (
            f"{name}: {REQUESTS} requests in {self.seconds:.2f} s; the heart beat"
            f" {self.beats} times meanwhile, at longest after {1000 * self.longest:.0f} ms"
        )


async def measured(*requests: Any) -> Measured:  # noqa: ANN401
    """Do all requests at once."""
    async with beating() as heart:
        begun = perf_counter()
        await asyncio.gather(*requests)
        seconds, beats = perf_counter() - begun, heart.beats
        await asyncio.sleep(0.002)  # so that the last pause is seen, too
    return Measured(seconds, beats, heart.longest)


async def wrong(flow: SalesFlow) -> None:
    """Do one request in the loop itself. It works, and everybody else waits for it."""
    flow.run(open_deal, actor="u-17")


async def given_up(desk: Desk) -> bool:
    """Give up waiting for a request, as a client does that hangs up, and send it again.

    A thread cannot be cancelled: it goes on and records. The key finds what it recorded.
    """
    waiting = asyncio.create_task(desk.open_deal("u-18", "the only one"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    first = await desk.open_deal("u-18", "the only one")
    return await desk.open_deal("u-18", "the only one") == first


@asynccontextmanager
async def news(desk: Desk) -> AsyncIterator["asyncio.Queue[int]"]:
    """Give a queue of positions that read tables have come to, as pages and sockets want.

    A thread of its own follows the log; `call_soon_threadsafe` is how it speaks to the loop.
    """
    queue: asyncio.Queue[int] = asyncio.Queue()
    loop, stop = asyncio.get_running_loop(), Flag()

    def tell(found: CaughtUp) -> None:
        position = min(standing.position for standing in found.standings.values())
        loop.call_soon_threadsafe(queue.put_nowait, position)

    following = asyncio.create_task(desk.call(desk.flow.follow, stop=stop, on_caught_up=tell))
    try:
        yield queue
    finally:
        stop.set()
        await following


async def main(url: str) -> None:
    """Do everything in turn, and tell."""
    with (
        ThreadPoolExecutor(THREADS) as pool,
        SalesFlow(url, timezone="Asia/Shanghai") as flow,
    ):
        desk = Desk(flow, pool)
        run = flow.log.head().position
        await desk.open_deal("u-17", f"{run}-first")  # what is loaded once is not measured
        in_threads = (desk.open_deal("u-17", f"{run}-{number}") for number in range(REQUESTS))
        print((await measured(*in_threads)).sentence("in threads"))
        in_the_loop = (wrong(flow) for _ in range(REQUESTS))
        print((await measured(*in_the_loop)).sentence("in the loop"))
        print("given up and sent again, recorded once:", await given_up(desk))
        async with news(desk) as queue:
            wanted = await desk.open_deal("u-17", f"{run}-followed")
            while await queue.get() < wanted:
                pass
        print("the loop was told that the tables have come to event no.", wanted)


if __name__ == "__main__":
    try:
        asyncio.run(main(os.environ.get("SALESFLOW_DB", "sqlite:///requests.db")))
    except SalesflowError as error:
        sys.exit(str(error))
