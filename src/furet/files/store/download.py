"""One file from the network to the disk: resumed, verified, and named only when complete."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from furet.errors import DownloadFailed
from furet.files.store.disk import publish, writing
from furet.files.store.stored import Progress, throttled
from furet.files.store.transport import Refused, Response, Unreachable

_PIECE = 1 << 18
_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries that brought no byte; a try that brought some starts the row again."""

_log = logging.getLogger(__name__)


def fetch(
    get_from: Callable[[int], Response],
    final: Path,
    *,
    size: int,
    digest: str,
    label: str,
    progress: Progress | None = None,
) -> None:
    """Bring a file to `final` by way of `final`.incomplete, which outlives a failure and is taken up again.

    get_from  the body from a byte on; may answer status 200 and the whole body where ranges are not known
    size      bytes expected
    digest    64 hex digits: SHA-256 of the file; 40: its git object id
    raises    DownloadFailed with what to do next; Refused as get_from raises it
    """
    path = final.with_name(final.name + ".incomplete")
    tell = throttled(progress)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = path.exists() and path.stat().st_size > 0
        got = _complete(path, get_from, size, digest, label, tell)
        if got != digest and kept:
            _log.warning("%s: what was here from before is damaged, starting over", label)
            path.unlink()
            got = _complete(path, get_from, size, digest, label, tell)
        if got != digest:
            path.unlink()
            raise DownloadFailed(
                f"{label}: checksum {got[:12]}… instead of {digest[:12]}…; what came was deleted",
                "pull again; if it fails the same way, something between here and the hub alters files",
            )
        publish(path, final)


class _Partial:
    """A file being received and the digest of what it holds so far."""

    def __init__(self, file: BinaryIO, size: int, digest: str, label: str) -> None:
        self.file, self.size, self.digest, self.label = file, size, digest, label
        self.restart(keep=True)

    def restart(self, *, keep: bool = False) -> None:
        if not keep:
            self.file.truncate(0)
        self.file.seek(0)
        self.done = 0
        if len(self.digest) == 64:
            self.hash = hashlib.sha256()
        else:  # a file outside large-file storage is known by git's object id
            self.hash = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)

    def take_up(self, tell: Progress) -> None:
        """Hash what an earlier download left."""
        held = os.fstat(self.file.fileno()).st_size
        if held > self.size:
            self.restart()
        while self.done < held <= self.size and (piece := self.file.read(min(1 << 20, held - self.done))):
            self.hash.update(piece)
            self.done += len(piece)
            tell(f"{self.label}: checking what is here", self.done, held)

    def receive(self, response: Response, tell: Progress) -> None:
        """Append a response's body. Raises Unreachable when it is cut."""
        span = response.headers.get("Content-Range", "")
        if self.done and response.status != 206:
            self.restart()  # no ranges here: the whole file comes
        elif self.done and not span.startswith(f"bytes {self.done}-"):
            raise DownloadFailed(f"{self.label}: asked for byte {self.done} on, was sent {span!r}")
        while piece := response.read(_PIECE):
            if self.done + len(piece) > self.size:
                raise DownloadFailed(
                    f"{self.label}: more than the {self.size:,} bytes announced",
                    "the hub's listing and its file disagree; pull again",
                )
            self.file.write(piece)
            self.file.flush()  # what was told as done is in the file, whatever ends the process next
            self.hash.update(piece)
            self.done += len(piece)
            tell(self.label, self.done, self.size)


def _complete(
    path: Path, get_from: Callable[[int], Response], size: int, digest: str, label: str, tell: Progress
) -> str:
    """Bring the partial file to its size, trying again while that helps; its digest."""
    failures = 0
    with path.open("r+b" if path.exists() else "w+b") as file:
        partial = _Partial(file, size, digest, label)
        partial.take_up(tell)
        best = partial.done
        while partial.done < size:
            reason = _receive(partial, get_from, tell)
            failures = 0 if partial.done > best else failures + 1
            best = max(best, partial.done)
            if partial.done < size and failures > len(_PAUSES):
                raise DownloadFailed(
                    f"{label}: {reason}; {partial.done:,} of {size:,} bytes are here",
                    "pull again, and it goes on from there",
                )
            if partial.done < size and failures:
                time.sleep(_PAUSES[failures - 1])
        os.fsync(file.fileno())
        tell(label, size, size)
        return partial.hash.hexdigest()


def _receive(partial: _Partial, get_from: Callable[[int], Response], tell: Progress) -> str:
    """One request's worth of bytes; why there were no more."""
    try:
        response = get_from(partial.done)
        try:
            partial.receive(response, tell)
        finally:
            response.close()
    except Unreachable as error:
        return str(error)
    except Refused as error:
        if error.status < 500:
            raise
        return f"the server failed with {error}"
    return "the connection was cut"
