"""The model families: one file each, found by looking into this folder.

A file is a family when it defines a `Family` with `architectures`, the names by which model files call it.
Such a name comes from the model file, so it is only ever looked up, never imported: the file in this folder that
has it is looked into first, then the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Literal

from furet.errors import ModelFileError, UnsupportedModel

if TYPE_CHECKING:
    from pathlib import Path

    from furet.families.family import Family
    from furet.ops import Header

Kind = Literal["architectures", "model_types"]


def read_model(header: Header, path: str | Path | None = None) -> Family:
    """The model that a file describes: its configuration and tensors, all checked, none of the data read.

    path    named in errors
    raises  UnsupportedModel for an unknown architecture, key or tensor;
            ModelFileError for a file that contradicts itself
    """
    from furet.families.fields import Fields
    from furet.families.tensors import bind

    architecture = header.metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise ModelFileError("wanted the name of a family", path=path, field="general.architecture")
    family = find_family(architecture)
    fields = Fields(header.metadata, architecture, family.ignored, path)
    config = family.read_config(fields)
    fields.close()
    return family(config, bind(family.tensors, header.tensors, fields))


def find_family(architecture: str) -> type[Family]:
    """The family that runs an architecture; raises UnsupportedModel when there is none."""
    found = _find("architectures", architecture)
    if found is None:
        raise UnsupportedModel(
            f"general.architecture: no family for {architecture[:80]!r}",
            hint=f"known architectures: {', '.join(known_architectures())}",
        )
    return found


def find_model_type(model_type: str) -> type[Family]:
    """The family that Hugging Face calls `model_type`; raises UnsupportedModel when there is none."""
    found = _find("model_types", model_type)
    if found is None:
        raise UnsupportedModel(
            f"config.json: model_type: no family for {model_type[:80]!r}",
            hint=f"known types: {', '.join(sorted(_by_name('model_types')))}",
        )
    return found


def known_architectures() -> tuple[str, ...]:
    """The architecture names that `find_family` knows, sorted."""
    return tuple(sorted(_by_name("architectures")))


def families() -> tuple[type[Family], ...]:
    """All families, in the order of their files."""
    return tuple(dict.fromkeys(_by_name("architectures").values()))


def _find(kind: Kind, name: str) -> type[Family] | None:
    """The family that claims a name; importing all of them takes longer than reading a model's header."""
    files = sorted(_files(), key=lambda file: file != f"{__name__}.{name}")
    return next((family for file in files for family in _families_of(file) if name in getattr(family, kind)), None)


@cache
def _by_name(kind: Kind) -> dict[str, type[Family]]:
    found: dict[str, type[Family]] = {}
    for family in (family for file in _files() for family in _families_of(file)):
        for name in getattr(family, kind):
            assert name not in found, f"{name} is claimed by {found[name]} and {family}"
            found[name] = family
    return found


def _files() -> list[str]:
    return [module.name for module in iter_modules(__path__, prefix=f"{__name__}.")]


def _families_of(file: str) -> Iterator[type[Family]]:
    from furet.families.family import Family

    for member in vars(import_module(file)).values():
        if isinstance(member, type) and issubclass(member, Family) and member.__module__ == file:
            yield member
