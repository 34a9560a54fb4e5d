"""Models of the Hugging Face hub: what a repository holds, and bringing a file of it into the cache."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from furet.errors import DownloadFailed, FuretError, NotFound
from furet.files.store import hub_cache
from furet.files.store.disk import locked, require_space, writing
from furet.files.store.download import fetch
from furet.files.store.reference import HubModel, is_repo, safe_file
from furet.files.store.settings import endpoint, token
from furet.files.store.stored import Progress
from furet.files.store.transport import Refused, Response, Unreachable, get, host, within
from furet.files.store.variants import Variant, choose, variants

_LISTING_BYTES = 32 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a commit.

    digest  64 hex digits: SHA-256; 40: git object id
    """

    repo: str
    commit: str
    name: str
    size: int
    digest: str

    def get(self, first: int = 0, last: int | None = None) -> Response:
        """The bytes from `first` to `last`, both included. Raises Refused or Unreachable."""
        url = f"{endpoint()}/{self.repo}/resolve/{self.commit}/{quote(self.name)}"
        return get(url, token=token(), span=(first, last) if first or last is not None else None)


def find_remote(model: HubModel, patience: float) -> list[HubFile]:
    """The files on the hub that a reference means, in order; several when the model is split.

    patience  seconds for the whole question
    raises    NotFound, DownloadFailed
    """
    files = _list(model.repo, patience)
    if model.file:
        chosen = Variant("", (model.file,)) if model.file in files else None
    else:
        chosen = choose(variants(files), model.quant)
    if chosen is None:
        raise _no_such_file(model, files)
    if model.sha256 and files[model.file].digest != model.sha256:
        raise DownloadFailed(
            f"{model}: the hub offers other bytes than the known ones (SHA-256 {model.sha256[:12]}…)"
        )
    return [files[name] for name in chosen.files]


def pull(model: HubModel, progress: Progress | None, patience: float) -> Path:
    """Bring a model into the Hugging Face cache; the path of its first file.

    patience  seconds until the hub must have said what it holds
    raises    NotFound, DownloadFailed
    """
    files = find_remote(model, patience)
    folder = hub_cache.repo_folder(files[0].repo)
    blobs = folder / "blobs"
    require_space(blobs, sum(_missing_bytes(blobs, file) for file in files))
    paths = [_pull_file(folder, file, progress, patience) for file in files]
    with writing(folder):
        hub_cache.set_main(folder, files[0].commit)
    return paths[0]


def explain(error: Refused | Unreachable, what: str) -> FuretError:
    """The error a person understands, for one of HTTP."""
    where = host(endpoint())
    if isinstance(error, Unreachable):
        return DownloadFailed(
            f"{what}: {error}", "check the network, or name a file that is on this machine by its path"
        )
    code = error.headers.get("X-Error-Code", "")
    if code == "GatedRepo" or (error.status == 403 and code != "RepoNotFound"):
        hint = f"accept its terms on {where}, then set HF_TOKEN to a token of your account"
        return DownloadFailed(f"{what}: access is restricted (HTTP {error.status})", hint)
    if error.status in (401, 404):
        hint = "check the spelling; if it is private, set HF_TOKEN" + (
            " to a token that may read it" if token() else ""
        )
        return NotFound(f"{what}: {where} knows no such model (HTTP {error.status})", hint)
    if error.status == 429:
        after = error.headers.get("Retry-After", "")
        wait = f"wait {after} s" if after.isdigit() else "wait a few minutes"
        return DownloadFailed(
            f"{what}: {where} asks for fewer requests (HTTP 429)", f"{wait}, or set HF_TOKEN"
        )
    return DownloadFailed(f"{what}: {where} answered HTTP {error.status}", "try again later")


def _list(repo: str, patience: float) -> dict[str, HubFile]:
    """The GGUF files of a repository's main branch by name."""
    url = f"{endpoint()}/api/models/{repo}/revision/main?blobs=True"
    try:
        body = within(patience, lambda: get(url, token=token()).read_whole(_LISTING_BYTES))
        answer = json.loads(body)
        commit, siblings = answer["sha"], answer["siblings"]
        # A renamed repository answers under its new name; it is kept under the one that was asked for.
        named = answer.get("id", repo)
        repo = named if is_repo(str(named)) and named.lower() == repo.lower() else repo
        if not _COMMIT.fullmatch(commit):
            raise ValueError("no commit")
        return {file.name: file for entry in siblings if (file := _file(repo, commit, entry))}
    except (Refused, Unreachable) as error:
        raise explain(error, f"hf:{repo}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DownloadFailed(
            f"hf:{repo}: {host(endpoint())} answered something that is no listing of a model",
            "is HF_ENDPOINT right, and does a network login page stand in between?",
        ) from error


def _file(repo: str, commit: str, entry: dict[str, Any]) -> HubFile | None:
    """An entry of the listing, when it is a GGUF file with a name, a size and a digest that can be used."""
    name, large = entry["rfilename"], entry.get("lfs") or {}
    size, digest = large.get("size", entry.get("size")), str(large.get("sha256", entry.get("blobId")))
    named = safe_file(name) and name.lower().endswith(".gguf")
    if named and isinstance(size, int) and size > 0 and _DIGEST.fullmatch(digest):
        return HubFile(repo, commit, name, size, digest)
    return None


def _no_such_file(model: HubModel, files: dict[str, HubFile]) -> NotFound:
    from difflib import get_close_matches

    if not files:
        return NotFound(
            f"hf:{model.repo} holds no GGUF file",
            "repositories with GGUF files are often called the same with -GGUF at the end",
        )
    offered = (
        list(files)
        if model.file
        else sorted({v.encoding for v in variants(files) if v.encoding}) or list(files)
    )
    close = get_close_matches(model.file or model.quant, offered, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    more = ", …" if len(offered) > 12 else ""
    return NotFound(
        f"hf:{model.repo} holds no {model.file or model.quant or 'complete model'}",
        f"{hint}it holds {', '.join(offered[:12])}{more}",
    )


def _missing_bytes(blobs: Path, file: HubFile) -> int:
    blob, partial = blobs / file.digest, blobs / f"{file.digest}.incomplete"
    if _whole(blob, file):
        return 0
    return max(0, file.size - (partial.stat().st_size if partial.exists() else 0))


def _whole(path: Path, file: HubFile) -> bool:
    return path.exists() and path.stat().st_size == file.size


def _pull_file(folder: Path, file: HubFile, progress: Progress | None, patience: float) -> Path:
    blob = folder / "blobs" / file.digest
    pointer = folder / "snapshots" / file.commit / file.name
    label = pointer.name

    def get_from(first: int) -> Response:
        return within(patience, lambda: file.get(first))

    def waiting() -> None:
        if progress:
            progress(f"{label}: another process downloads it", 0, None)

    with writing(blob), locked(hub_cache.lock_path(folder, file.digest), waiting):
        if not _whole(blob, file) and not _whole(pointer, file):
            try:
                fetch(get_from, blob, size=file.size, digest=file.digest, label=label, progress=progress)
            except Refused as error:
                raise explain(error, f"hf:{file.repo}/{file.name}") from error
        return hub_cache.link(folder, file.commit, file.name, blob)
