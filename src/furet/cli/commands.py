"""What a person can say to `furet chat` itself: lines that begin with a slash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from furet.cli import options
from furet.cli.terminal import note, size, table
from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet import Chat, Stream
    from furet.chat.store.recorder import Recorder, Recording


@dataclass
class Talk:
    """A conversation.

    answer      shows an answer, given what begins it: `say` with its text, or `regenerate`
    recorder    writes it down in the store; None: nothing does
    """

    chat: Chat
    answer: Callable[[Callable[..., Stream | Recording]], None]
    recorder: Recorder | None = None
    noted: int = 0  # remarks of the conversation that were shown

    def say(self, text: str) -> None:
        """Say something, and show the answer."""
        self.answer(partial((self.recorder or self.chat).say, text))

    def regenerate(self) -> None:
        """Show another answer to what was said last."""
        self.answer((self.recorder or self.chat).regenerate)

    def other_turns(self) -> None:
        """What is said from now on belongs to another chat of the store."""
        if self.recorder is not None:
            self.recorder.anew()

    def close(self) -> None:
        """It goes on another time, or never."""
        if self.recorder is not None:
            self.recorder.close()

    def new_notes(self) -> list[str]:
        """Remarks of the conversation that were not shown yet."""
        new = self.chat.notes[self.noted :]
        self.noted = len(self.chat.notes)
        return new


def command(talk: Talk, line: str) -> str:
    """Obey a line such as `/save talk.json`; the command's name. Raises BadRequest for an unknown one."""
    name, _, argument = line[1:].partition(" ")
    if name not in COMMANDS:
        raise BadRequest(f"there is no command /{name}", "/help lists them")
    _, act = COMMANDS[name]
    act(talk, argument.strip())
    return name


def _help(talk: Talk, argument: str) -> None:
    note(table([(f"/{name}", summary) for name, (summary, _) in COMMANDS.items()]))
    note("")
    note('Enter sends. A new line: Alt-Enter, or \\ then Enter, or anything between """ and """.')
    note("Ctrl-C stops an answer or clears the line; Ctrl-D, or Ctrl-C twice, quits.")


def _system(talk: Talk, argument: str) -> None:
    if argument:
        talk.chat.system = argument
        note("the system message holds from the next answer on")
    else:
        note(talk.chat.system or "there is no system message; /system TEXT sets one")


def _save(talk: Talk, argument: str) -> None:
    talk.chat.save(_file(argument, "save"))
    note(f"{len(talk.chat.messages)} messages saved in {argument}")


def _load(talk: Talk, argument: str) -> None:
    talk.chat.load(_file(argument, "load"))
    talk.other_turns()
    note(f"{len(talk.chat.messages)} messages loaded; the conversation goes on from there")


def _file(argument: str, name: str) -> str:
    if not argument:
        raise BadRequest(f"/{name} needs the name of a file", f"/{name} talk.json")
    return argument


def _regenerate(talk: Talk, argument: str) -> None:
    talk.regenerate()


def _clear(talk: Talk, argument: str) -> None:
    talk.chat.clear()
    talk.other_turns()
    note("everything said is forgotten; the system message stays")


def _stats(talk: Talk, argument: str) -> None:
    model = talk.chat.model
    if talk.chat.last is not None:
        held = talk.chat.last.prompt_tokens + len(talk.chat.last.tokens)
        note(options.speed(talk.chat.last))
        note(f"context: {held} of {model.context} tokens")
    note(f"memory: up to {size(model.memory.total)} of {size(model.memory.budget)}")


def _quit(talk: Talk, argument: str) -> None:
    pass


COMMANDS: dict[str, tuple[str, Callable[[Talk, str], None]]] = {
    "help": ("show this", _help),
    "system": ("TEXT: tell the model something before the conversation; alone: show it", _system),
    "regenerate": ("answer the last message anew", _regenerate),
    "clear": ("forget what was said", _clear),
    "save": ("FILE: write the conversation to a file", _save),
    "load": ("FILE: go on with a saved conversation", _load),
    "stats": ("speed of the last answer, context and memory in use", _stats),
    "quit": ("end the program", _quit),
}
