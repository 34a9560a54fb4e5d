"""What many clients at once do to `furet serve`, and what it does for them.

    python benchmarks/serve_load.py hold  [--streams 128] [--minutes 5] [--disconnects 1000]
    python benchmarks/serve_load.py scale [--clients 8] [--tokens 128] [--rounds 3]

`hold` keeps so many answers streaming, each replaced by another when it ends; meanwhile it drops connections in
mid-answer, one at a time, at random. Afterwards no answer may be running or waiting at the server, and its memory and
that of the model's process must not have grown from the middle of the time to its end. The model's process fills its
cache of keys and values first, so a short run shows growth. `scale` has every client's answer made alone, and then
for as long all clients at once ask again and again, so that none falls silent while others are counted: tokens per
second of both, and whether the texts are the same. What comes is looked at when all of it is there: clients are on
other machines, and should take no more time from this one than they must.

Greedy, which soon repeats itself and so is guessed well, or with --temperature; --plain has nothing guessed. SmolLM2
unless --model says otherwise, on a server that the script starts and ends; --url and --pid name one that runs. Linux.
The last line is JSON; the exit code is 1 when something was leaked or differed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

TOPICS = ("a ferret", "the sea", "bread", "a clock", "winter", "an island", "music", "the moon")
GAUGES = ("furet_answers_running", "furet_answers_waiting")
SETTLE = 30.0  # seconds in which the server must have noticed that everybody is gone
SLACK = 0.1  # share by which memory may grow from the middle to the end and be called flat


@dataclass
class Tally:
    """What happened."""

    ended: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    live: dict[int, asyncio.Task[None]] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("hold", "scale"))
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--url", help="of a server that runs already; give its --pid as well")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--serve", default="", help="more options for the server that is started, in one text")
    parser.add_argument("--streams", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--disconnects", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--plain", action="store_true", help="guess no tokens ahead")
    options = parser.parse_args()
    with server(options) as (url, pid):
        run = hold if options.what == "hold" else scale
        result = asyncio.run(run(url, pid, options))
    print(json.dumps({"benchmark": f"serve_load {options.what}", "model": options.model, **result}))
    return 0 if result["good"] else 1


@contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """The address and the process of a server, started unless there is one."""
    if options.url:
        yield options.url.rstrip("/"), options.pid
        return
    command = [sys.executable, "-m", "furet", "serve", options.model, "--port", "0", "--no-page"]
    command += options.serve.split()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if not (url := process.stdout.readline().strip()):
                raise SystemExit("the server did not start")
            yield url, process.pid
        finally:
            process.terminate()


async def hold(url: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    """Keep answers streaming, and drop connections."""
    tally, seconds = Tally(), 60 * options.minutes
    end = monotonic() + seconds
    clients = [asyncio.create_task(client(number, url, options, end, tally)) for number in range(options.streams)]
    dropping = asyncio.create_task(drop(seconds, options.disconnects, tally))
    seen = [look(url, pid)]
    for part in range(1, 11):
        await asyncio.sleep(max(0.0, end - seconds * (1 - part / 10) - monotonic()))
        seen.append(await asyncio.to_thread(look, url, pid))
        print(f"{part * seconds / 10:6.0f} s  {tally.tokens:8} tokens  {dict(tally.ended)}  {seen[-1]}", flush=True)
    dropping.cancel()
    ended = dict(tally.ended)
    for task in tally.live.values():
        task.cancel()
    await asyncio.gather(*clients, dropping, return_exceptions=True)
    left = await emptied(url)
    grown = {
        f"{who} {what}": (last[what] - middle[what]) / max(1, middle[what])
        for who, middle, last in ((who, seen[5][who], seen[-1][who]) for who in seen[5] if who in seen[-1])
        for what in middle
    }
    flat = max((share for name, share in grown.items() if name.endswith("MB")), default=0.0) <= SLACK
    died = [who for who in seen[1] if who not in seen[-1]]
    for name, share in grown.items():
        print(f"{name}: {share:+.1%} from the middle to the end")
    print(f"left at the server: {left}; errors: {dict(tally.errors)}; processes that were replaced: {died}")
    return {
        "streams": options.streams,
        "seconds": round(seconds),
        "ended": ended,
        "errors": dict(tally.errors),
        "tokens_per_second": round(tally.tokens / seconds, 1),
        "left": left,
        "seen": seen,
        "good": not any(left.values()) and flat and not died and not tally.errors,
    }


async def client(number: int, url: str, options: argparse.Namespace, end: float, tally: Tally) -> None:
    """One answer after the other, until the time is over."""
    turn = 0
    while monotonic() < end:
        turn += 1
        task = asyncio.create_task(read(url, options, f"{number} {turn}: a story about {TOPICS[turn % 8]}.", tally))
        tally.live[number] = task
        try:
            await asyncio.wait([task])  # which its being dropped does not raise through
        finally:
            task.cancel()
            del tally.live[number]
        if task.cancelled():
            tally.ended["dropped"] += 1
        elif (error := task.exception()) is None:
            tally.ended["complete"] += 1
        else:
            tally.errors[f"{type(error).__name__}: {error}"[:100]] += 1
            await asyncio.sleep(0.5)


async def read(url: str, options: argparse.Namespace, prompt: str, tally: Tally) -> None:
    async with aclosing(pieces(url, options, prompt)) as texts:
        async for _ in texts:
            tally.tokens += 1


async def drop(seconds: float, count: int, tally: Tally) -> None:
    """So many times, leave an answer that is being read."""
    began = monotonic()
    for number in range(1, count + 1):
        await asyncio.sleep(max(0.0, began + number * seconds / (count + 2) - monotonic()))
        while not tally.live:
            await asyncio.sleep(0.01)
        random.choice(list(tally.live.values())).cancel()


async def pieces(url: str, options: argparse.Namespace, prompt: str) -> AsyncGenerator[str, None]:
    """The pieces of one answer; leaving breaks the connection. Raises ValueError with an error of the server."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request(address.netloc, options, prompt))
        status = await reader.readline()
        if b" 200 " not in status:
            raise ValueError(status.decode().strip())
        while line := await reader.readline():
            if line.startswith(b"data: [DONE]"):
                return
            if (text := text_of(line)) is not None:
                yield text
        raise EOFError("the server closed the connection in mid-answer")
    finally:
        writer.transport.abort()


def request(host: str, options: argparse.Namespace, prompt: str) -> bytes:
    asked = {"model": options.model, "prompt": prompt, "max_tokens": options.tokens, "stream": True, "seed": 1}
    body = json.dumps({**asked, "temperature": options.temperature, "speculate": not options.plain}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def text_of(line: bytes) -> str | None:
    """The piece in a line of a stream, if it has one. Raises ValueError with an error of the server."""
    if not line.startswith(b"data: {"):
        return None
    event = json.loads(line[6:])
    if "error" in event:
        raise ValueError(event["error"]["message"])
    text: str | None = event["choices"][0]["text"] if event["choices"] else None
    return text


class Gathering(asyncio.Protocol):
    """A connection that keeps what comes until its end, and when it came."""

    def __init__(self, asked: bytes) -> None:
        self._asked = asked
        self.came: list[tuple[float, bytes]] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.came.append((monotonic(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self.ended.set_result(None)


    def texts(self, before: float = inf) -> list[str]:
        """The pieces that came before a time."""
        lines = b"".join(data for when, data in self.came if when < before).splitlines()
        return [text for line in lines if (text := text_of(line)) is not None]

    def whole(self) -> str:
        """The whole answer. Raises ValueError when it is none."""
        came = b"".join(data for _, data in self.came)
        if b" 200 " not in came[:20] or b"\ndata: [DONE]\n" not in came:
            raise ValueError(f"not a whole answer: {came[:200]!r}")
        return "".join(self.texts())


async def gathered(url: str, options: argparse.Namespace, prompt: str) -> Gathering:
    """One answer, as it came."""
    address = urlsplit(url)
    asked = request(address.netloc, options, prompt)
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Gathering(asked), address.hostname, address.port
    )
    await connection.ended
    return connection


async def again_and_again(url: str, options: argparse.Namespace, prompt: str, end: float) -> list[Gathering]:
    """Answers to the same prompt, begun before the end."""
    answers: list[Gathering] = []
    while not answers or monotonic() < end:
        answers.append(await gathered(url, options, prompt))
    return answers


async def emptied(url: str) -> dict[str, float]:
    """Answers at the server once everybody is gone; those that are there for long have leaked."""
    end = monotonic() + SETTLE
    while any((left := await asyncio.to_thread(gauges, url)).values()) and monotonic() < end:
        await asyncio.sleep(0.2)
    return left


def gauges(url: str) -> dict[str, float]:
    """Answers that the server says it makes."""
    with urlopen(f"{url}/metrics", timeout=60) as reply:
        lines = dict(line.decode().rsplit(" ", 1) for line in reply if not line.startswith(b"#"))
    return {name: float(lines[name]) for name in GAUGES}


def look(url: str, pid: int) -> dict[str, dict[str, int]]:
    """Memory, threads and descriptors of the server and its models' processes, and how many answers it has."""
    found = {}
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for name, each in [("server", pid), *((f"model {child}", int(child)) for child in children)]:
        with suppress(OSError):
            status = dict(line.split(":", 1) for line in Path(f"/proc/{each}/status").read_text().splitlines())
            found[name] = {
                "MB": int(status["VmRSS"].split()[0]) // 1000,
                "threads": int(status["Threads"]),
                "descriptors": len(list(Path(f"/proc/{each}/fd").iterdir())),
            }
    return found


async def scale(url: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    """Every client's answer alone, then for as long all clients at once."""
    prompts = [f"Client {n} tells a story about {TOPICS[n % 8]}." for n in range(options.clients)]
    alone, together, same = [], [], True
    for round_ in range(-1, options.rounds):  # the first warms up
        began = monotonic()
        one_by_one = [await gathered(url, options, prompt) for prompt in prompts]
        middle = monotonic()
        end = middle + (middle - began)
        at_once = await asyncio.gather(*(again_and_again(url, options, prompt, end) for prompt in prompts))
        if round_ >= 0:
            alone.append(sum(len(answer.texts()) for answer in one_by_one) / (middle - began))
            together.append(sum(len(each.texts(end)) for answers in at_once for each in answers) / (end - middle))
        wanted = [answer.whole() for answer in one_by_one]
        same = same and all({each.whole() for each in got} == {text} for got, text in zip(at_once, wanted, strict=True))
    ratio = median(together) / median(alone)
    print(f"alone {median(alone):.1f} tok/s, {options.clients} at once {median(together):.1f} in all: {ratio:.2f}x")
    print("every answer is the same as alone" if same else "answers DIFFER from those alone")
    return {
        "clients": options.clients,
        "alone": round(median(alone), 1),
        "together": round(median(together), 1),
        "ratio": round(ratio, 2),
        "same": same,
        "good": same,
    }


if __name__ == "__main__":
    sys.exit(main())
