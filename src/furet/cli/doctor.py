"""`furet doctor`: what this machine offers, what furet uses of it, and what to look at."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from furet.cli import options
from furet.cli.terminal import emit_json, size, table

_DEPENDENCIES = ("numpy", "tokenizers", "jinja2", "huggingface-hub", "rich", "prompt-toolkit", "platformdirs")
_SMALL = 1 << 30


def doctor(json: options.Json = False) -> None:
    """Report on processor, kernels, threads, memory, caches and versions, and warn about what may surprise.

    examples:
      furet doctor
      furet doctor --json > report.json
    """
    report = {
        "versions": _versions(),
        "processor": _processor(),
        "threads": _threads(),
        "memory": _memory(),
        "caches": _caches(),
    }
    warnings = list(_warnings(report))
    if json:
        emit_json({**report, "warnings": warnings})
        return
    rows = [
        (section, key.replace("_", " "), _said(key, value))
        for section, values in report.items()
        for key, value in values.items()
    ]
    print(table(rows))
    print()
    print("\n".join(f"warning: {warning}" for warning in warnings) or "nothing to worry about")


def _said(key: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return f"{value['path']}  {size(value['bytes'])}"
    if value is None:
        return "no limit"
    return size(value) if key.endswith("bytes") else str(value)


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in ("furet", *_DEPENDENCIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _processor() -> dict[str, Any]:
    try:
        from furet import _core
    except ImportError as error:
        return {"native_core": f"cannot be loaded: {error}"}
    cpu = _core.cpu()
    return {"name": cpu["brand"], "features": cpu["features"], "kernels": cpu["isas"], "in_use": cpu["isa"]}


def _threads() -> dict[str, Any]:
    from furet.engine.threads import cpu_quota, default_threads

    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processors": os.cpu_count(),
        "affinity": affinity,
        "quota": cpu_quota(),
        "in_use": default_threads(),
    }


def _memory() -> dict[str, Any]:
    from furet.engine.memory import budget

    left = budget()
    return {"machine_bytes": _machine_bytes(), "budget_bytes": left.bytes, "set_by": left.source}


def _machine_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


def _caches() -> dict[str, Any]:
    from furet.files.store.settings import furet_cache, hub_cache

    return {name: _folder(path) for name, path in (("hugging_face", hub_cache()), ("furet", furet_cache()))}


def _folder(path: Path) -> dict[str, Any]:
    """Path and bytes of all files below it, links not followed."""
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = (Path(folder) / name).lstat()
            except OSError:
                continue
            found += status.st_size
    return {"path": str(path), "bytes": found}


def _warnings(report: dict[str, dict[str, Any]]) -> Iterator[str]:
    from furet.files.store.settings import offline

    cpu, threads, memory = report["processor"], report["threads"], report["memory"]
    if "native_core" in cpu:
        yield "the native core is missing: install furet again, with a C++20 compiler at hand"
    elif cpu["in_use"] == "portable":
        yield "no kernels for this processor: answers are right, but many times slower than they could be"
    if threads["in_use"] < (threads["processors"] or 1):
        yield f"{threads['in_use']} of {threads['processors']} processors may be used by this process"
    if memory["budget_bytes"] < _SMALL:
        yield f"only {size(memory['budget_bytes'])} of memory left: nothing but small models will fit"
    if offline():
        yield "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE switches the network off: nothing can be downloaded"
    if sys.maxsize < 2**32:
        yield "a 32-bit Python cannot map models over 2 GB"
    for name, folder in report["caches"].items():
        if Path(folder["path"]).is_dir() and not os.access(folder["path"], os.W_OK):
            yield f"the {name.replace('_', ' ')} cache cannot be written to: downloads will fail"
