"""A conversation with a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from furet.chat import saved
from furet.chat.formats import find_format
from furet.chat.known import exact_tokens
from furet.chat.messages import Message
from furet.chat.overflow import drop_turns, room_of
from furet.engine.request import Request
from furet.errors import BadRequest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from furet.engine.answer import Completion
    from furet.engine.generate import Progress
    from furet.engine.model import Model
    from furet.engine.request import Options
    from furet.engine.stream import Stream


class Chat:
    """Turns of a user and a model; one answer at a time.

    system      what the model is told before all turns, or None; may be set
    last        the latest answer, with its timings
    notes       what happened on the way that people should know
    format      how the conversation is written for the model
    """

    def __init__(
        self,
        model: Model,
        system: str | None = None,
        preset: str | Path | None = None,
        **options: Unpack[Options],
    ) -> None:
        Request(**options)
        self.model = model
        self.system = system
        self.last: Completion | None = None
        self.format = find_format(model, preset)
        self.notes: list[str] = [self.format.note] if self.format.note else []
        self._options: Options = {**self.format.sampling, **options}  # type: ignore[typeddict-item]
        self._prompts = self.format.prompts
        self._turns: list[Message] = []  # user and assistant by turns
        self._first = 0  # the first of them that the model still sees
        self._again = 0  # how often the last answer was made anew
        self._tokens: list[int] = []
        self._stream: Stream | None = None

    @property
    def messages(self) -> list[dict[str, str]]:
        """All messages, the system's first; those that the model no longer sees are among them."""
        return [{"role": each.role, "content": each.content} for each in [*self._system(), *self._turns]]

    def say(self, text: str, *, progress: Progress | None = None, **options: Unpack[Options]) -> Stream:
        """Say something and get the stream of the answer; both join the conversation when it ends.

        An answer that was cancelled or closed is kept as far as it came; one that never began is not, nor is
        what was said. An answer that is still unread is closed first.
        options     override those of the conversation; without max_tokens the answer may fill the context
        raises      BadRequest for an empty text; ContextOverflow when it is longer than the context
        """
        self._settle()
        if not isinstance(text, str) or not text:
            raise BadRequest("the message is empty")
        self._again = 0
        return self._answer(self._turns, text, {**self._options, **options}, progress)

    def regenerate(self, *, progress: Progress | None = None, **options: Unpack[Options]) -> Stream:
        """Answer the last message anew; the old answer stays until the new one has begun.

        A seed of the conversation counts up, so that the answer differs; one given here is used as it is.
        """
        before, text = self._last_turn()
        self._again += 1
        merged: Options = {**self._options, **options}
        seed = self._options.get("seed")
        if seed is not None and "seed" not in options:
            merged["seed"] = (seed + self._again) % (1 << 64)
        return self._answer(before, text, merged, progress)

    @property
    def tokens(self) -> list[int]:
        """What the model was given last, with what it answered."""
        return self._tokens

    def undo(self) -> str:
        """Forget the last message and its answer; returns the message. BadRequest when there is none."""
        self._turns, text = self._last_turn()
        return text

    def clear(self) -> None:
        """Forget all turns; the system message stays."""
        self._settle()
        self._turns.clear()
        self._first = 0

    def save(self, path: str | Path) -> None:
        """Write the conversation to a file that only its owner can read; an old one is replaced whole."""
        self._settle()
        saved.write(Path(path), saved.Saved(self.model.path.name, self.system, tuple(self._turns)))

    def load(self, path: str | Path) -> None:
        """Replace the conversation by a saved one; NotFound or BadRequest when that fails, and all stays."""
        self._settle()
        found = saved.read(Path(path))
        self.system, self._turns, self._first = found.system, list(found.messages), 0

    def restore(self, turns: Sequence[tuple[str, str]]) -> None:
        """Replace all turns by others, each what was said and its answer; the system message stays."""
        self._settle()
        both = [message for said, answer in turns for message in (("user", said), ("assistant", answer))]
        self._turns, self._first = [Message(role, text) for role, text in both], 0

    def _answer(
        self, before: list[Message], text: str, options: Options, progress: Progress | None
    ) -> Stream:
        """The stream of the answer to `text` after the turns `before`."""
        merged: Options = {"max_tokens": None, **options}
        request = Request(**merged)
        if request.form is None:  # which such a text may be a part of
            request = replace(request, stop=(*request.stops, *self.format.stops))
        turns = [*before, Message("user", text)]

        prompt = self._prompt(turns, request.max_tokens)

        def finished(completion: Completion) -> None:
            self.last = completion
            self._tokens = [*prompt, *completion.tokens]
            if completion.text or completion.finish_reason != "cancelled":
                self._turns = [*turns, self._message(completion)]

        self._stream = self.model.answer(
            prompt,
            request,
            ends=self.format.ends,
            continuing=False,
            progress=progress,
            finished=finished,
        )
        return self._stream

    def _prompt(self, turns: list[Message], max_tokens: int | None) -> list[int]:
        """The tokens of what the model is to see: all turns, or the latest when they are too many."""
        model = self.model
        fitted = drop_turns(
            [*self._system(), *turns],
            self._prompts.encode,
            lambda text: len(model.tokenizer.encode(text, parse_special=False, add_special=False)),
            model.context,
            room_of(max_tokens, model.context),
        )
        if fitted.forgotten > self._first:
            self.notes.append(fitted.note)
        self._first = fitted.forgotten
        return fitted.prompt

    def _system(self) -> list[Message]:
        return [] if self.system is None else [Message("system", self.system)]

    def _message(self, completion: Completion) -> Message:
        """The answer; with its tokens, unless a stop string was cut off that they still have."""
        return Message("assistant", completion.text, exact_tokens(completion, self.model.tokenizer))

    def _last_turn(self) -> tuple[list[Message], str]:
        """The turns before the last one, and what was said in it."""
        self._settle()
        if not self._turns:
            raise BadRequest("nothing has been said yet")
        return self._turns[:-2], self._turns[-2].content

    def _settle(self) -> None:
        """End an answer that was not read to its end."""
        if self._stream is None:
            return
        try:
            self._stream.close()
        except ValueError:  # another thread is inside of it
            raise BadRequest("an answer is being made", "cancel it, or wait for its end, first") from None
        self._stream = None
