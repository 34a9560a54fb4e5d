"""Answers are made here, by tasks of the server: a page that goes away or comes again only looks on.

    begin   a row in the store, "streaming"        the chat's leaf, before the model is asked
    write   events of the model                    to the store now and then, and to all pages that show the chat
    end     "complete", "stopped" or "failed"      in a group, the next member goes on

Text is shown at a pace that falls with the length of the block that is being written: each frame sends that block
anew, and so an answer costs time and bytes by its length, not by the square of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from furet.chat.events import Began, Ended, Text
from furet.chat.kept import expect
from furet.chat.store import CURRENT, Counts, Message, next_speaker, settings_for, view_for
from furet.errors import BadRequest, Busy, FuretError, NotFound
from furet.serve.jobs import AnswerChat
from furet.serve.page.markdown import Growing
from furet.serve.page.views import chat_view, message_view

if TYPE_CHECKING:
    from furet.chat.store import Chat, Member, State, Store
    from furet.serve.models import Models
    from furet.serve.page.board import Board

MAX_RUNNING = 32  # chats that are answered at once
FRAME = 0.04  # seconds between two frames
PER_CHARACTER = 25e-6  # and so much more for each character of the block that is being written
SETTLE = 1.0  # seconds between two writes to the store
RETRIES = (0.2, 1.0)  # seconds after which an end that could not be written is written again

log = logging.getLogger("furet.serve")
Written = TypeVar("Written")


@dataclass(eq=False)
class Running:
    """An answer that is being made.

    growing     its text so far, as blocks
    unsaved     the end of its text that the store does not have yet
    tokens      of it, without those it had when it was gone on with; prompt: of what the model has read
    first       when the first of them came, by the clock that only goes forward
    changed     there is something to show
    """

    message: Message
    siblings: tuple[str, ...]
    growing: Growing = field(default_factory=Growing)
    unsaved: list[str] = field(default_factory=list)
    tokens: int = 0
    prompt: int = 0
    first: float = 0.0
    counts: Counts = field(default_factory=Counts)
    notes: tuple[str, ...] = ()
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seconds(self) -> float:
        """Since the first token."""
        return monotonic() - self.first if self.first else 0.0

    def add(self, event: Text) -> None:
        """More of the text."""
        self.first = self.first or monotonic()
        self.tokens += len(event.tokens)
        self.growing.feed(event.text)
        self.unsaved.append(event.text)
        self.changed.set()

    def taken(self) -> str:
        """The text that the store is to have now."""
        text = "".join(self.unsaved)
        self.unsaved.clear()
        return text

    def view(self) -> dict[str, Any]:
        """The message as the page shows it; its text comes in frames."""
        return message_view(self.message, self.siblings)

    def frame(self, have: int | None = None) -> dict[str, Any]:
        """What there is to show since the last frame, or since the first `have` blocks that are final."""
        frame = self.growing.frame() if have is None else self.growing.since(have)
        rate = (self.tokens - 1) / self.seconds if self.tokens > 1 and self.seconds else 0.0
        tokens = self.message.counts.answer_tokens + self.tokens
        counts = {"tokens": tokens, "rate": round(rate, 2), "prompt": self.prompt}
        blocks = {"first": frame.first, "blocks": frame.blocks, "final": frame.final}
        return {"message": self.message.id, **blocks, **counts}

    def so_far(self) -> dict[str, Any]:
        """What has been written, for a page that begins with it."""
        frame = self.frame(0)
        return {name: frame[name] for name in ("blocks", "final", "tokens", "rate")}


class Answers:
    """The answers that are being made; used on the server's event loop alone."""

    def __init__(self, models: Models, store: Store, board: Board) -> None:
        self._models, self._store, self._board = models, store, board
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by chat
        self._running: dict[str, Running] = {}  # by chat
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by chat; gone when nobody waits
        self._resting: set[str] = set()  # chats that are changed now, perhaps to be answered in

    def running(self, chat: str) -> Running | None:
        """The answer that is being made in a chat."""
        return self._running.get(chat)

    def answering(self, chat: str) -> bool:
        """Whether somebody answers in a chat, or is about to."""
        return chat in self._tasks

    def chats(self) -> list[str]:
        """The chats in which somebody answers."""
        return list(self._tasks)

    @contextlib.asynccontextmanager
    async def rest(self, chat: str) -> AsyncIterator[None]:
        """A time in which nobody answers in a chat, and nobody else may `start`; raises what forbids it.

        Whoever comes meanwhile waits, and is then refused if an answer was started, before anything is written.
        """
        async with self._locks.setdefault(chat, asyncio.Lock()):
            if chat in self._tasks:
                raise BadRequest("an answer is being written in this chat", "stop it first, or wait for its end")
            await self._settle(chat)
            if len(self._tasks.keys() | self._resting) >= MAX_RUNNING:
                raise Busy(f"{MAX_RUNNING} chats are being answered", "wait for one of them to end")
            self._resting.add(chat)
            try:
                yield
            finally:
                self._resting.discard(chat)

    def start(self, chat: str, *, again: Message | None = None, onward: Message | None = None) -> None:
        """Within `rest`: have the next message of a chat made, in a group those of all members whose turn it is.

        again   an answer that is made anew, as a branch beside it
        onward  an answer that ended and is gone on with
        """
        task = asyncio.create_task(self._turns(chat, again, onward))
        self._tasks[chat] = task
        task.add_done_callback(lambda done: self._over(chat, done))

    async def stop(self, chat: str) -> None:
        """End the answer in a chat, if there is one, and wait until it is written down."""
        if task := self._tasks.get(chat):
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        """End all answers."""
        for chat in list(self._tasks):
            await self.stop(chat)

    def _over(self, chat: str, task: asyncio.Task[None]) -> None:
        self._leave(chat, task)
        if not task.cancelled() and (error := task.exception()):
            log.error("an answer was not written down: %s", error)

    def _leave(self, chat: str, task: asyncio.Task[Any] | None) -> None:
        """Another answer may begin in this chat; perhaps it has."""
        if self._tasks.get(chat) is task:
            del self._tasks[chat]
            self._running.pop(chat, None)

    async def _turns(self, id: str, again: Message | None, onward: Message | None) -> None:
        """Answers until people are to speak."""
        try:
            chat = await asyncio.to_thread(self._store.chat, id)
            earlier = again or onward
            member = _member(chat, earlier.speaker) if earlier else await self._next(chat)
            while member is not None or not chat.group:
                if not await self._answer(chat, member, again, onward) or not chat.group:
                    return
                again = onward = None
                chat = await asyncio.to_thread(self._store.chat, id)
                member = await self._next(chat)
        finally:
            self._leave(id, asyncio.current_task())
            with contextlib.suppress(FuretError):  # the chat may be gone
                self._board.tell("chat", chat_view(await asyncio.to_thread(self._store.chat, id)))

    async def _next(self, chat: Chat) -> Member | None:
        conversation = await asyncio.to_thread(self._store.open, chat.id)
        return next_speaker(chat.members, conversation.messages, chat.turns)

    async def _answer(self, chat: Chat, member: Member | None, again: Message | None, onward: Message | None) -> bool:
        """One answer, from its row in the store to its end; whether another may follow."""
        beginning = asyncio.create_task(self._begin(chat, member, again, onward))
        stopped = not await _ended(beginning)
        running = beginning.result()
        self._running[chat.id] = running
        self._board.tell("message", running.view(), chat.id)
        self._board.tell("chat", chat_view(chat, answering=True))
        painting = asyncio.create_task(self._paint(chat.id, running))
        state: State = "failed"
        error = None
        try:
            if stopped:
                raise asyncio.CancelledError
            await self._write(running, chat.model or "", await self._job(chat, member, running, onward is not None))
            state = "stopped" if running.counts.reason == "cancelled" else "complete"
        except asyncio.CancelledError:
            state = "stopped"
            raise
        except FuretError as failure:
            error = f"{failure.message}\n{failure.hint}" if failure.hint else failure.message
        except Exception:
            log.exception("an answer failed")
            error = "the server failed\nits log says why"
        finally:
            painting.cancel()
            await self._finish(chat.id, running, state, error)
        return state == "complete"

    async def _begin(self, chat: Chat, member: Member | None, again: Message | None, onward: Message | None) -> Running:
        """The answer's row in the store."""
        store = self._store
        if onward is not None:
            message = await asyncio.to_thread(store.resume, onward.id)
        else:
            parent = again.parent if again else CURRENT
            model, speaker = (member.model, member.name) if member else (chat.model, None)
            message = await asyncio.to_thread(store.begin, chat.id, parent=parent, model=model, speaker=speaker)
        conversation = await asyncio.to_thread(store.open, chat.id)
        running = Running(message, conversation.siblings.get(message.id, ()))
        running.growing.feed(message.content)
        return running

    async def _job(self, chat: Chat, member: Member | None, running: Running, resume: bool) -> AnswerChat:
        """What the model is asked for."""
        conversation = await asyncio.to_thread(self._store.open, chat.id)
        options = {"max_tokens": None, **settings_for(chat, member)}
        if options.get("seed") is not None and len(running.siblings) > 1:  # asked anew, it is to differ
            options["seed"] = (options["seed"] + len(running.siblings) - 1) % (1 << 64)
        preset = member.preset if member and member.preset else chat.preset
        view = view_for(conversation, member)
        await asyncio.to_thread(expect, chat.id)
        return AnswerChat(view, options=options, overflow="drop", resume=resume, preset=preset, keep=chat.id)

    async def _write(self, running: Running, model: str, job: AnswerChat) -> None:
        """Take the model's events until there are no more."""
        settled = monotonic()
        events = self._models.run(running.message.model or model, job)
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, Began):
                    running.prompt, running.notes = event.prompt_tokens, event.notes
                elif isinstance(event, Text):
                    running.add(event)
                elif isinstance(event, Ended):
                    running.counts = _counts(event)
                if running.unsaved and monotonic() - settled > SETTLE:
                    saving = asyncio.to_thread(self._store.append, running.message.id, running.taken())
                    if not await _ended(asyncio.create_task(saving)):
                        raise asyncio.CancelledError
                    settled = monotonic()

    async def _finish(self, chat: str, running: Running, state: State, error: str | None) -> None:
        """Write the end down, and tell of it."""
        id, text, counts = running.message.id, running.taken(), running.counts
        if not counts.answer_tokens and running.tokens:  # it did not come to its end
            counts = Counts(running.prompt, 0, running.tokens, 0.0, running.seconds)
        counts = running.message.counts.plus(counts)

        def finish() -> dict[str, Any]:
            ended = self._store.finish(id, text, state=state, error=error, counts=counts)
            return {**message_view(ended, running.siblings), "notes": running.notes}

        writing = asyncio.create_task(_persistently(finish))
        try:
            stopped = not await _ended(writing)  # too late for this answer
            ended = writing.result()
        except FuretError as failure:  # deleted meanwhile, or the disk is full
            log.warning("an answer was not written down: %s", failure.message)
            self._running.pop(chat, None)
            with contextlib.suppress(FuretError):
                await self._settle(chat)
            return
        self._running.pop(chat, None)
        self._board.tell("message", ended, chat)
        if stopped:
            raise asyncio.CancelledError

    async def _settle(self, chat: str) -> None:
        """Stop an answer of which not even the end could be written down, and have the pages look again."""
        if await asyncio.to_thread(self._store.settle, chat):
            self._board.tell("path", {"id": chat}, chat)

    async def _paint(self, chat: str, running: Running) -> None:
        """Show what there is, at a pace that leaves time for the rest."""
        while True:
            await running.changed.wait()
            running.changed.clear()
            self._board.tell("frame", running.frame(), chat)
            await asyncio.sleep(FRAME + PER_CHARACTER * running.growing.open_length)


async def _persistently(write: Callable[[], Written]) -> Written:
    """Write to the store; where the disk is full or the file locked, again a little later."""
    for pause in RETRIES:
        try:
            return await asyncio.to_thread(write)
        except (BadRequest, NotFound):
            raise
        except FuretError:
            await asyncio.sleep(pause)
    return await asyncio.to_thread(write)


async def _ended(task: asyncio.Task[Any]) -> bool:
    """Wait for a task that writes to the store; False when an answer was to stop meanwhile.

    A thread that writes cannot be stopped: what comes after it must not overtake it.
    """
    stopped = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            stopped = True
    if not stopped:
        task.result()
    return not stopped


def _member(chat: Chat, name: str | None) -> Member | None:
    """The member of a group that is called so."""
    return next((member for member in chat.members if member.name == name), None)


def _counts(event: Ended) -> Counts:
    return Counts(
        event.prompt_tokens,
        event.cached_tokens,
        event.answer_tokens,
        event.prefill_seconds,
        event.decode_seconds,
        event.seed,
        event.reason,
    )
