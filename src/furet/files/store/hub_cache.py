"""The Hugging Face cache on disk, read and written by hand: looking there imports nothing, opens no socket.

    <cache>/models--org--name/blobs/<digest>               the bytes; <digest>.incomplete while they come
                              refs/main                    the commit last seen
                              snapshots/<commit>/<file>    link to a blob; the file where links cannot be
    <cache>/.locks/models--org--name/<digest>.lock         held while the blob is written

Source: the cache layout that huggingface_hub documents; with its names and locks both may work at once.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from furet.files.store.disk import flush_folder
from furet.files.store.reference import HubModel, is_repo
from furet.files.store.settings import hub_cache
from furet.files.store.stored import StoredModel, stored
from furet.files.store.variants import Variant, choose, variants

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def repo_folder(repo: str) -> Path:
    """The folder of a repository: as written, else one that differs in letter case, else the one to make."""
    exact = hub_cache() / f"models--{repo.replace('/', '--')}"
    if not exact.is_dir():
        for folder in _folders():
            if folder.name.lower() == exact.name.lower():
                return folder
    return exact


def matching(model: HubModel) -> list[StoredModel]:
    """The complete models of a repository that a reference may mean, the one that it does mean first."""
    folder = repo_folder(model.repo)
    files = _files(folder)
    if model.file:
        chosen = [Variant("", (model.file,))] if model.file in files else []
    elif model.quant:
        chosen = [found] if (found := choose(variants(files), model.quant)) else []
    else:
        chosen = variants(files)
    if model.sha256 and chosen and not _is_or_may_be(files[model.file], model.sha256):
        return []
    return _records(folder, files, chosen)


def snapshot(model: HubModel) -> Path | None:
    """The folder of a repository's files, config.json and weights, that another program has downloaded.

    The snapshot of the main branch as it was last seen; a reference to one file or quant means no folder.
    """
    if model.file or model.quant:
        return None
    folder = repo_folder(model.repo)
    with contextlib.suppress(OSError, ValueError):
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
        found = folder / "snapshots" / commit
        weights = [*found.glob("*.safetensors"), *found.glob("*.bin")]
        if _COMMIT.fullmatch(commit) and (found / "config.json").is_file() and any(map(Path.is_file, weights)):
            return found
    return None


def listing() -> list[StoredModel]:
    """Every complete GGUF model in the cache."""
    found = []
    for folder in _folders():
        files = _files(folder)
        found += _records(folder, files, variants(files))
    return found


def link(folder: Path, commit: str, name: str, blob: Path) -> Path:
    """Give a blob its name in the snapshot of a commit, all at once; the path of that name."""
    pointer = folder / "snapshots" / commit / name
    pointer.parent.mkdir(parents=True, exist_ok=True)
    if pointer.exists() and (not blob.exists() or pointer.samefile(blob)):
        return pointer
    fresh = pointer.with_name(f".{pointer.name}.{os.getpid()}")
    try:
        fresh.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        blob.replace(pointer)  # no links here (Windows without the right): the snapshot holds the file
    else:
        fresh.replace(pointer)
    flush_folder(pointer.parent)
    return pointer


def set_main(folder: Path, commit: str) -> None:
    """Note the commit that the main branch was seen at."""
    refs = folder / "refs"
    refs.mkdir(parents=True, exist_ok=True)
    fresh = refs / f".main.{os.getpid()}"
    fresh.write_text(commit, encoding="ascii")
    fresh.replace(refs / "main")


def lock_path(folder: Path, digest: str) -> Path:
    """The lock of a blob."""
    return hub_cache() / ".locks" / folder.name / f"{digest}.lock"


def erase(model: StoredModel) -> int:
    """Remove a model's names and blobs, and folders left empty; the bytes freed. Stays inside the cache."""
    folder = hub_cache() / model.path.relative_to(hub_cache()).parts[0]
    freed = 0
    for path in model.files:
        blob = _blob(folder, path)
        for pointer in [other for other in _pointers(folder) if blob and _blob(folder, other) == blob] or [
            path
        ]:
            freed += _unlink(pointer)
        freed += _unlink(blob) if blob else 0
    _prune(folder)
    return freed


def _folders() -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(
            folder
            for folder in hub_cache().iterdir()
            if folder.name.startswith("models--") and is_repo(_repo(folder)) and folder.is_dir()
        )
    return []


def _repo(folder: Path) -> str:
    return folder.name.removeprefix("models--").replace("--", "/", 1)


def _files(folder: Path) -> dict[str, Path]:
    """Names in the repository and where they are; the main branch's snapshot first, then the newest."""
    main = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        main = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    try:
        snapshots = sorted(
            (folder / "snapshots").iterdir(), key=lambda path: (path.name == main, path.stat().st_mtime)
        )
    except OSError:
        return {}
    found: dict[str, Path] = {}
    for snapshot in snapshots:
        for path in snapshot.rglob("*.gguf"):
            if path.is_file() and not path.name.startswith("."):
                found[path.relative_to(snapshot).as_posix()] = path
    return found


def _records(folder: Path, files: dict[str, Path], chosen: list[Variant]) -> list[StoredModel]:
    repo, every = _repo(folder), variants(files)
    records = []
    for variant in chosen:
        alike = [other for other in every if other.encoding == variant.encoding]
        short = variant.encoding and len(alike) == 1
        ref = f"hf:{repo}:{variant.encoding}" if short else f"hf:{repo}/{variant.files[0]}"
        with contextlib.suppress(OSError):  # removed by someone else meanwhile
            records.append(stored(ref, tuple(files[name] for name in variant.files), "hf"))
    return records


def _is_or_may_be(path: Path, sha256: str) -> bool:
    """Whether a cached file has this digest, as far as its blob's name tells; no byte of it is read."""
    name = path.readlink().name if path.is_symlink() else ""
    return not _DIGEST.fullmatch(name) or name == sha256


def _blob(folder: Path, pointer: Path) -> Path | None:
    """The blob that a snapshot's link names, when it is one of this repository."""
    if not pointer.is_symlink():
        return None
    blob = Path(os.path.normpath(pointer.parent.resolve() / pointer.readlink()))
    inside = blob.parent == (folder / "blobs").resolve() and _DIGEST.fullmatch(blob.name)
    return blob if inside else None


def _pointers(folder: Path) -> Iterator[Path]:
    return (path for path in (folder / "snapshots").rglob("*") if path.is_symlink())


def _unlink(path: Path) -> int:
    """Remove a file or a link; the bytes that gives back."""
    try:
        size = 0 if path.is_symlink() else path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def _prune(folder: Path) -> None:
    """Remove folders without files; the whole repository once it holds no snapshot and nothing to resume."""
    for path in sorted((folder / "snapshots").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            _remove_empty(path)
    _remove_empty(folder / "snapshots")
    if not (folder / "snapshots").exists() and _remove_empty(folder / "blobs"):
        (folder / "refs" / "main").unlink(missing_ok=True)
        _remove_empty(folder / "refs")
        _remove_empty(folder)


def _remove_empty(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()
