"""Presets: settings by name. One's own are in the store, the others are made here."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from furet.chat.presets import PRESETS
from furet.chat.store import checks
from furet.chat.store.chats import new_id
from furet.chat.store.records import ChatPreset
from furet.errors import BadRequest, NotFound

MAX_PRESETS = 1000

# The templates that LLMFarm comes with: name, prompt format, system message, what is not as usual.
_TEMPLATES: tuple[tuple[str, str, str | None, Mapping[str, Any]], ...] = (
    ("Bunny", "bunny", None, {"temperature": 0.0, "repeat_penalty": 1.0}),
    ("ChatML", "chatml", None, {"temperature": 0.9, "repeat_penalty": 1.1}),
    ("Gemma", "gemma", None, {"repeat_penalty": 1.0}),
    ("Gemma 2", "gemma", None, {"repeat_penalty": 1.0}),
    ("Llama 3 Instruct", "llama3", "You are an AI", {"repeat_penalty": 1.0}),
    ("MagicPrompt Stable Diffusion", "raw", None, {"temperature": 0.8}),
    ("MobileVLM", "mobilevlm", "You are a helpful, respectful and honest assistant.", {"temperature": 0.0}),
    ("RWKV-4 Raven English", "rwkv-raven", None, {}),
    ("StableLM 3B 4E1T", "raw", None, {}),
    ("Cerebras 2.7B", "raw", None, {}),
    ("Llama 2 7B Chat", "llama2", None, {}),
    ("OpenLLaMA 3B", "openllama", None, {"top_k": 80, "top_p": 0.9}),
    ("Orca Mini 3B", "orca-mini", None, {}),
    ("Phi 2", "phi2", None, {"temperature": 0.7}),
    ("Phi 3", "phi3", None, {"repeat_penalty": 1.0}),
    (
        "Saiga 7B",
        "saiga",
        "Ты — Сайга, русскоязычный автоматический ассистент. Ты разговариваешь с людьми и помогаешь им.",
        {"temperature": 0.8, "top_k": 20, "repeat_penalty": 1.176},
    ),
    ("SantaCoder", "santacoder", None, {"top_k": 1, "repeat_penalty": 1.176}),
    ("TinyLlama", "zephyr", "You are a story writing assistant.", {}),
    ("Custom", "raw", None, {"temperature": 0.9, "top_k": 40, "top_p": 0.95}),
)


@cache
def built_in() -> tuple[ChatPreset, ...]:
    """LLMFarm's templates, and every prompt format that is in none of them."""
    return tuple(_built_in())


def _built_in() -> Iterator[ChatPreset]:
    for name, format, system, settings in _TEMPLATES:
        yield ChatPreset(_id(name), name, system, settings, format, built_in=True)
    used = {format for _, format, _, _ in _TEMPLATES}
    for preset in PRESETS:
        if preset.name not in used:
            yield ChatPreset(_id(preset.name), preset.name, None, preset.sampling, preset.name, built_in=True)


def _id(name: str) -> str:
    return "built-in:" + re.sub(r"\W+", "-", name.lower())


def all_presets(db: sqlite3.Connection) -> tuple[ChatPreset, ...]:
    own = db.execute("SELECT * FROM presets ORDER BY name COLLATE NOCASE")
    return (*map(_preset, own), *built_in())


def read(db: sqlite3.Connection, preset: str) -> ChatPreset:
    for each in built_in():
        if each.id == preset:
            return each
    row = db.execute("SELECT * FROM presets WHERE id = ?", (preset,)).fetchone() if isinstance(preset, str) else None
    if row is None:
        raise NotFound(f"there is no preset {preset!r:.60}", "it may have been deleted")
    return _preset(row)


def save(
    db: sqlite3.Connection,
    name: str,
    system: str | None,
    settings: Mapping[str, Any],
    format: str | None,
    preset: str | None,
) -> ChatPreset:
    values = {
        "id": new_id() if preset is None else preset,
        "name": checks.line("name", name, least=1),
        "system": None if system is None else checks.text("system", system, checks.MAX_SYSTEM),
        "settings": checks.settings("settings", settings),
        "format": None if format is None else checks.preset("format", format),
    }
    taken = db.execute("SELECT id FROM presets WHERE name = ? COLLATE NOCASE", (values["name"],)).fetchone()
    if taken is not None and taken["id"] != preset:
        raise BadRequest(f"name: there is a preset {values['name']!r:.60} already", "choose another name")
    if preset is None:
        if db.execute("SELECT count(*) FROM presets").fetchone()[0] >= MAX_PRESETS:
            raise BadRequest(f"there are {MAX_PRESETS} presets already", "delete one that is no longer used")
        db.execute(
            "INSERT INTO presets (id, name, system, settings, format) VALUES (:id, :name, :system, :settings, :format)",
            values,
        )
    else:
        _own(db, preset)
        db.execute(
            "UPDATE presets SET name = :name, system = :system, settings = :settings, format = :format WHERE id = :id",
            values,
        )
    return read(db, str(values["id"]))


def delete(db: sqlite3.Connection, preset: str) -> None:
    _own(db, preset)
    db.execute("DELETE FROM presets WHERE id = ?", (preset,))


def _own(db: sqlite3.Connection, preset: str) -> None:
    if read(db, preset).built_in:
        raise BadRequest(f"the preset {preset!r:.60} comes with furet and stays as it is", "make one of your own of it")


def _preset(row: sqlite3.Row) -> ChatPreset:
    settings = checks.settings_of(row["settings"])
    return ChatPreset(row["id"], row["name"], row["system"], settings, row["format"])
