"""Chats out of the store and into it: as files of furet's own, and as other programs export theirs.

markdown    a chat as people read it
native      furet's JSON, with every branch: what `export_json` writes, `import_chats` reads back the same
chatgpt, claude, llmfarm    what these programs export
archive     the JSON file inside a zip archive
bounded     JSON read piece by piece, within bounds
place       a value of a document that knows where it stands
trees       messages in an order in which none stands before the one it follows
importing   which of these a file is, and into the store with it
"""

from __future__ import annotations

from furet.chat.exchange.importing import Imported, import_chats
from furet.chat.exchange.markdown import export_markdown
from furet.chat.exchange.native import export_json

__all__ = ["Imported", "export_json", "export_markdown", "import_chats"]
