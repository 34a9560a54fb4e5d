"""Reading calls of tools out of an answer that arrives in pieces.

A family's reader walks through the text and gives events. What is no call after all is text, and the search goes on
behind the mark that it began with, so that nothing is lost; only the spaces around calls are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from furet.chat.events import CallArguments, CallBegan, Text
from furet.chat.tools.cursor import SPACES, Cursor, Depth, Found, Steps
from furet.sample.stop import overlap

NAMES = ("name", "tool", "function")  # keys of a call, as models write them
ARGUMENTS = ("arguments", "parameters")
IGNORED = ("id", "type")


class Reading(Cursor):
    """An answer that may hold calls.

    tools       names that can be called
    new_id      makes the id of a call
    certain     a grammar sees to it that a call, once begun, is well-formed: its arguments are given out as they come.
                Otherwise they are held until the call is complete, since it may turn out to be none
    complete    calls that are complete
    cut         a call was begun and is not complete
    """

    def __init__(self, tools: Collection[str], new_id: Callable[[], str], *, certain: bool = False) -> None:
        super().__init__()
        self.tools = tools
        self.certain = certain
        self.complete = 0
        self.cut = False
        self._new_id = new_id
        self._line_begun = False  # something other than spaces stands before, on the same line
        self._spaces = ""  # given out with the text that follows, if one does

    def text_until(self, marks: Sequence[str], *, bare: bool = False) -> Steps[str]:
        """Give out text up to the first mark, which is passed; returns it, or "" when the answer has ended.

        marks   none begins with another
        bare    a `{` with which a line begins is a mark as well
        """
        wanted = re.compile("|".join(map(re.escape, [*marks, "{"] if bare else marks)))
        while True:
            for match in wanted.finditer(self.text, self.at):
                before = self.text[self.at : match.start()]
                if match[0] != "{" or not self._on_a_line(before):
                    yield from self._give(before)
                    self.at = match.end()
                    return match[0]
            left = self.text[self.at :]
            keep = 0 if self.ended else max((overlap(left, mark) for mark in marks), default=0)
            yield from self._give(left[: len(left) - keep])
            self.at = len(self.text) - keep
            if self.ended:
                if self._spaces and not self.complete:
                    yield Text(self._spaces)
                return ""
            self.forget()
            yield from self.more()

    def as_text(self, mark: str, begin: int) -> Steps[None]:
        """A mark did not begin a call: give it out, and go back to the place behind it."""
        yield from self._give(mark)
        self.at = begin

    def call(self, *, opened: bool = False) -> Steps[bool]:
        """Read a call, {"name": ..., "arguments": {...}}; False when it is none, and then nothing was given out.

        opened  the first bracket has been passed
        """
        name: str | None = None
        arguments: str | None = None
        if not opened and not (yield from self.passes("{")):
            return False
        while True:
            key = yield from self.string()
            if key is None or not (yield from self.passes(":")):
                return False
            if key in NAMES and name is None:
                name = yield from self.string()
                if name not in self.tools:
                    return False
            elif key in ARGUMENTS and self.certain and name is not None:
                began = yield from self.arguments(name)
                yield from self.passes("}")
                return began
            elif key in ARGUMENTS and arguments is None:
                arguments = yield from self.object()
                if arguments is None:
                    return False
            elif key not in IGNORED or (yield from self.string()) is None:
                return False
            if not (yield from self.passes(",")):
                break
        if name is None or not (yield from self.passes("}")):
            return False
        yield from self._give_call(name, arguments or "{}")
        return True

    def arguments(self, name: str) -> Steps[bool]:
        """Read the arguments of a call; False when they are none, and then nothing was given out."""
        if not self.certain:
            arguments = yield from self.object()
            if arguments is not None:
                yield from self._give_call(name, arguments)
            return arguments is not None
        yield from self.spaces()
        if not (yield from self.sees("{")):
            return False
        yield self._began(name)
        self.cut = True
        depth = Depth()
        while True:
            end = depth.end(self.text, self.at)
            if end > self.at:
                yield CallArguments(self.complete, self.text[self.at : end])
            self.at = end
            if depth.closed:
                self.cut = False
                self.complete += 1
                return True
            self.forget()
            if not (yield from self.more()):
                return True

    def _give_call(self, name: str, arguments: str) -> Steps[None]:
        yield self._began(name)
        yield CallArguments(self.complete, arguments)
        self.complete += 1

    def _began(self, name: str) -> CallBegan:
        self._spaces = ""
        self._line_begun = False
        return CallBegan(self.complete, self._new_id(), name)

    def _on_a_line(self, before: str) -> bool:
        """Whether something other than spaces stands on the line that this text ends with."""
        _, line_end, line = before.rpartition("\n")
        return bool(line.strip(SPACES)) or (not line_end and self._line_begun)

    def _give(self, text: str) -> Steps[None]:
        """Give out text, less the spaces at its end, which wait for what follows."""
        self._line_begun = self._on_a_line(text)
        if shown := text.rstrip(SPACES):
            yield Text(self._spaces + shown)
            self._spaces = ""
        self._spaces += text[len(shown) :]


class Reader:
    """Pieces of an answer in, events out. Never raises, whatever the text; joined, the events of all cuts are equal."""

    def __init__(self, read: Callable[[Reading], Steps[None]], reading: Reading) -> None:
        self.reading = reading
        self._steps = read(reading)

    def push(self, text: str) -> list[Found]:
        """What a piece makes certain."""
        self.reading.text += text
        return self._found()

    def finish(self) -> list[Found]:
        """The answer ends here: what was held back."""
        self.reading.ended = True
        return self._found()

    def _found(self) -> list[Found]:
        found: list[Found] = []
        for event in self._steps:
            if event is None:
                break
            found.append(event)
        return found
