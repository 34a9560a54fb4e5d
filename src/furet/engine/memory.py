"""How much memory there is: what the machine, the control groups and the limits of the process leave."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from furet.engine.cgroup import groups, read_number
from furet.errors import BadRequest

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})\s*([KMGT]?)(iB|B|)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """The most that may be used.

    bytes   of memory
    source  who says so, as in "the budget" or "what the machine leaves"
    """

    bytes: int
    source: str


def budget(memory: str | int | None = None, root: Path = Path("/")) -> Budget:
    """What a model may take: what was asked for, but never more than is left.

    memory  bytes, or a text such as "6G"; None: what is left, less a sixteenth for everyone else
    raises  BadRequest for a size that is none
    """
    asked = None if memory is None else parse_size(memory)
    left = min(_limits(root), key=lambda limit: limit.bytes, default=None)
    if asked is not None and (left is None or asked <= left.bytes):
        return Budget(asked, "the budget asked for")
    if left is None:
        return Budget(1 << 62, "no limit that is known")
    return left if asked is not None else Budget(left.bytes - left.bytes // 16, left.source)


def parse_size(text: str | int) -> int:
    """Bytes of "6G", "500MB" or "1.5GiB": K, M, G, T and KiB, ... are powers of 1024, KB, ... of 1000.

    Raises BadRequest for anything else, and for less than a byte.
    """
    match = _SIZE.fullmatch(str(text)) if isinstance(text, str | int) and not isinstance(text, bool) else None
    if match is None:
        raise BadRequest(f"memory: got {text!r}, wanted a size", "such as 6G, 500MB or 1.5GiB")
    number, prefix, suffix = match.groups()
    unit = _UNITS[prefix.upper()]
    if prefix and suffix.upper() == "B":
        unit = 1000 ** (list(_UNITS).index(prefix.upper()))
    size = int(float(number) * unit)
    if not 1 <= size < 1 << 62:
        raise BadRequest(f"memory: got {text!r}, wanted a size above 0", "such as 6G, 500MB or 1.5GiB")
    return size


def readable(count: int) -> str:
    """Bytes for people, in decimal units: 98362432 -> '98.4 MB'."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.95:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def trim() -> None:
    """Give the system back what was freed but is still held; a few milliseconds, where the C library can."""
    import ctypes

    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if give_back is not None:
        give_back(0)


def _limits(root: Path) -> Iterator[Budget]:
    machine = _available(root)
    if machine is not None:
        yield Budget(machine, "what the machine leaves")
    for version, folder in groups("memory", root):
        left = _left_in_group(version, folder)
        if left is not None:
            yield Budget(left, "what the control group leaves")
    address_space = _left_of_address_space(root)
    if address_space is not None:
        yield Budget(address_space, "what the limit on address space leaves")


def _available(root: Path) -> int | None:
    """Bytes that can be allocated without swapping, page cache that would give way included."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    if os.name == "nt":
        return _available_on_windows()
    try:  # macOS tells only what is built in; its compressor makes three quarters of that usable
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 * 3
    except (OSError, ValueError):
        return None


def _available_on_windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("bytes", ctypes.c_ulonglong * 7)]

    status = Status(length=ctypes.sizeof(Status))
    found = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.bytes[1]) if found else None


def _left_in_group(version: int, folder: Path) -> int | None:
    """Limit less usage, without the page cache, which gives way to allocations."""
    names = {1: ("limit_in_bytes", "usage_in_bytes"), 2: ("max", "current")}[version]
    limit, usage = (read_number(folder / f"memory.{name}") for name in names)
    if limit is None or usage is None or limit >= 1 << 60:  # version 1 writes "no limit" as a huge number
        return None
    prefix = {1: "total_", 2: ""}[version]
    try:
        words = (folder / "memory.stat").read_text().split()
    except OSError:
        words = []
    counts = dict(zip(words[::2], words[1::2], strict=False))
    cache = sum(int(counts.get(f"{prefix}{name}_file", 0)) for name in ("active", "inactive"))
    return max(0, limit - max(0, usage - cache))


def _left_of_address_space(root: Path) -> int | None:
    try:
        limits = (root / "proc/self/limits").read_text().splitlines()
        soft = next(line.split()[3] for line in limits if line.startswith("Max address space"))
        pages = int((root / "proc/self/statm").read_text().split()[0])
        return max(0, int(soft) - pages * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, StopIteration, ValueError, IndexError):  # "unlimited", or not Linux
        return None
