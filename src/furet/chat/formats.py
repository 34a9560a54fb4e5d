"""How a model wants conversations written: its own template, a preset, or the file that people name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from furet.chat.known import KnownAnswers
from furet.chat.messages import Message
from furet.chat.patterns import Preset
from furet.chat.prompt import Prompts
from furet.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from furet.engine.model import Model
    from furet.text.template import ChatTemplate
    from furet.text.tokenizer import Tokenizer

_NAMED_TOKENS = {  # what templates call a token, and what GGUF does
    "unk_token": "unknown",
    "sep_token": "seperator",
    "pad_token": "padding",
    "cls_token": "cls",
    "mask_token": "mask",
}
_NAMES = ("general.name", "general.basename", "general.finetune", "general.architecture")
_MAX_NAME = 200  # characters of each that are looked at


@dataclass(frozen=True)
class Format:
    """A chat template and what ends an answer under it.

    name        "model", the name of a preset, or of a file
    prompts     renders conversations by the template
    known       the answers that the model gave lately, under whatever format
    ends        tokens, besides the tokenizer's own
    stops       texts
    sampling    options of answers, where the caller has none
    note        what people should know about it, or nothing
    """

    name: str
    template: ChatTemplate
    prompts: Prompts
    known: KnownAnswers
    ends: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template knows messages of the system."""
        try:
            self.prompts.encode([Message("system", "a"), Message("user", "b")])
        except BadRequest:
            return False
        return True


class _Made:
    """What was made for a model: by the name of the preset, and whether there are tools; there are only so many."""

    def __init__(self) -> None:
        self.known = KnownAnswers()
        self.formats: dict[tuple[str | None, bool], Format] = {}


_made: WeakKeyDictionary[Model, _Made] = WeakKeyDictionary()
_lock = Lock()


def find_format(model: Model, preset: str | Path | None = None, *, tools: bool = False) -> Format:
    """The format of conversations with a model.

    preset  the name of a preset, or a file with a chat template, *.jinja; None: the template that the model
            has, else the preset that its vocabulary or name suggests
    tools   there are tools that the model may call, for which some have a template of their own
    raises  BadRequest for an unknown preset, NotFound, ModelFileError for a template that is none
    """
    with _lock:
        made = _made.setdefault(model, _Made())
    if isinstance(preset, Path) or (preset or "").endswith(".jinja"):
        path = Path(preset or "")
        return _format(path.name, _source(path), model, made.known)
    chosen = None if preset is None else find_preset(str(preset))
    key = (None if chosen is None else chosen.name, tools)
    found = made.formats.get(key)
    if found is None:
        found = made.formats[key] = _found(model, chosen, made.known, tools=tools)
    return found


def find_preset(name: str) -> Preset:
    """The preset of a name; raises BadRequest, with names like it, when there is none."""
    from furet.chat.presets import PRESETS

    by_name = {each: preset for preset in PRESETS for each in (preset.name, *preset.also)}
    plain = _plain(name)
    if plain in by_name:
        return by_name[plain]
    close = " or ".join(get_close_matches(plain, by_name, 2))
    more = "`furet chat --preset help` lists them"
    raise BadRequest(f"no preset {name!r:.60}", f"did you mean {close}? {more}" if close else more)


def suggest_preset(has_token: Callable[[str], bool], name: str) -> tuple[Preset, str]:
    """The preset for a model without a template, and the sign of it: "tokens", "name", or nothing.

    has_token   whether a text is one token of the vocabulary
    name        all that the model calls itself
    """
    from furet.chat.presets import PLAIN, PRESETS

    for preset in PRESETS:
        if preset.tokens and all(map(has_token, preset.tokens)):
            return preset, "tokens"
    for preset in PRESETS:
        if preset.models and re.search(preset.models, _plain(name)):
            return preset, "name"
    return PLAIN, ""


def names_of(metadata: Mapping[str, Any]) -> str:
    """All that a model calls itself."""
    return " ".join(str(metadata.get(key, ""))[:_MAX_NAME] for key in _NAMES)


def _found(model: Model, preset: Preset | None, known: KnownAnswers, *, tools: bool) -> Format:
    """The format of a preset; None: of the model itself."""
    from furet.text.template_files import pick_template, templates_in_metadata

    if preset is not None:
        return _from_preset(model, preset, known, chosen=True)
    if templates := templates_in_metadata(model.metadata):
        return _format("model", pick_template(templates, tools=tools), model, known)
    return _fallback(model, known)


def _fallback(model: Model, known: KnownAnswers) -> Format:
    """The preset for a model without a template, and a note that says so."""
    preset, sign = suggest_preset(
        lambda text: _token(model.tokenizer, text) is not None, f"{names_of(model.metadata)} {model.path.stem}"
    )
    why = {
        "tokens": "its tokens suggest",
        "name": "its name suggests",
        "": "it may not be made for conversations; the fallback is",
    }[sign]
    note = (
        f"the model has no chat template; {why} the preset {preset.name!r}, which is used "
        "(--preset NAME, or preset= in Python, chooses another)"
    )
    return _from_preset(model, preset, known, note=note)


def _from_preset(model: Model, preset: Preset, known: KnownAnswers, *, chosen: bool = False, note: str = "") -> Format:
    """The format of a preset; one that people have chosen brings its sampling along."""
    tokens = [_token(model.tokenizer, text) for text in preset.stops]
    return _format(
        preset.name,
        preset.template,
        model,
        known,
        ends=frozenset(token for token in tokens if token is not None),
        stops=preset.stops,
        sampling=preset.sampling if chosen else {},
        note=note,
    )


def _format(name: str, source: str, model: Model, known: KnownAnswers, **more: Any) -> Format:
    template = _compiled(source, model)
    return Format(name, template, Prompts(template, model.tokenizer), known, **more)


def _compiled(source: str, model: Model) -> ChatTemplate:
    from furet.text.metadata import token_id
    from furet.text.template import ChatTemplate

    tokenizer = model.tokenizer
    keys = {name: f"tokenizer.ggml.{key}_token_id" for name, key in _NAMED_TOKENS.items()}
    ids = {name: token_id(model.metadata, key, tokenizer.vocab_size) for name, key in keys.items()}
    names = {
        name: tokenizer.token_bytes(token).decode("utf-8", "replace")
        for name, token in ids.items()
        if token is not None
    }
    return ChatTemplate(source, tokenizer.bos, tokenizer.eos, names=names)


def _source(path: Path) -> str:
    from furet.text.template_files import read_template

    if not path.is_file():
        raise NotFound(f"{path}: no such file")
    return read_template(path)


def _token(tokenizer: Tokenizer, name: str) -> int | None:
    """The token that a text is, if it is one."""
    ids = tokenizer.encode(name, add_special=False)
    return ids[0] if len(ids) == 1 else None


def _plain(name: str) -> str:
    """A name in lower case, its words joined by "-"."""
    return re.sub(r"[\s_]+", "-", name.strip().lower())
