"""How many threads to run: the CPUs this process may use, in number and in time."""

from __future__ import annotations

import os
from pathlib import Path

from furet.engine.cgroup import groups, read_number


def default_threads(root: Path = Path("/")) -> int:
    """As many as the scheduler's affinity and the CPU quota of the control groups allow; at least 1.

    A quota of 2.5 CPUs gives 2: a third thread would be stopped half of the time, and the others wait for it.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # no such call outside of Linux
        count = os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, count if quota is None else min(count, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time that the tightest control group leaves; None: no limit."""
    quotas = [_quota(version, folder) for version, folder in groups("cpu", root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(version: int, folder: Path) -> float | None:
    if version == 2:
        try:
            limit, period = (int(word) for word in (folder / "cpu.max").read_text().split())
        except (OSError, ValueError):  # no file, or "max"
            return None
        return limit / period
    first, second = (read_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return first / second if first and second and first > 0 else None
