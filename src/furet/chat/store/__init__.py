"""Conversations in one SQLite file, which the page in the browser and the terminal share.

    store       `Store`: all that can be asked of it
    records     what it hands out
    schema      tables, and how older files become newer ones
    database    the file: connections, transactions, permissions, errors
    owners      which process is making an answer, and whether it still lives
    chats, messages, insert, search, snippets, presets      what the methods of `Store` do
    checks      what may be written
    groups      who speaks next, and the conversation as one member sees it
    checkpoints an answer written down while it is made
    recorder    a conversation in the terminal, written down as it goes

Messages form a tree: a message knows the one it follows, and a chat the message that it has come to. So another
wording or another answer is a branch, and nothing is overwritten.
"""

from __future__ import annotations

from furet.chat.store.checkpoints import Checkpoints
from furet.chat.store.database import default_path
from furet.chat.store.groups import next_speaker, settings_for, view_for
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
    Member,
    Message,
    Role,
    State,
    ToolCall,
    Turns,
)
from furet.chat.store.store import Store

__all__ = [
    "CURRENT",
    "Chat",
    "ChatChanges",
    "ChatFields",
    "ChatPage",
    "ChatPreset",
    "Checkpoints",
    "Contact",
    "Conversation",
    "Counts",
    "Hit",
    "Member",
    "Message",
    "Role",
    "State",
    "Store",
    "ToolCall",
    "Turns",
    "default_path",
    "next_speaker",
    "settings_for",
    "view_for",
]
