"""The two cores that programs are tested on: NumPy after the written contract, and the one that is built."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy_core
import pytest

import furet


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`furet._core`, replaced by the NumPy one for the time of a test."""
    monkeypatch.setitem(sys.modules, "furet._core", numpy_core)
    monkeypatch.setattr(furet, "_core", numpy_core, raising=False)
    return numpy_core
