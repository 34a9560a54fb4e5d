"""The control groups of this process: where the kernel says how much CPU and memory it may use (Linux).

Version 2 has one tree, version 1 one per controller; a limit of any ancestor binds. Inside a container the
path that the kernel reports may not exist below the mount, whose root is then the container's own group.
Source: the kernel's documentation, admin-guide/cgroup-v2 and admin-guide/cgroup-v1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """(1 or 2, folder) of every group that binds this process, the innermost first; none but on Linux.

    root    the folder that stands for `/`
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            version, mount = 2, root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            version, mount = 1, root / "sys/fs/cgroup" / controller
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            folder = mount.joinpath(*parts[:depth])
            if folder.is_dir():
                yield version, folder


def read_number(path: Path) -> int | None:
    """The whole number in a file; None when there is no such file, or it says "max" or something else."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
