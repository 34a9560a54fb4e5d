"""The chats that `furet chat` keeps: listed, brought in and out, chosen and gone on with."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from furet.cli.terminal import emit_json, is_terminal, note, printable, size, table
from furet.errors import BadRequest, FuretError, NotFound

if TYPE_CHECKING:
    from furet.chat.store import Chat, ChatFields, Conversation, Store
    from furet.chat.store.insert import ChatTree
    from furet.cli.commands import Talk

LAST = ""  # what `--resume` without a value asks for
DEFAULT = "smollm2"
_LISTED = 20
_SHOWN = 300  # characters of the last message that is shown again


@contextmanager
def opened_store(*, wanted: bool, saving: bool) -> Iterator[Store | None]:
    """The store; None where nothing is to be kept, or, with a note, where it cannot be opened and is not wanted."""
    from furet.chat.store import Store

    store = None
    if wanted or saving:
        try:
            store = Store()
        except FuretError as error:
            if wanted:
                raise
            note(f"note: this chat is not saved: {error.message}")
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def listed_chats(*, json: bool) -> None:
    """The recent chats on stdout, those that changed last first."""
    with opened_store(wanted=True, saving=False) as store:
        assert store is not None
        chats = sorted(store.chats(limit=200).chats, key=lambda chat: -chat.updated)[:_LISTED]
    if json:
        emit_json([_row(chat) for chat in chats])
    elif not chats:
        note("no chats yet; `furet chat` begins one")
    else:
        rows = [(chat.id, f"{_time(chat):%Y-%m-%d %H:%M}", _who(chat), chat.title) for chat in chats]
        print(table(rows, ("id", "last said", "model", "title")))


def import_file(path: Path, *, json: bool) -> None:
    """Read chats from a file into the store. NotFound, BadRequest."""
    from furet.chat.exchange import import_chats

    with opened_store(wanted=True, saving=False) as store:
        assert store is not None
        try:
            with path.open("rb") as file:
                note(f"reading {printable(path.name)}, {size(path.stat().st_size)}")
                found = import_chats(store, file, name=path.name, shown=_with_bar)
        except FileNotFoundError:
            raise NotFound(f"{path}: no such file") from None
        except OSError as error:
            raise BadRequest(f"{path}: cannot be read: {error.strerror}") from error
    if json:
        emit_json([_row(chat) for chat in found.chats])
    note(f"{_counted(len(found.chats), 'chat')} with {_counted(found.messages, 'message')} imported")


def export_all() -> None:
    """All chats as JSON on stdout, which `import_file` reads back the same."""
    from furet.chat.exchange import export_json

    with opened_store(wanted=True, saving=False) as store:
        assert store is not None
        for piece in export_json(store):
            sys.stdout.buffer.write(piece.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


def chosen_chat(store: Store, wanted: str) -> Conversation:
    """The chat to go on with: the last one, or the one whose id or title begins so. NotFound, BadRequest."""
    if wanted == LAST:
        alone = [chat for chat in store.chats(limit=200).chats if not chat.group]
        if not alone:
            raise NotFound("there are no chats yet", "`furet chat` begins one")
        found = [max(alone, key=lambda chat: chat.updated)]
    else:
        found = [*store.find(wanted)]
        exact = [chat for chat in found if wanted in (chat.id, chat.title)]
        found = exact if len(exact) == 1 else found
    if not found:
        raise NotFound(f"no chat's id or title begins with {wanted!r:.60}", "`furet chat --list` shows them")
    if len(found) > 1:
        several = ", ".join(f"{chat.id} {chat.title!r:.40}" for chat in found[:3])
        raise BadRequest(f"{len(found)} chats begin with {wanted!r:.60}: {several}", "give the id of one")
    if found[0].group:
        raise BadRequest(f"{found[0].title!r:.60} is a group chat", "it goes on in the page of `furet serve`")
    conversation = store.open(found[0].id)
    if conversation.messages and conversation.messages[-1].state == "streaming":
        raise BadRequest("another process is making an answer in that chat", "wait for its end, or stop it there")
    return conversation


@dataclass(frozen=True)
class Beginning:
    """How a chat in the terminal begins: what the command line says, and else what the chat that is resumed has.

    model       reference
    options     of all answers
    fields      of a new chat in the store
    """

    model: str
    system: str | None
    preset: str | None
    options: dict[str, Any]
    fields: ChatFields
    resumed: Conversation | None

    @classmethod
    def of(
        cls,
        resumed: Conversation | None,
        model: str | None,
        system: str | None,
        preset: str | None,
        max_tokens: int | None,
        settings: Mapping[str, Any],
    ) -> Beginning:
        """From the command line's options, each None where it was not given."""
        given = {**settings, **({} if max_tokens is None else {"max_tokens": max_tokens})}
        if resumed is None:
            fields: ChatFields = {"settings": given}
            if preset is not None and not preset.endswith(".jinja"):
                fields["preset"] = preset
            return cls(_lasting(model or DEFAULT), system, preset, {"max_tokens": None, **given}, fields, None)
        chat = resumed.chat
        return cls(
            model=_lasting(model) if model is not None else _present(chat),
            system=chat.system if system is None else system,
            preset=chat.preset if preset is None else preset,
            options={"max_tokens": None, **chat.settings, **given},
            fields={},
            resumed=resumed,
        )

    def enter(self, talk: Talk, store: Store | None, *, saving: bool) -> None:
        """Give the talk the turns of the chat that is resumed, and have it written down."""
        from furet.chat.store.recorder import Recorder, turns_of

        if store is not None and saving:
            talk.recorder = Recorder(talk.chat, store, self.model, self.fields, self.resumed)
        elif self.resumed is not None:
            talk.chat.restore(turns_of(self.resumed)[0])
        if self.resumed is not None:
            _remind(self.resumed)


def _remind(resumed: Conversation) -> None:
    """Say where the chat has come to."""
    note(f"{resumed.chat.title or 'a chat without a title'} · {len(resumed.messages)} messages")
    for message in resumed.messages[-1:]:
        who = "you" if message.role == "user" else message.model or message.role
        said = " ".join(message.content.split())
        note(f"{who}: {said if len(said) <= _SHOWN else said[:_SHOWN] + '…'}")


def _lasting(ref: str) -> str:
    """A reference that means the same model from every folder."""
    from furet.files.store.reference import LocalFile, parse

    source = parse(ref)[0]
    return str(source.path.resolve()) if isinstance(source, LocalFile) else ref


def _present(chat: Chat) -> str:
    """The model of a chat that is resumed; NotFound when it cannot be one."""
    from furet.files.store.reference import parse

    assert chat.model is not None
    try:
        parse(chat.model)
    except FuretError as error:
        hint = f"`furet chat MODEL --resume {chat.id}` goes on with another one"
        raise NotFound(f"the chat's model: {error.message}", hint) from None
    return chat.model


def _row(chat: Chat) -> dict[str, Any]:
    return {
        "id": chat.id,
        "title": chat.title,
        "model": chat.model,
        "members": [member.name for member in chat.members],
        "pinned": chat.pinned,
        "created": datetime.fromtimestamp(chat.created).astimezone().isoformat(timespec="seconds"),
        "updated": _time(chat).isoformat(timespec="seconds"),
    }


def _with_bar(chats: list[ChatTree]) -> Iterable[ChatTree]:
    """The chats one by one, with a bar on a terminal: ten thousand messages take two seconds."""
    if not is_terminal(sys.stderr):
        return iter(chats)
    from rich.console import Console
    from rich.progress import track

    return track(chats, "writing chats", console=Console(stderr=True), transient=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _time(chat: Chat) -> datetime:
    return datetime.fromtimestamp(chat.updated).astimezone()


def _who(chat: Chat) -> str:
    return printable(chat.model or ", ".join(member.name for member in chat.members))
