"""Writing that leaves nothing half-written: space asked first, locks between processes, lasting renames."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from furet.errors import DownloadFailed

SLACK = 64 << 20
"""Bytes that a download leaves free: a file system filled to the brim breaks other programs."""


class DiskFull(DownloadFailed):
    """The file system has no room left; another source would not help."""


def require_space(folder: Path, wanted: int) -> None:
    """Raise DiskFull unless `wanted` bytes fit into the file system of a folder that need not exist yet."""
    from shutil import disk_usage

    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = disk_usage(folder).free
    if wanted and free < wanted + SLACK:
        raise DiskFull(
            f"{folder}: {megabytes(free)} free, the download needs {megabytes(wanted + SLACK)}",
            "free some space, or point HF_HOME and FURET_CACHE to a larger disk",
        )


@contextlib.contextmanager
def writing(what: Path) -> Iterator[None]:
    """Turn what the file system refuses during the block into DiskFull or DownloadFailed, in one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"{what}: the disk is full", "free some space and pull again; it resumes"
            ) from error
        reason = error.strerror or type(error).__name__
        hint = "check that the folder may be written, or point HF_HOME and FURET_CACHE elsewhere"
        raise DownloadFailed(f"{error.filename or what}: {reason}", hint) from error


def publish(partial: Path, final: Path) -> None:
    """Give a complete, flushed file its final name in the same folder, so that it survives a power cut."""
    partial.replace(final)
    flush_folder(final.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the platform can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse; the file's own bytes are safe
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file alone among all processes; the kernel drops it when its holder dies, however it dies.

    `waiting` is called five times a second while another process holds it. The file itself stays: removing
    it would let two processes hold locks on two files of one name. Where the file system knows no locks, the
    block runs without: checksums and renames keep what is stored right, only the work may be done twice.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        while not _try_lock(handle.fileno()):
            waiting()
            time.sleep(0.2)
        yield  # closing the handle drops the lock


def megabytes(count: int) -> str:
    """Bytes for an error message."""
    return f"{count / 1e6:,.1f} MB"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EDEADLK)
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True
