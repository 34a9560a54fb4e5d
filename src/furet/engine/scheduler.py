"""Who computes when: one thread steps for all requests, so that the weights are read once for all of them.

Requests join and leave between two steps. A step has a token of every answer that is being made, with guesses where
they pay, and what is left of it goes to the prompt that came first; beside answers a prompt goes in by few tokens at a
time, so that they are never held up for long. An answer that is ahead of its reader rests. What a request holds may be
taken from it when an older one wants the room; it then computes anew what is not known any more, and gives the same.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Condition, Lock, Thread, current_thread
from time import perf_counter, sleep
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from furet.engine.ahead import Prices
from furet.engine.backend import Backend, Run
from furet.engine.held import Caches
from furet.engine.prefixes import BLOCK, common
from furet.engine.work import Work
from furet.errors import Busy

BESIDE = 32  # tokens of prompts in a step that has answers in it
FEW = 8  # tokens that a step computes for little more than one
MOST_WAITING = 1024  # requests
BRIEFLY = 0.02  # seconds for which a request may wait that comes in an idle time
HANDOVER = 0.002  # seconds in which a first token reaches its reader; threads of a next step would hold it up
IDLE = 0.2  # seconds after which the thread ends; the next request begins another
LAST = 2.0  # seconds that the end of the program waits for the last step

T = TypeVar("T")


class Share(NamedTuple):
    """What one request has in a step: tokens, and how many rows of logits it wants, those of the last ones."""

    work: Work
    tokens: list[int]
    rows: int


class Scheduler:
    """The requests of a model. `submit`, `wake` and `call` are for any thread, all else is for its own.

    check           raises what forbids the next step
    check_logits    raises for logits that are no numbers
    """

    def __init__(
        self,
        backend: Backend,
        caches: Caches,
        check: Callable[[], None],
        check_logits: Callable[[NDArray[np.float32]], None],
    ) -> None:
        self._backend = backend
        self._caches = caches
        self._check = check
        self._check_logits = check_logits
        self._out = np.empty((backend.max_rows, backend.vocab), dtype=np.float32)
        self._hidden = np.empty((backend.max_rows, backend.width), dtype=np.float32)
        self._changed = Condition()
        self._thread: Thread | None = None
        self._stepping = Lock()
        self._news = False  # something may have changed since the last look
        self._calls: deque[Callable[[], None]] = deque()
        self._waiting: list[Work] = []  # the first is served first
        self._running: list[Work] = []  # the oldest first
        self._answered = False  # whether the last step had answers in it
        self._steps = 0  # that were made, for who was served when
        self._settled = False  # nothing is left to do that would make later steps faster
        self._settling = 0.0  # seconds that the next step was held up by that
        self._prices = Prices()

    @property
    def counts(self) -> tuple[int, int]:
        """Requests that are running and that wait."""
        return len(self._running), len(self._waiting)

    def submit(self, work: Work, *, first: bool = False) -> None:
        """Take a request on. Raises Busy when too many wait.

        first   it is a part of one that runs, and comes before all that wait
        """
        with self._changed:
            if not first and len(self._waiting) >= MOST_WAITING:
                raise Busy(f"{MOST_WAITING} requests are waiting", "ask again later")
            self._waiting.insert(0 if first else len(self._waiting), work)
        try:
            self.wake()
        except RuntimeError:
            with self._changed:
                self._waiting.remove(work)
            raise Busy("the system gives no more threads", "ask again later") from None

    def wake(self) -> None:
        """A request was cancelled, or its reader has caught up; or there is time until the first one."""
        with self._changed:
            self._news = True
            if self._thread is None:
                # This may be done twice: a stream that is collected here wakes as well, and Ctrl-C hits anywhere.
                Thread(target=self._work, name="furet steps", daemon=True).start()
            self._changed.notify()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function between two steps and return what it does."""
        from concurrent.futures import Future

        if current_thread() is self._thread:
            return function()
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        with self._changed:
            self._calls.append(run)
        self.wake()
        return future.result()

    def _work(self) -> None:
        with self._changed:
            if self._thread is not None:  # one steps for all
                return
            self._thread = current_thread()
        stop = partial(self._stop)  # one of its own: the next thread's is not taken back with it
        atexit.register(stop)
        try:
            self._serve()
        finally:
            atexit.unregister(stop)

    def _serve(self) -> None:
        """Step whenever there is news, until there is none for a while and nothing to do meanwhile."""
        while True:
            with self._changed:
                news = self._changed.wait_for(lambda: self._news, IDLE)
                if not news and self._settled:
                    self._thread = None
                    return
                self._news = False
            if not news:
                self._use_idleness()
                continue
            going = True
            while going:
                with self._stepping:
                    while self._calls:
                        self._calls.popleft()()
                    going = self._step()

    def _use_idleness(self) -> None:
        """Make later steps faster, until that is done or there is news."""
        while not (self._settled or self._news):
            with self._stepping:
                self._settle(BRIEFLY)

    def _stop(self) -> None:
        """Step no more. The interpreter is about to end, and who comes back to it from the core after that ends the
        process by a signal.
        """
        self._stepping.acquire(timeout=LAST)

    def _step(self) -> bool:
        """Compute one step; False when nobody wants any."""
        try:
            self._drop_cancelled()
            if not self._running and not self._waiting:
                self._settling = 0.0
                return False
            self._check()
            answers = self._answers()
            prompts = self._prompts(answers)
            self._answered = bool(answers)
            if not answers and not prompts:
                answers = self._answers()  # whom they stood back for has no room yet
            if answers or prompts:
                self._compute(answers, prompts)
            return bool(answers or prompts)
        except Exception as error:
            self._fail(self._cause(error))
            return False

    def _cause(self, error: Exception) -> Exception:
        """What forbids steps now says more than what one of them stumbled over."""
        try:
            self._check()
        except Exception as forbidding:
            return forbidding
        return error

    def _settle(self, seconds: float) -> None:
        """Make later steps faster, if that is not done yet."""
        if self._settled:
            return
        try:
            self._check()  # the file may have been cut short meanwhile
            self._settled = not self._backend.settle(seconds)
        except Exception:  # the next step says so
            self._settled = True

    def _answers(self) -> list[Share]:
        """A token of every answer, or of those that have waited longest where a step has not so many rows."""
        rows = min(self._backend.max_rows, self._backend.max_tokens)
        if (rows > 1 or self._answered) and self._somebody_reads():  # whom answers must not keep out for ever
            rows -= 2 if rows > 2 and any(work.wholly for work in self._running) else 1
        wanting = sorted((work for work in self._running if work.answering), key=lambda work: work.served)[:rows]
        guesses = min(FEW, rows) // len(wanting) - 1 if self._prices.known(len(wanting)) else 0
        shares: list[Share] = []
        for work in wanting:
            if work not in self._running:  # one before it has taken its room
                continue
            tokens = work.answer_share(max(0, guesses))
            if self._reserve(work, len(tokens), shares):
                shares.append(Share(work, tokens, len(tokens)))
        return shares

    def _somebody_reads(self, other: Work | None = None) -> bool:
        """Whether there is a prompt to be read, other than this one."""
        with self._changed:
            waiting = any(not work.resting for work in self._waiting)
        return waiting or any(work.reading and work is not other for work in self._running)

    def _prompts(self, beside: list[Share]) -> list[Share]:
        """Tokens of the oldest prompts, as many as are left to them.

        Where rows are fewer than tokens, a request that wants one for each token leaves one to a prompt that comes to
        its end; and what has no rows any more is read but for its last token.
        """
        left = self._backend.max_tokens - sum(len(share.tokens) for share in beside)
        left = min(left, BESIDE) if beside else left
        rows = self._backend.max_rows - sum(share.rows for share in beside)
        shares: list[Share] = []
        seen = [share.work for share in beside]
        while left > 0 and (work := self._next_prompt(seen)):
            seen.append(work)
            spared = int(work.wholly and 1 < rows < left and self._somebody_reads(other=work))
            tokens, wanted = work.prompt_share(left, rows - spared)
            if wanted > rows:
                tokens, wanted = tokens[:-1], 0
            if not tokens:
                continue
            if not self._reserve(work, len(tokens), [*beside, *shares]):
                break
            shares.append(Share(work, tokens, wanted))
            left -= len(tokens)
            rows -= wanted
        return shares

    def _next_prompt(self, seen: list[Work]) -> Work | None:
        """The oldest other request whose tokens are to be read, admitted now if there is room for it."""
        known = set(map(id, seen))
        reading = (work for work in self._running if work.reading and id(work) not in known)
        return next(reading, None) or self._admitted(seen)

    def _admitted(self, seen: list[Work]) -> Work | None:
        with self._changed:
            work = next((each for each in self._waiting if not each.resting), None)
        if work is None or any(_is_ahead(each, work) for each in seen):
            return None
        while not work.open(self._caches):
            resting = next((each for each in reversed(self._running) if each.resting), None)
            if resting is None:
                return None
            self._put_back(resting)
        with self._changed:
            self._waiting.remove(work)
        self._running.append(work)
        return work

    def _reserve(self, work: Work, count: int, shares: list[Share]) -> bool:
        """Have room for so many more tokens, if need be that of a request which rests, or of the youngest."""
        taking = {id(share.work) for share in shares}
        while not work.held.reserve(count):
            younger = [each for each in self._running[self._running.index(work) + 1 :] if id(each) not in taking]
            resting = [each for each in self._running if each.resting]
            if not younger and not resting:
                return False
            self._put_back((resting or younger)[-1])
        return True

    def _put_back(self, work: Work) -> None:
        """What it holds is wanted by others; it goes on later."""
        work.close()
        self._running.remove(work)
        with self._changed:
            self._waiting.insert(0, work)

    def _compute(self, answers: list[Share], prompts: list[Share]) -> None:
        shares = answers + prompts
        out = self._out[: sum(share.rows for share in shares)]
        began = perf_counter()
        self._backend.step([Run(share.tokens, share.work.held.cache, share.rows) for share in shares], out)
        seconds = perf_counter() - began
        self._steps += 1
        hidden = self._hidden[: len(out)]
        if any(share.work.sees for share in shares):
            self._backend.hidden(hidden)
        guesses = sum(len(share.tokens) - 1 for share in answers)
        worth = None if prompts else self._prices.note(len(answers), guesses, seconds)
        at = 0
        for work, tokens, rows in shares:
            held_up = self._settling if work.served else 0.0  # who came meanwhile has not waited for all of that
            work.served = self._steps
            try:
                if rows:
                    self._check_logits(out[at : at + rows])
                work.advance(tokens, out[at : at + rows], held_up + seconds, hidden[at : at + rows])
                if worth is not None:
                    work.judge(worth)
            except Exception as error:
                work.fail(error)
            at += rows
            if work.ended:
                self._close(work)
                self._running.remove(work)
        if any(share.rows and not (share.work.ended or share.work.wholly) for share in prompts):
            sleep(HANDOVER)
        began = perf_counter()
        if answers or not any(work.reading for work, _, _ in prompts):  # a first token is waited for most
            self._settle(seconds)  # others come half as fast as they could, and soon faster
        self._settling = perf_counter() - began

    def _drop_cancelled(self) -> None:
        with self._changed:
            gone = [work for work in self._waiting if work.cancelled]  # any thread may cancel while this looks
            self._waiting = [work for work in self._waiting if work not in gone]
        gone += [work for work in self._running if work.cancelled]
        for work in gone:
            self._close(work)
            work.cancel()
        self._running = [work for work in self._running if not work.ended]

    def _fail(self, error: Exception) -> None:
        """No step can be made: nobody is to wait for one."""
        with self._changed:
            everyone = [*self._running, *self._waiting]
            self._waiting = []
        self._running = []
        for work in everyone:
            self._close(work)
            work.fail(error)

    def _close(self, work: Work) -> None:
        """Have it let go of its place; whatever comes of that, its reader is told."""
        try:
            work.close()
        except Exception as error:
            work.fail(error)


def _is_ahead(one: Work, other: Work) -> bool:
    """Whether one is about to compute blocks that the other will find."""
    return one.reading and common(one.tokens, other.tokens) // BLOCK * BLOCK > one.held.length
