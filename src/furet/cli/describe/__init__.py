"""What a file is, as one dictionary that is printed as text or as JSON.

    describe(path)   any file or folder -> its description
    formats          one function per format: what that format says
    model            what every model has, once it is seen as GGUF would hold it
    oddities         what keeps it from running here, and what often surprises
    page             a description as text

Headers are read and checked; no tensor's data is looked at, and nothing in a file is run or trusted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from furet.errors import ModelFileError

Description: TypeAlias = dict[str, Any]
"""Facts by name, then what fills a section each; JSON all the way down."""

MOST_NAMED = 8  # files of a folder that an error names


def describe(path: Path) -> Description:
    """What there is to know of a file or folder without reading its tensors.

    raises  NotFound; ModelFileError for what is no model or damaged, UnsupportedModel for what cannot be read
    """
    from furet.cli.describe import formats
    from furet.convert import OF_A_FOLDER, OLD_GGML
    from furet.files.kind import kind_of

    kind = kind_of(path)
    if path.is_dir():
        return _folder(path)
    if kind.name in OF_A_FOLDER and kind.opens:
        of_a_folder = (path.parent / "config.json").is_file()
        return formats.folder(path.parent) if of_a_folder else formats.weights(path)
    if kind.name in OLD_GGML and kind.opens:
        return formats.old_ggml(path)
    if kind.name in ("gguf", "unknown") or _gguf_in_name_only(path, kind.name):
        return formats.gguf(path)
    raise ModelFileError(kind.says, kind.hint, path=path)


def _gguf_in_name_only(path: Path, kind: str) -> bool:
    """Whether the reader of GGUF files should say what is wrong with this one, for it knows at which byte."""
    return kind in ("zeros", "empty") and path.suffix == ".gguf"


def _folder(path: Path) -> Description:
    """A folder with a configuration, or with weights alone; else it may hold model files to choose from."""
    from furet.cli.describe import formats
    from furet.convert.hugging_face import find_weights

    if (path / "config.json").is_file():
        return formats.folder(path)
    if weights := find_weights(path):
        return formats.weights(weights)
    models = sorted(file.name for file in path.iterdir() if file.suffix in (".gguf", ".ggml"))
    shown = ", ".join(models[:MOST_NAMED]) + (", ..." if len(models) > MOST_NAMED else "")
    hint = f"name one of its files: {shown}" if models else "name a model file, or the folder that holds config.json"
    raise ModelFileError("this is a folder without a config.json and without weights", hint, path=path)
