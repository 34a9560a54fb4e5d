"""A conversation in a file: JSON, readable by its owner alone, never half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from furet.chat.prompt import Message
from furet.errors import BadRequest, NotFound

FORMAT = "furet chat"
VERSION = 1
MAX_BYTES = 64 << 20
ROLES = ("user", "assistant")


@dataclass(frozen=True)
class Saved:
    """What a file holds; the system message is not among the messages."""

    model: str
    system: str | None
    messages: tuple[Message, ...]


def write(path: Path, saved: Saved) -> None:
    """Write a conversation; BadRequest when the file cannot be written, and then nothing has changed."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "model": saved.model,
        "system": saved.system,
        "messages": [{"role": message.role, "content": message.content} for message in saved.messages],
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
    except OSError as error:
        raise BadRequest(f"{path}: cannot be written: {error.strerror}") from error


def read(path: Path) -> Saved:
    """Read a conversation; NotFound when there is no file, BadRequest when it is something else."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        raise BadRequest(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise BadRequest(f"{path}: larger than {MAX_BYTES >> 20} MB, which no conversation is")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    return parsed(document, path)


def parsed(document: object, path: str | Path) -> Saved:
    """The conversation of a document; BadRequest, beginning with the path, when it is something else."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadRequest(f"{path}: not a saved conversation")
    if document.get("version") != VERSION:
        version = f"version {document.get('version')!r:.20}, wanted {VERSION}"
        raise BadRequest(f"{path}: {version}", "a newer furet wrote it")
    system, model = document.get("system"), document.get("model")
    messages = document.get("messages")
    if not (system is None or isinstance(system, str)) or not isinstance(messages, list):
        raise BadRequest(f"{path}: not a saved conversation: system or messages are malformed")
    return Saved(str(model), system, tuple(_checked(messages, path)))


def _checked(messages: Sequence[object], path: str | Path) -> Sequence[Message]:
    """Turns of user and assistant, one after the other."""
    found: list[Message] = []
    for place, message in enumerate(messages):
        role = ROLES[place % 2]
        match message:
            case {"role": named, "content": str(content)} if named == role:
                found.append(Message(role, content))
            case _:
                raise BadRequest(f"{path}: message {place + 1}: wanted one of the {role}, with content")
    if len(found) % 2:
        raise BadRequest(f"{path}: the last message has no answer")
    return found
