"""`furet doctor`: a report that is complete, and warns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Furet

from furet import _core
from furet.cli import doctor as doctor_file


def test_json(furet: Furet, home: Path) -> None:
    home.mkdir()
    (home / "weights").write_bytes(bytes(1234))
    result = furet("doctor", "--json")
    found = json.loads(result.out)
    assert result.code == 0 and not result.err
    assert found["processor"]["in_use"] == _core.cpu()["isa"]
    assert found["threads"]["in_use"] >= 1
    assert 0 < found["memory"]["budget_bytes"] <= found["memory"]["machine_bytes"]
    assert found["caches"]["furet"] == {"path": str(home), "bytes": 1234}
    assert any("HF_HUB_OFFLINE" in warning for warning in found["warnings"])


def test_text(furet: Furet) -> None:
    shown = furet("doctor").out
    for word in ("python", "kernels", "affinity", "budget bytes", "hugging face", "warning: "):
        assert word in shown


def test_no_core_is_a_warning_and_not_a_crash(monkeypatch: pytest.MonkeyPatch, furet: Furet) -> None:
    monkeypatch.setattr(doctor_file, "_processor", lambda: {"native_core": "cannot be loaded"})
    result = furet("doctor")
    assert result.code == 0 and "warning: the native core is missing" in result.out
