"""Files like those in which the kernel tells what a process may use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def kernel(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below a root that stands for `/`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
