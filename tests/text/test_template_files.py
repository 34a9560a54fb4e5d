"""Chat templates in folders and in metadata: which are found, which wins, and what is refused."""

from __future__ import annotations

import json
import os

import pytest

from furet.errors import BadRequest, ModelFileError
from furet.text.template_files import (
    MAX_CONFIG,
    MAX_TEMPLATES,
    metadata_of_templates,
    pick_template,
    templates_in_folder,
    templates_in_metadata,
)

LIST = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]
JINJA, CONFIG, PROCESSOR = "chat_template.jinja", "tokenizer_config.json", "chat_template.json"
MORE = "additional_chat_templates/rag.jinja"


def folder_of(tmp_path, files):
    """A folder with these files: bytes as they are, of Jinja the text, of JSON the value of its entry."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if not isinstance(content, bytes):
            content = (content if name.endswith("jinja") else json.dumps({"chat_template": content})).encode()
        path.write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, {}),
        ({CONFIG: b"{}"}, {}),
        ({CONFIG: None}, {}),
        ({CONFIG: b"[]"}, {}),
        ({CONFIG: "C"}, {"default": "C"}),
        ({CONFIG: LIST}, {"default": "D", "tool_use": "T"}),
        ({JINJA: "J"}, {"default": "J"}),
        ({JINJA: "J\r\nK\rL\n"}, {"default": "J\nK\nL\n"}),
        ({JINJA: "J", CONFIG: LIST}, {"default": "J"}),
        ({JINJA: "J", MORE: "R", CONFIG: LIST}, {"default": "J", "rag": "R"}),
        ({MORE: "R", CONFIG: "C"}, {"default": "C", "rag": "R"}),
        ({PROCESSOR: "P"}, {"default": "P"}),
        ({PROCESSOR: "P", CONFIG: b"{}"}, {"default": "P"}),
        ({PROCESSOR: "P", CONFIG: "C"}, {"default": "C"}),
        ({PROCESSOR: "P", JINJA: "J"}, {"default": "J"}),
    ],
    ids=str,
)
def test_what_is_found_in_a_folder(tmp_path, files, found):
    assert templates_in_folder(folder_of(tmp_path, files)) == found


@pytest.mark.parametrize(
    "files",
    [
        {CONFIG: b"{"},
        {CONFIG: b"\xff"},
        {CONFIG: b"[" * 200_000},
        {CONFIG: b'{"n": ' + b"9" * 9_000 + b"}"},
        {CONFIG: b" " * (MAX_CONFIG + 1)},
        {CONFIG: 5},
        {CONFIG: {"default": "D"}},
        {CONFIG: ["text"]},
        {CONFIG: [{"template": "T"}]},
        {CONFIG: [{"name": "default"}]},
        {CONFIG: [{"name": "x" * 99, "template": "T"}]},
        {CONFIG: [{"name": str(n), "template": "T"} for n in range(MAX_TEMPLATES + 1)]},
        {JINJA: b"\xff\xfe"},
        {JINJA: b"x" * (1 << 20)},
        {PROCESSOR: [1]},
    ],
    ids=lambda files: str(files)[:50],
)
def test_damaged_files_are_refused_by_name(tmp_path, files):
    with pytest.raises(ModelFileError, match=next(iter(files))):
        templates_in_folder(folder_of(tmp_path, files))


def test_what_is_no_file_is_not_opened(tmp_path):
    """A pipe that nobody writes to would hang whoever opens it."""
    os.mkfifo(tmp_path / JINJA)
    (tmp_path / CONFIG).symlink_to("/dev/zero")
    (tmp_path / PROCESSOR).mkdir()
    assert templates_in_folder(tmp_path) == {}


def test_metadata_and_back():
    templates = {"default": "D", "tool_use": "T", "rag": "R"}
    metadata = metadata_of_templates(templates)
    assert metadata == {
        "tokenizer.chat_template": "D",
        "tokenizer.chat_template.tool_use": "T",
        "tokenizer.chat_template.rag": "R",
        "tokenizer.chat_templates": ["rag", "tool_use"],
    }
    assert templates_in_metadata({"general.name": "x", **metadata}) == templates
    assert metadata_of_templates({"default": "D"}) == {"tokenizer.chat_template": "D"}
    assert metadata_of_templates({"a b/é": "X"})["tokenizer.chat_template.a_b__"] == "X"
    assert templates_in_metadata({}) == {}


@pytest.mark.parametrize("key", ["tokenizer.chat_template", "tokenizer.chat_template.rag"])
def test_metadata_that_is_no_text(key):
    with pytest.raises(ModelFileError, match="wanted a text") as caught:
        templates_in_metadata({key: 5})
    assert caught.value.field == key


def test_the_template_for_tools_is_used_when_there_are_tools():
    both = {"default": "D", "tool_use": "T"}
    assert pick_template(both) == "D" and pick_template(both, tools=True) == "T"
    assert pick_template({"default": "D"}, tools=True) == "D"
    assert pick_template({"tool_use": "T"}, tools=True) == "T"
    assert pick_template(both, "tool_use") == "T" and pick_template(both, "default", tools=True) == "D"
    with pytest.raises(BadRequest, match="'rag'") as caught:
        pick_template(both, "rag")
    assert "default, tool_use" in caught.value.hint
    with pytest.raises(BadRequest, match="'default'"):
        pick_template({"tool_use": "T"})
