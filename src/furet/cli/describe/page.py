"""A description as text for people: facts, then a section for each thing that there is much to say about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from furet.cli.terminal import printable, size, table

if TYPE_CHECKING:
    from furet.cli.describe import Description

_SHORT = 60
_TEMPLATE = 600
_TABLES = {"header": "header", "config": "config.json", "file_metadata": "file metadata", "metadata": "metadata"}


def page(found: Description) -> str:
    """All of a description but what only programs want."""
    facts = table([(key.replace("_", " "), text) for key, text in _facts(found)])
    sections = {title: text for title, text in _sections(found).items() if text}
    return "\n".join([facts, *(f"\n{title}\n{text}" for title, text in sections.items())])


def _facts(found: Description) -> list[tuple[str, str]]:
    shown = {key: value for key, value in found.items() if isinstance(value, str | int) and key != "chat_template"}
    shown["bytes"] = f"{found['bytes']} ({size(found['bytes'])})"
    shown["parameters"] = f"{found['parameters']:,}"
    shown["runs"] = _runs(found)
    if "missing" in found:
        shown["missing"] = ", ".join(found["missing"])
    return [(key, str(value)) for key, value in shown.items()]


def _runs(found: Description) -> str:
    if not found["runs"]:
        return "not here; see below"
    embeds = "embeds" in found.get("chat", "")
    return "here, with `furet.load(...).embed`" if embeds else "here, with `furet run` and `furet chat`"


def _sections(found: Description) -> dict[str, str]:
    types = found.get("metadata_types", {})
    tables = {
        title: table([(each, types[each], brief(value)) if types else (each, brief(value)) for each, value in entries])
        for key, title in _TABLES.items()
        if (entries := list(found.get(key, {}).items()))
    }
    template = found.get("chat_template")
    return {
        **tables,
        "tokenizer": _tokenizer(found["tokenizer"]) if "tokenizer" in found else "",
        "chat template": _indented(template) if isinstance(template, str) else "none",
        "tensors": _tensors(found),
        "left out": "\n".join(f"- {printable(name)}" for name in found.get("left_out", [])),
        "types": _types(found.get("stored") or found["tensors"]),
        "odd": "\n".join(f"- {printable(sentence)}" for sentence in found["odd"]) or "nothing",
    }


def brief(value: Any) -> str:
    """A value in one short line."""
    if isinstance(value, Mapping) and value.keys() == {"length", "first"}:
        first = value["first"]
        text = f"{value['length']} x [{', '.join(map(repr, first))}, ...]" if isinstance(first, list) else repr(first)
    elif isinstance(value, float):
        text = f"{value:.7g}"
    elif isinstance(value, list):
        text = f"{len(value)} x [{', '.join(map(repr, value))}]"
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _tokenizer(known: Mapping[str, Any]) -> str:
    rows = [(key, _said(value)) for key, value in known.items() if value not in (None, [])]
    return table(rows) if rows else "none"


def _said(value: Any) -> str:
    """One line on an entry of the tokenizer's summary."""
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return f"{value['id']} {value['text']!r}" if isinstance(value, dict) else str(value)


def _indented(template: str) -> str:
    shown = template if len(template) <= _TEMPLATE else f"{template[:_TEMPLATE]} ... (--json has all of it)"
    return "\n".join(f"  {printable(line)}" for line in shown.split("\n"))


def _tensors(found: Description) -> str:
    rows = []
    for tensor in found["tensors"]:
        shape = " x ".join(map(str, tensor["shape"]))
        rows.append([tensor["name"], tensor["type"], shape, tensor["bytes"], _origin(tensor.get("from"))])
    if not any(row[-1] for row in rows):
        return table([row[:-1] for row in rows], ("name", "type", "shape", "bytes"), right="llrr")
    return table(rows, ("name", "type", "shape", "bytes", "from"), right="llrrl")


def _origin(names: list[str] | None) -> str:
    if not names:
        return "" if names is None else "computed"
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _types(tensors: list[Description]) -> str:
    count: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for tensor in tensors:
        count[tensor["type"]] += 1
        taken[tensor["type"]] += tensor.get("bytes", 0)
    rows = [(kind, count[kind], size(nbytes) if nbytes else "") for kind, nbytes in taken.most_common()]
    return table(rows, ("type", "tensors", "size"), right="lrr")
