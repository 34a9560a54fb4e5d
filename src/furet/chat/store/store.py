"""The store: one object for any number of threads, one file for any number of processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from furet.chat.kept import forget
from furet.chat.store import chats, insert, messages, presets, search
from furet.chat.store.database import Database, default_path
from furet.chat.store.owners import Owner
from furet.chat.store.records import (
    CURRENT,
    Chat,
    ChatChanges,
    ChatFields,
    ChatPage,
    ChatPreset,
    Contact,
    Conversation,
    Counts,
    Hit,
    Message,
    Role,
    State,
    ToolCall,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from furet.chat.store.insert import ChatTree


class Store:
    """Conversations in an SQLite file.

    Every method is one transaction: when it returns, what it wrote is on the disk; when it raises, nothing was
    written. Methods may be called from any thread and wait for the disk, so an event loop calls them through
    `asyncio.to_thread`. Several processes may hold the same file open.

    Chats and messages are named by their ids. All methods raise NotFound for an id that there is not, BadRequest,
    naming the field, for a value that cannot be, and FuretError for a file that is damaged, locked or not writable.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Open the file, or make it; None: `default_path()`. Answers that a dead process left are now "stopped"."""
        self.path = default_path() if path is None else Path(path)
        self._database = Database(self.path)
        self._owner = Owner(self.path)
        try:
            with self._database.writing() as db:
                messages.stop_orphans(db, self._owner)
            self._owner.sweep()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Stop the answers that this store began and did not end, and close the file."""
        try:
            if self._owner.held:
                with self._database.writing() as db:
                    messages.stop_own(db, self._owner)
        finally:
            self._database.close()
            self._owner.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Chats

    def new_chat(self, model: str | None, **fields: Unpack[ChatFields]) -> Chat:
        """A new chat with a model, or, with `members` and without a model, of a group.

        Without a title it takes the first line that is said in it.
        """
        with self._database.writing() as db:
            return chats.create(db, model, fields)

    def chat(self, chat: str) -> Chat:
        """The chat of an id."""
        with self._database.reading() as db:
            return chats.read(db, chat)

    def chats(
        self,
        *,
        model: str | None = None,
        groups: bool = False,
        archived: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> ChatPage:
        """A page of the list of chats: the pinned ones first, then those that changed last.

        model       only those with this model
        groups      only the group chats
        archived    those in the archive, instead of the others
        after       `next` of the page before
        limit       1 to 200
        """
        with self._database.reading() as db:
            return chats.page(db, model=model, groups=groups, archived=archived, after=after, limit=limit)

    def ids(self) -> tuple[str, ...]:
        """The ids of all chats in the order of the list, those in the archive at its end."""
        with self._database.reading() as db:
            return chats.ids(db)

    def contacts(self) -> tuple[Contact, ...]:
        """The models with which there are chats outside the archive, those that changed last first."""
        with self._database.reading() as db:
            return chats.contacts(db)

    def find(self, text: str, *, limit: int = 10) -> tuple[Chat, ...]:
        """Chats whose id begins with the text, or else whose title does; those that changed last first."""
        with self._database.reading() as db:
            return chats.find(db, text, limit)

    def change(self, chat: str, **fields: Unpack[ChatChanges]) -> Chat:
        """Change what is given of a chat; its place in the list stays, as nothing was said."""
        with self._database.writing() as db:
            return chats.change(db, chat, fields)

    def delete(self, chat: str) -> None:
        """Delete a chat and all its messages."""
        with self._database.writing() as db:
            chats.delete(db, chat)
        forget(chat)

    # Messages

    def open(self, chat: str) -> Conversation:
        """A chat with the messages from its beginning to its leaf."""
        with self._database.reading() as db:
            found = messages.conversation(db, chat)
        if any(message.state == "streaming" for message in found.messages):
            with self._database.writing() as db:
                if messages.stop_orphans(db, self._owner):
                    return messages.conversation(db, chat)
        return found

    def tree(self, chat: str) -> tuple[Message, ...]:
        """All messages of a chat, also those on other branches; parents before children."""
        with self._database.reading() as db:
            return messages.tree(db, chat)

    def whole(self, chat: str) -> tuple[Chat, tuple[Message, ...]]:
        """A chat and all its messages, as both were at one moment."""
        with self._database.reading() as db:
            return chats.read(db, chat), messages.tree(db, chat)

    def message(self, message: str) -> Message:
        """The message of an id."""
        with self._database.reading() as db:
            return messages.read(db, message)

    def say(
        self,
        chat: str,
        content: str,
        *,
        parent: str | None = CURRENT,
        role: Role = "user",
        tool_call_id: str | None = None,
    ) -> Message:
        """Add a complete message, which becomes the chat's leaf.

        parent  the message it follows; CURRENT: the chat's leaf; None: it is a beginning. Where the parent has been
                followed already, this is a branch
        """
        with self._database.writing() as db:
            return messages.add(db, chat, parent, role, content, tool_call_id=tool_call_id)

    def begin(
        self, chat: str, *, parent: str | None = CURRENT, model: str | None = None, speaker: str | None = None
    ) -> Message:
        """Add an answer that is about to be made: "streaming", empty, the chat's leaf.

        With the parent of an earlier answer it is that answer made anew, as a branch.
        model, speaker  who answers; None: the chat's model, and nobody in particular
        """
        self._owner.hold()
        with self._database.writing() as db:
            return messages.begin(db, chat, parent, self._owner, model=model, speaker=speaker)

    def append(self, message: str, text: str) -> None:
        """Add text to an answer that is streaming; BadRequest when it no longer is.

        Each call is a commit: gather pieces, as `furet.chat.store.Checkpoints` does.
        """
        with self._database.writing() as db:
            messages.append(db, message, text)

    def finish(
        self,
        message: str,
        text: str = "",
        *,
        state: State = "complete",
        error: str | None = None,
        tool_calls: Sequence[ToolCall] = (),
        counts: Counts = Counts(),  # noqa: B008
    ) -> Message:
        """Add the last text to an answer that is streaming, and end it.

        state   "complete", "stopped", or "failed" with the error's text
        """
        with self._database.writing() as db:
            return messages.finish(db, message, text, state=state, error=error, tool_calls=tool_calls, counts=counts)

    def settle(self, chat: str) -> bool:
        """Stop the answers that this store began in a chat, which nobody is making any more; whether there were any."""
        with self._database.reading() as db:
            if not messages.making(db, self._owner, chat):
                return False  # as nearly always: there is nothing to write
        with self._database.writing() as db:
            return messages.stop_in(db, self._owner, chat) > 0

    def resume(self, message: str) -> Message:
        """Make an answer that ended "streaming" again, to go on with it where it is."""
        self._owner.hold()
        with self._database.writing() as db:
            return messages.resume(db, message, self._owner)

    def edit(self, message: str, content: str) -> Message:
        """A message in the place of another, with its role and speaker, as a branch; it becomes the chat's leaf."""
        with self._database.writing() as db:
            return messages.edit(db, message, content)

    def select(self, message: str) -> Conversation:
        """Go to the branch of a message, unless the chat is on it: its leaf becomes the newest one that follows."""
        with self._database.writing() as db:
            return messages.select(db, message)

    def remove(self, message: str) -> Conversation:
        """Delete a message and all that follows it."""
        with self._database.writing() as db:
            left = messages.remove(db, message)
        forget(left.chat.id)
        return left

    # Search

    def search(self, text: str, *, chat: str | None = None, limit: int = 20) -> tuple[Hit, ...]:
        """Messages and titles that hold all words of a text, the best and newest first.

        The last word may be the beginning of one, if it has two letters and no white space follows it; words between
        double quotes stand side by side. Case and accents do not count. Nothing in the text is a command.

        chat    look in this chat only
        limit   1 to 100
        """
        with self._database.reading() as db:
            return search.search(db, text, chat=chat, limit=limit)

    # Presets

    def presets(self) -> tuple[ChatPreset, ...]:
        """All presets: one's own by name, then those that come with furet."""
        with self._database.reading() as db:
            return presets.all_presets(db)

    def preset(self, preset: str) -> ChatPreset:
        """The preset of an id."""
        with self._database.reading() as db:
            return presets.read(db, preset)

    def save_preset(
        self,
        name: str,
        *,
        system: str | None = None,
        settings: Mapping[str, Any] = {},
        format: str | None = None,
        preset: str | None = None,
    ) -> ChatPreset:
        """Make a preset, or, given the id of one's own, change it. A name can be had once."""
        with self._database.writing() as db:
            return presets.save(db, name, system, settings, format, preset)

    def delete_preset(self, preset: str) -> None:
        """Delete a preset of one's own; BadRequest for one that comes with furet."""
        with self._database.writing() as db:
            presets.delete(db, preset)

    # Export and import

    def insert(self, trees: Iterable[ChatTree]) -> tuple[Chat, ...]:
        """Add chats with all their messages, under new ids: all of them, or none when one cannot be."""
        with self._database.writing() as db:
            return insert.insert(db, trees)
