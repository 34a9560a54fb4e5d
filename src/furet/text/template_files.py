"""Where models keep their chat templates: a Hugging Face folder's files, or the metadata of a GGUF file.

A model may have several, by name: "default", and for example "tool_use" or "rag". In a folder they are, the
first that is there:

    chat_template.jinja, additional_chat_templates/NAME.jinja
    tokenizer_config.json   "chat_template": a text, or a list of {"name": ..., "template": ...}
    chat_template.json      "chat_template": a text; of processors, which prepare images as well

Source: what transformers reads when it loads a tokenizer or a processor, and the keys that gguf writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from furet.errors import BadRequest, ModelFileError
from furet.text.template import KEY, MAX_SOURCE

DEFAULT = "default"
FOR_TOOLS = "tool_use"
NAMES = "tokenizer.chat_templates"
MAX_TEMPLATES = 32
MAX_NAME = 64  # characters
MAX_CONFIG = 8 << 20  # bytes of a JSON file; it may list thousands of added tokens

Templates = dict[str, str]  # Jinja by name


def templates_in_folder(folder: Path) -> Templates:
    """The chat templates of a Hugging Face folder, by name; raises ModelFileError for a damaged file."""
    found = _jinja_files(folder)
    if DEFAULT in found:
        return found
    return _in_config(folder / "tokenizer_config.json") | found or _in_config(folder / "chat_template.json")


def templates_in_metadata(metadata: Mapping[str, object]) -> Templates:
    """The chat templates of a GGUF file, by name; raises ModelFileError for one that is no text."""
    found: Templates = {}
    for key in metadata:
        if key == KEY or key.startswith(f"{KEY}."):
            _add(found, key[len(KEY) + 1 :] or DEFAULT, metadata[key], None, key)
    return found


def metadata_of_templates(templates: Mapping[str, str]) -> dict[str, object]:
    """The GGUF metadata that holds these templates; in a name, what is not a letter or digit becomes `_`."""
    keys: dict[str, object] = {}
    for name, source in templates.items():
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
        keys[KEY if plain == DEFAULT else f"{KEY}.{plain}"] = source
    names = sorted(key.removeprefix(f"{KEY}.") for key in keys if key != KEY)
    return keys | ({NAMES: names} if names else {})


def pick_template(templates: Mapping[str, str], name: str | None = None, *, tools: bool = False) -> str:
    """The template to use: the one named, or that for tools when there are some, or the default one.

    raises  BadRequest, with the names that there are, when there is none such
    """
    wanted = name or (FOR_TOOLS if tools and FOR_TOOLS in templates else DEFAULT)
    try:
        return templates[wanted]
    except KeyError:
        known = ", ".join(sorted(templates)) or "none"
        raise BadRequest(f"no chat template {wanted[:80]!r}", f"the model has: {known}") from None


def read_template(path: Path) -> str:
    """The chat template in a file of its own; raises ModelFileError for what is no text."""
    return _text(path, 4 * MAX_SOURCE)


def _jinja_files(folder: Path) -> Templates:
    found: Templates = {}
    more = folder / "additional_chat_templates"
    paths = [folder / "chat_template.jinja", *(sorted(more.glob("*.jinja")) if more.is_dir() else ())]
    for place, path in enumerate(paths):
        if path.is_file():
            _add(found, path.stem if place else DEFAULT, read_template(path), path)
    return found


def _in_config(path: Path) -> Templates:
    """The templates under "chat_template" of a JSON file; none when there is no such file or entry."""
    if not path.is_file():
        return {}
    try:
        config = json.loads(_text(path, MAX_CONFIG))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"not JSON: {error}"[:200], path=path) from None
    value = config.get("chat_template") if isinstance(config, dict) else None
    found: Templates = {}
    for entry in value if isinstance(value, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ModelFileError("wanted a name and a template", path=path, field="chat_template")
        _add(found, entry["name"], entry.get("template"), path)
    if value is not None and not isinstance(value, list):
        _add(found, DEFAULT, value, path)
    return found


def _add(
    found: Templates, name: str, source: object, path: Path | None, field: str = "chat_template"
) -> None:
    """Add a template, checked."""
    if not isinstance(source, str):
        raise ModelFileError(f"is a {type(source).__name__}, wanted a text", path=path, field=field)
    if len(found) == MAX_TEMPLATES or len(name) > MAX_NAME:
        most = f"more than {MAX_TEMPLATES} templates, or a name of more than {MAX_NAME} characters"
        raise ModelFileError(most, path=path, field=field)
    found[name] = source


def _text(path: Path, most: int) -> str:
    """The text of a file of at most `most` bytes, with the newlines of Unix."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}", path=path) from error
    if len(data) > most:
        raise ModelFileError(f"larger than {most} bytes", path=path)
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ModelFileError("not UTF-8", path=path, offset=error.start) from None
