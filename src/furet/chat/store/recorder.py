"""A conversation in the terminal, written down as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from furet.chat.kept import put_away, take_up
from furet.chat.store.checkpoints import Checkpoints
from furet.chat.store.records import ChatFields, Conversation, Counts, Message
from furet.chat.store.store import Store
from furet.errors import FuretError

if TYPE_CHECKING:
    from furet.chat.chat import Chat
    from furet.engine.answer import Completion, Piece
    from furet.engine.generate import Progress
    from furet.engine.stream import Stream

Written = TypeVar("Written")


class Recorder:
    """Stands between a `Chat` and who talks: `say` and `regenerate` are the chat's own, and write down.

    A question is on the disk before its answer begins, and the answer as it comes. What the chat forgets (a question
    whose answer never began, an answer made anew) stays in the store, on another branch. When the store fails, the
    chat's notes say so and it goes on without.
    """

    def __init__(
        self, talk: Chat, store: Store, model: str, fields: ChatFields, resumed: Conversation | None = None
    ) -> None:
        """The talk is given the turns of the chat that is resumed.

        model       reference of the talk's model
        fields      of the chat that is made when something is said, where none is resumed
        """
        self._talk = talk
        self._store: Store | None = store
        self._model = model
        self._fields = fields
        self._chat: str | None = None
        self._asked: str | None = None  # the last question that the talk knows
        self._leaf: str | None = None  # and its answer
        self._recording: Recording | None = None
        if resumed is not None:
            self._chat = resumed.chat.id
            turns, self._asked, self._leaf = turns_of(resumed)
            talk.restore(turns)
            take_up(talk.model, resumed.chat.id)

    def say(self, text: str, *, progress: Progress | None = None) -> Stream | Recording:
        """As `Chat.say`."""
        return self._answer(lambda store: self._ask(store, text), lambda: self._talk.say(text, progress=progress))

    def regenerate(self, *, progress: Progress | None = None) -> Stream | Recording:
        """As `Chat.regenerate`."""
        return self._answer(self._ask_again, lambda: self._talk.regenerate(progress=progress))

    def close(self) -> None:
        """The talk is over for now: end an answer that was not read to its end, and keep what the model knows."""
        self._settle()
        if self._chat is not None and self._store is not None:
            put_away(self._talk.model, self._chat, self._talk.tokens)

    def anew(self) -> None:
        """The talk has other turns now, or none: what is said next begins another chat in the store."""
        self._settle()
        self._chat = self._asked = self._leaf = None

    def write(self, action: Callable[[Store], Written]) -> Written | None:
        """Do something to the store, unless it failed before; that it fails is noted once."""
        if self._store is None:
            return None
        try:
            return action(self._store)
        except FuretError as error:
            self._store = None
            self._talk.notes.append(f"this chat is no longer saved: {error.message}")
            return None

    def ended(self, message: Message, completion: Completion) -> None:
        """An answer has ended; the talk keeps it unless it never began."""
        if completion.text or completion.finish_reason != "cancelled":
            self._asked, self._leaf = message.parent, message.id

    def _answer(self, ask: Callable[[Store], Message | None], begin: Callable[[], Stream]) -> Stream | Recording:
        """The answer that begins, written down as it is read; `ask` gives its message, which is still empty."""
        self._settle()
        message = self.write(ask)
        try:
            stream = begin()
        except FuretError as error:
            if message is not None:
                failed, said = message.id, error.message
                self.write(lambda store: store.finish(failed, state="failed", error=said))
            raise
        if message is None or self._store is None:
            return stream
        self._recording = Recording(stream, message, Checkpoints(self._store, message.id), self)
        return self._recording

    def _ask(self, store: Store, text: str) -> Message | None:
        if not text:
            return None  # the talk will refuse it
        chat = self._current(store)
        question = store.say(chat, text, parent=self._leaf)
        return store.begin(chat, parent=question.id, model=self._model)

    def _ask_again(self, store: Store) -> Message | None:
        if all(message["role"] == "system" for message in self._talk.messages):
            return None  # the talk will refuse it
        chat = self._current(store)
        return store.begin(chat, parent=self._asked, model=self._model)

    def _current(self, store: Store) -> str:
        """The chat in the store, under the talk's system message; a new one has the turns that the talk has."""
        if self._chat is None:
            self._chat = store.new_chat(self._model, **self._fields).id
            for message in self._talk.messages:
                if message["role"] == "user":
                    self._asked = store.say(self._chat, message["content"]).id
                elif message["role"] == "assistant":
                    self._leaf = store.finish(store.begin(self._chat).id, message["content"]).id
        if store.chat(self._chat).system != self._talk.system:
            store.change(self._chat, system=self._talk.system)
        return self._chat

    def _settle(self) -> None:
        """End an answer that was not read to its end."""
        if self._recording is not None:
            self._recording.close()
            self._recording = None


class Recording(Iterator["Piece"]):
    """A stream whose pieces are written down as they are read; in all else it is the stream."""

    def __init__(self, stream: Stream, message: Message, checkpoints: Checkpoints, recorder: Recorder) -> None:
        self._stream = stream
        self._message = message
        self._checkpoints = checkpoints
        self._recorder = recorder
        self._ended = False

    def __next__(self) -> Piece:
        try:
            piece = next(self._stream)
        except StopIteration:
            self._end()
            raise
        except Exception as error:
            self._end(error)
            raise
        self._recorder.write(lambda store: self._checkpoints.add(piece.text))
        return piece

    def cancel(self) -> None:
        """As `Stream.cancel`."""
        self._stream.cancel()

    def close(self) -> None:
        """As `Stream.close`."""
        self._stream.close()
        self._end()

    @property
    def completion(self) -> Completion:
        """As `Stream.completion`."""
        return self._stream.completion

    def _end(self, error: Exception | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        completion = self._stream.completion
        stopped = completion.finish_reason == "cancelled"
        said = None if error is None else str(error) or type(error).__name__
        self._recorder.write(
            lambda store: store.finish(
                self._message.id,
                self._checkpoints.rest(),
                state="failed" if said is not None else "stopped" if stopped else "complete",
                error=said,
                counts=counts_of(completion),
            )
        )
        self._recorder.ended(self._message, completion)


def counts_of(completion: Completion) -> Counts:
    """What an answer took."""
    took = completion.timings
    return Counts(
        prompt_tokens=completion.prompt_tokens,
        cached_tokens=took.cached_tokens,
        answer_tokens=len(completion.tokens),
        prefill_seconds=took.prefill_seconds,
        decode_seconds=took.decode_seconds,
        seed=completion.seed,
        reason=completion.finish_reason,
    )


def turns_of(conversation: Conversation) -> tuple[list[tuple[str, str]], str | None, str | None]:
    """Questions with their answers, and the ids of the last of each; what has no answer is left out.

    Messages that follow each other on one side are joined. Calls of tools and what these gave are left out.
    """
    turns: list[tuple[str, str]] = []
    asked = leaf = None
    waiting: list[Message] = []
    for message in conversation.messages:
        if message.role == "user":
            waiting.append(message)
        elif message.role == "assistant" and message.content and (waiting or turns):
            if waiting:
                turns.append(("\n\n".join(each.content for each in waiting), message.content))
                asked = waiting[-1].id
                waiting = []
            else:
                turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n\n{message.content}")
            leaf = message.id
    return turns, asked, leaf
