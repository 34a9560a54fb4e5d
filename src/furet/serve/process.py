"""The server's side of one life of a model's process: what it is told, what it says, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from itertools import count

from furet.errors import FuretError, WorkerDied
from furet.serve import wire
from furet.serve.jobs import Job, Reply

GRACE = 1.0  # seconds that a process has to end by itself
LINE = 1000  # characters of a line of its stderr that are logged
SECRETS = ("FURET_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # of the environment; a model needs none
AGAIN = "the model is being started again: ask again"

log = logging.getLogger("furet.worker")

_Heard = wire.Gave | wire.Done | FuretError


class Process:
    """A running process that has loaded its model.

    ready       what it said when it had
    pid         of the process
    answered    whether it has done a job to its end
    ended       done when it is gone; how that came to be, in words
    """

    def __init__(self, child: asyncio.subprocess.Process, name: str) -> None:
        self._child = child
        self._name = name
        self._ids = count(1)
        self._answers: dict[int, asyncio.Queue[_Heard]] = {}
        self._over: dict[int, Callable[[], None]] = {}
        self._closing = False
        self._started: asyncio.Future[wire.Ready] = asyncio.get_running_loop().create_future()
        self.ready = wire.Ready("", 0, {})
        self.pid = child.pid
        self.answered = False
        self.ended: asyncio.Task[str] = asyncio.create_task(self._live())

    @property
    def running(self) -> int:
        """Jobs that have begun and of which the process has not said that they ended."""
        return len(self._over)

    async def run(self, job: Job, over: Callable[[], None]) -> AsyncGenerator[Reply, None]:
        """The replies to a job; leaving the iterator cancels it.

        over    called once, when the process has ended the job; after a cancelled one's iterator was left
        raises  FuretErrors of the job; WorkerDied when the process ends before
        """
        id = next(self._ids)
        try:
            if self.ended.done():
                raise WorkerDied(f"{self._name}: its process {self.ended.result()}", AGAIN)
            self._send(wire.Start(id, job))
        except FuretError:
            over()
            raise
        inbox = self._answers[id] = asyncio.Queue()
        self._over[id] = over
        taken = 0
        try:
            while not isinstance(heard := await inbox.get(), wire.Done):
                if isinstance(heard, FuretError):
                    raise heard
                taken += 1
                if taken == wire.WINDOW // 2:
                    self._send(wire.More(id, taken))
                    taken = 0
                yield heard.reply
        finally:
            del self._answers[id]
            if id in self._over:
                self._send(wire.Cancel(id))

    async def close(self) -> None:
        """End it; running jobs raise WorkerDied. Returns when its memory is free."""
        self._closing = True
        assert self._child.stdin is not None
        self._child.stdin.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.ended), GRACE)
        self._kill()
        await self.ended

    def _send(self, message: wire.Command) -> None:
        """Write a message. What the pipe does not take at once is no more than the jobs that run."""
        frame = wire.encode(message)
        if not self.ended.done() and self._child.stdin is not None and not self._child.stdin.is_closing():
            self._child.stdin.write(frame)

    async def _live(self) -> str:
        """Hear it to its end; how it came, in words."""
        assert self._child.stdout is not None and self._child.stderr is not None
        logging_ = asyncio.create_task(self._log(self._child.stderr))
        said = ""
        try:
            while news := await read_news(self._child.stdout):
                self._hear(news)
        except wire.Malformed as error:
            said = f"sent what is no message, {error}"
            self._kill()
        except OSError:
            pass
        finally:
            code = await self._exit_code()
            await asyncio.wait([logging_], timeout=GRACE)  # its last words
            logging_.cancel()
            how = said or _how(code)
            self._end(how)
        return how

    async def _exit_code(self) -> int:
        """The exit code of a process that says nothing any more, and is killed unless it ends by itself."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        with suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self._child.wait(), GRACE)
        self._kill()
        return await self._child.wait()

    def _hear(self, news: wire.News) -> None:
        if isinstance(news, wire.Ready):
            self.ready = news
            self._settle(lambda: self._started.set_result(news))
            return
        if isinstance(news, wire.Failed) and news.id == 0:
            self._settle(lambda: self._started.set_exception(wire.error_of(news)))
            return
        if news.id not in self._over:
            raise wire.Malformed(f"news of job {news.id}, which does not run")
        if not isinstance(news, wire.Gave):
            self._over.pop(news.id)()
            self.answered = self.answered or isinstance(news, wire.Done)
        if inbox := self._answers.get(news.id):
            if inbox.qsize() > wire.WINDOW:
                raise wire.Malformed(f"more than {wire.WINDOW} replies that nobody has taken")
            inbox.put_nowait(wire.error_of(news) if isinstance(news, wire.Failed) else news)

    def _settle(self, settle: Callable[[], None]) -> None:
        if self._started.done():
            raise wire.Malformed("news of its start, which is long over")
        settle()

    def _end(self, how: str) -> None:
        """Tell everybody who waits that there is nothing to come."""
        lost = f"{self._name}: its process {how}"
        hint = AGAIN
        if self._closing:
            lost, hint = f"{self._name} was unloaded", ""
        if not self._started.done():
            self._started.set_exception(WorkerDied(f"{lost} while the model was loaded"))
            self._started.exception()  # nobody may be waiting for it
        for inbox in self._answers.values():
            inbox.put_nowait(WorkerDied(f"{lost}, and this answer is lost", hint))
        for over in list(self._over.values()):
            over()
        self._over.clear()

    async def _log(self, stderr: asyncio.StreamReader) -> None:
        """Pass on what it prints, line by line; of a long line its beginnings."""
        rest, data = b"", b"more"
        while data:
            data = await stderr.read(1 << 14)
            *lines, rest = (rest + data).split(b"\n")
            if not data or len(rest) > LINE:
                lines.append(rest)
                rest = b""
            for line in filter(None, lines):
                text = line[:LINE].decode("utf-8", "replace")
                shown = "".join(each if each.isprintable() else "\ufffd" for each in text)
                log.warning("%s (process %d): %s", self._name, self.pid, shown)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._child.kill()


async def start(load: wire.Load, name: str) -> Process:
    """A process that has loaded a model.

    name    what people call the model
    raises  FuretErrors of loading; WorkerDied when the process ends before it is done
    """
    environment = {key: value for key, value in os.environ.items() if key not in SECRETS}
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "furet.serve.worker",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is the server's
            env={**environment, "PYTHONSAFEPATH": "1"},  # no module that lies in the working folder
        )
    except (OSError, RuntimeError) as error:  # asyncio may want a thread to wait for it
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise WorkerDied(f"{name}: its process could not be started: {why}") from None
    process = Process(child, name)
    try:
        process._send(load)
        await process._started
    except BaseException:
        process._kill()
        await asyncio.shield(process.ended)
        raise
    return process


async def read_news(reader: asyncio.StreamReader) -> wire.News | None:
    """The next message of a process; None at the end. Raises Malformed."""
    try:
        header = await reader.readexactly(wire.HEADER)
        return wire.decode_news(await reader.readexactly(wire.size_told(header)))
    except asyncio.IncompleteReadError as error:
        if error.partial or error.expected != wire.HEADER:
            raise wire.Malformed("a frame that was cut short") from None
        return None


def _how(code: int) -> str:
    """What an exit code says."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    system = ", perhaps by the system for want of memory" if name == "SIGKILL" else ""
    return f"was killed ({name}{system})"
