"""How many values a body holds, before it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from time import perf_counter

import pytest
from fastapi.testclient import TestClient

from furet.serve import bodies


@pytest.mark.parametrize("text", ["," * 300_000, ',"' * 300_000, '\\",\\' * 300_000])
def test_commas_in_texts_are_no_values(client: Callable[..., TestClient], text: str) -> None:
    assert client().post("/tokenize", json={"model": "fake", "content": text}).status_code == 200
    many = client().post("/tokenize", json=[text, *[1] * 300_000])
    assert many.status_code == 400 and "values" in many.text


def test_they_are_told_apart_wherever_the_body_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_PIECE", 7)
    random = Random(1)
    for _ in range(300):
        texts = ["".join(random.choices('\\",a\n', k=random.randrange(9))) for _ in range(random.randrange(1, 9))]
        assert bodies._commas(json.dumps(texts).encode()) == len(texts) - 1


@pytest.mark.parametrize("unit", [b'"', b'",', b'\\"', b"\\", b'"\\'])
def test_no_body_takes_long(unit: bytes) -> None:
    began = perf_counter()
    bodies._commas(unit * ((8 << 20) // len(unit)))
    assert perf_counter() - began < 2
