"""The process that holds one model and does jobs with it: `python -m furet.serve.worker`.

The server starts it and talks with it over stdin and stdout (`furet.serve.wire`); nothing else reads or writes these.

    main thread     loads the model, then writes what the others have to say
    listening       reads commands; their end is the end of the process, so that it never outlives the server
    one per job     reads its stream, and waits when its reader has not taken what was sent

What it says of itself goes to stderr, and holds no word of a prompt or an answer.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Lock, Thread
from traceback import extract_tb
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from furet.errors import Busy, DoesNotFit, FuretError
from furet.serve import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from furet.chat.model import Model

PATIENCE = 120.0  # seconds that an answer waits for a reader who takes nothing
AT_ONCE = 64 << 10  # bytes of messages that are written together
BAD_MESSAGE = 65  # exit code: EX_DATAERR of sysexits.h


class Window:
    """How far a job may be ahead of its reader, and whether anybody wants it."""

    def __init__(self, size: int = wire.WINDOW) -> None:
        self._changed = Condition()
        self._left = size
        self._cancels: list[Callable[[], None]] = []
        self.cancelled = False

    def begun(self, cancel: Callable[[], None]) -> None:
        """What to call when nobody wants it any longer."""
        with self._changed:
            self._cancels.append(cancel)
            cancelled = self.cancelled
        if cancelled:
            cancel()

    def take(self, patience: float = PATIENCE) -> bool:
        """Wait until one more reply may be sent; False when nobody wants it.

        raises  FuretError when the reader has taken nothing for so long
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._left > 0 or self.cancelled, patience):
                raise FuretError(f"nobody has read this answer for {patience:.0f} seconds, so it was ended")
            self._left -= 1
            return not self.cancelled

    def more(self, count: int) -> None:
        """The reader has taken so many."""
        with self._changed:
            self._left += count
            self._changed.notify()

    def cancel(self) -> None:
        """Nobody wants the rest."""
        with self._changed:
            self.cancelled = True
            cancels = list(self._cancels)
            self._changed.notify()
        for each in cancels:
            each()


class Jobs:
    """The jobs that run; what they give goes to `send`."""

    def __init__(self, model: Model, slots: int, send: Callable[[bytes], None]) -> None:
        self._model = model
        self._slots = slots + wire.QUICK_SLOTS
        self._send = send
        self._changes = Lock()
        self._windows: dict[int, Window] = {}

    def handle(self, command: wire.Command | None) -> None:
        """Do what the server says. Raises Malformed for what it cannot mean."""
        match command:
            case wire.Start(id):
                self._start(command)
            case wire.More(id, count):
                if window := self._windows.get(id):
                    window.more(count)
            case wire.Cancel(id):
                if window := self._windows.get(id):
                    window.cancel()
            case _:
                raise wire.Malformed("a second Load")

    def _start(self, start: wire.Start) -> None:
        window = Window()
        with self._changes:
            if start.id in self._windows:
                raise wire.Malformed(f"job {start.id} runs already")
            full = len(self._windows) >= self._slots
            if not full:
                self._windows[start.id] = window
        try:
            if full:
                raise Busy(f"{self._slots} jobs are running, as many as may", "ask again later")
            self._thread(start, window)
        except Busy as error:
            self._send(wire.encode(wire.failed(start.id, error)))

    def _thread(self, start: wire.Start, window: Window) -> None:
        try:
            Thread(target=self._run, args=(start, window), daemon=True).start()
        except RuntimeError:
            del self._windows[start.id]
            raise Busy("the system gives no more threads", "ask again later") from None

    def _run(self, start: wire.Start, window: Window) -> None:
        """One job from beginning to end, on its own thread."""
        try:
            self._read(start, window)
            last: wire.Done | wire.Failed = wire.Done(start.id)
        except FuretError as error:
            last = wire.failed(start.id, error)
        except MemoryError:
            last = wire.failed(start.id, DoesNotFit("the machine had no memory left for this answer"))
        except Exception as error:
            last = wire.failed(start.id, FuretError(f"an error of furet itself: {_where(error)}"))
            print(f"job {type(start.job).__name__} failed: {_where(error)}", file=sys.stderr, flush=True)
        with self._changes:
            del self._windows[start.id]
        self._send(wire.encode(last))

    def _read(self, start: wire.Start, window: Window) -> None:
        from furet.serve.work import replies

        with closing(replies(self._model, start.job, window.begun)) as made:
            for reply in made:
                frame = wire.encode(wire.Gave(start.id, reply))
                if not window.take():
                    return
                self._send(frame)


def main() -> None:
    """Be a worker until the server is gone."""
    import faulthandler

    faulthandler.enable()  # where the process was when it dies by a fault of its own; names of functions, no values
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which decides
    with suppress(OSError):  # when the machine is out of memory, a model goes, not the server
        Path("/proc/self/oom_score_adj").write_text("500")
    inbox, outbox = _pipes()
    load = _first(inbox)
    frames: SimpleQueue[bytes] = SimpleQueue()
    found: SimpleQueue[Jobs] = SimpleQueue()
    Thread(target=_listen, args=(inbox, found), daemon=True).start()
    try:
        model = _loaded(load)
    except FuretError as error:
        _write(outbox, wire.encode(wire.failed(0, error)))
        os._exit(error.exit_code)
    found.put(Jobs(model, load.slots, frames.put))
    rows = dict(model.memory.rows)
    frames.put(wire.encode(wire.Ready(model.kind, model.context, rows, model.notes)))
    model.prepare()
    while True:
        _write(outbox, _together(frames))


def _first(inbox: BinaryIO) -> wire.Load:
    try:
        load = wire.read_command(inbox)
    except wire.Malformed as error:
        _give_up(error)
    if load is None:
        os._exit(0)
    if not isinstance(load, wire.Load):
        _give_up(wire.Malformed(f"{type(load).__name__} before Load"))
    return load


def _loaded(load: wire.Load) -> Model:
    try:
        from furet.chat.model import load as load_model

        return load_model(
            load.path,
            threads=load.threads,
            memory=load.memory,
            context=load.context,
            sequences=load.sequences,
            kv=load.kv,
            draft=load.draft,
            offline=True,
        )
    except MemoryError:
        raise DoesNotFit("the machine has no memory left for this model") from None
    except FuretError:
        raise
    except Exception as error:
        raise FuretError(f"an error of furet itself while loading: {_where(error)}") from error


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes, out of the reach of whatever prints to stdout or reads stdin."""
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(inbox, "rb"), os.fdopen(outbox, "wb", buffering=0)


def _listen(inbox: BinaryIO, found: SimpleQueue[Jobs]) -> None:
    """Read commands until there are no more; that ends the process, whatever else it is doing."""
    jobs: Jobs | None = None
    try:
        while command := wire.read_command(inbox):
            jobs = jobs or found.get()
            jobs.handle(command)
        os._exit(0)
    except wire.Malformed as error:
        _give_up(error)
    except BaseException as error:
        print(f"listening failed: {_where(error)}", file=sys.stderr, flush=True)
        os._exit(1)


def _together(frames: SimpleQueue[bytes]) -> bytes:
    """What there is to say, as much as has come together; waits for the first of it."""
    data = frames.get()
    with suppress(Empty):
        while len(data) < AT_ONCE:
            data += frames.get_nowait()
    return data


def _write(outbox: BinaryIO, data: bytes) -> None:
    """Write it all, however long the server takes to read; the end when it is gone."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(outbox.fileno(), view) :]
    except OSError:
        os._exit(0)


def _give_up(error: wire.Malformed) -> NoReturn:
    print(f"the server sent no message: {error}", file=sys.stderr, flush=True)
    os._exit(BAD_MESSAGE)


def _where(error: BaseException) -> str:
    """What went wrong and where, without what it was about: that may be somebody's prompt."""
    at = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {at.name}, {Path(at.filename).name}:{at.lineno}"


if __name__ == "__main__":
    main()
