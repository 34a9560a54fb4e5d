"""A few of the requests of fuzz.py, each time; and that it would notice what it looks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serve.http import fuzz


@pytest.fixture
def target(tmp_path: Path) -> Iterator[fuzz.Target]:
    found = fuzz.Target(tmp_path)
    yield found
    found.close()


def test_changed_requests_are_answered_and_leave_the_server_alive(target: fuzz.Target) -> None:
    found = fuzz.fuzz(target, 600, seed=7)
    assert found.wrong == [] and fuzz.alive(target)
    assert found.statuses[200] > 20 and found.statuses[400] > 100


def test_what_the_description_allows_is_answered(target: fuzz.Target) -> None:
    found = fuzz.explore(target, 150, seed=7)
    assert found.wrong == [] and fuzz.alive(target)
    assert found.statuses[200] > 10


def test_a_request_that_fails_is_noticed(target: fuzz.Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(job: Any) -> Iterator[Any]:
        raise ZeroDivisionError

    monkeypatch.setattr(target.models, "_events", broken)
    found = fuzz.fuzz(target, 100, seed=2)
    assert found.wrong and "answered 500" in found.wrong[0] and not fuzz.alive(target)


@pytest.mark.parametrize("data", ["é", "\U0001f9a6", "a", "not base64", "====", "AAAA\u00e6"])
def test_an_import_that_is_no_base64_is_refused(target: fuzz.Target, data: str) -> None:
    status, _, answer = target.call("POST", "/ui/api/import", json.dumps({"data": data, "name": "a"}).encode())
    assert status == 400 and b"data: not base64" in answer
