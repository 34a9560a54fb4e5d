"""What is found, listed and removed in caches that other tools write too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from furet.errors import BadRequest, NotFound
from furet.files import store
from furet.files.store import settings

OLD, NEW = "a" * 40, "b" * 40


def put(repo: str, name: str, data: bytes, *, commit: str = NEW, digest: str = "") -> Path:
    """A file in the Hugging Face cache, laid out as its own client does."""
    folder = settings.hub_cache() / f"models--{repo.replace('/', '--')}"
    blob = folder / "blobs" / (digest or (f"{len(data):x}{name.encode().hex()}" + "0" * 64)[:64])
    pointer = folder / "snapshots" / commit / name
    for path in (blob, pointer, folder / "refs" / "main"):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    pointer.symlink_to(Path(*[".."] * (2 + name.count("/"))) / "blobs" / blob.name)
    (folder / "refs" / "main").write_text(NEW)
    return pointer


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def test_what_another_tool_fetched_is_found():
    path = put("Org/Model-GGUF", "model-q5_k_m.gguf", b"five")
    assert store.find("Org/Model-GGUF") == store.find("hf:org/model-gguf:Q5_K_M") == path
    assert store.find("hf:Org/Model-GGUF/model-q5_k_m.gguf") == path
    assert store.find("Org/Model-GGUF:Q8_0") is None
    (record,) = store.installed()
    assert (record.ref, record.bytes, record.source) == ("hf:Org/Model-GGUF:Q5_K_M", 4, "hf")


def test_without_a_quant_the_preferred_one_that_is_here():
    put("org/m", "m-Q8_0.gguf", b"8")
    assert store.find("org/m").name == "m-Q8_0.gguf"
    put("org/m", "m-Q4_K_M.gguf", b"4")
    assert store.find("org/m").name == "m-Q4_K_M.gguf"


def test_the_main_branch_wins_and_older_snapshots_still_serve():
    old = put("org/m", "m-Q8_0.gguf", b"old", commit=OLD)
    only_old = put("org/m", "m-Q4_0.gguf", b"only", commit=OLD)
    new = put("org/m", "m-Q8_0.gguf", b"newer")
    assert store.find("org/m:Q8_0") == new != old
    assert store.find("org/m:Q4_0") == only_old


def test_links_that_lead_nowhere_and_strange_folders_are_not_models(tmp_path):
    path = put("org/m", "m-Q8_0.gguf", b"8")
    path.resolve().unlink()
    assert store.find("org/m") is None and store.installed() == []
    for name in ("models--", "models--x", "models--a--b--c", "datasets--a--b", "models--..--x"):
        (settings.hub_cache() / name / "snapshots" / NEW).mkdir(parents=True)
        (settings.hub_cache() / name / "snapshots" / NEW / "x-Q8_0.gguf").write_bytes(b"x")
    assert store.installed() == []


def test_a_pinned_alias_does_not_take_other_bytes():
    sources = store.ALIASES["smollm2"]
    put(sources[0].repo, sources[0].file, b"something else", digest="c" * 64)
    assert store.find("smollm2") is None
    put(sources[0].repo, sources[0].file, b"the real one", commit=OLD, digest=sources[0].sha256)
    shutil.rmtree(
        settings.hub_cache() / "models--QuantFactory--SmolLM2-135M-Instruct-GGUF" / "snapshots" / NEW
    )
    assert store.find("smollm2").read_bytes() == b"the real one"


def test_models_of_two_names_with_one_encoding_keep_their_file_names():
    put("org/m", "small-Q8_0.gguf", b"s")
    put("org/m", "large-Q8_0.gguf", b"l")
    assert [model.ref for model in store.installed()] == [
        "hf:org/m/large-Q8_0.gguf",
        "hf:org/m/small-Q8_0.gguf",
    ]
    assert all(store.find(model.ref) == model.path for model in store.installed())


def test_removing_takes_the_file_and_its_blob_only():
    put("org/m", "m-Q8_0.gguf", b"eight", digest="1" * 64)
    put("org/m", "m-Q8_0.gguf", b"eight", digest="1" * 64, commit=OLD)
    put("org/m", "m-Q4_0.gguf", b"4", digest="2" * 64)
    put("org/m", "config.json", b"{}", digest="3" * 40)
    put("org/other", "o-Q8_0.gguf", b"other")
    assert store.remove("org/m:q8_0") == 5
    folder = settings.hub_cache() / "models--org--m"
    assert files_below(folder) == sorted(["2" * 64, "3" * 40, "m-Q4_0.gguf", "config.json", "main"])
    assert not (folder / "snapshots" / OLD).exists()
    assert [model.ref for model in store.installed()] == ["hf:org/m:Q4_0", "hf:org/other:Q8_0"]


def test_removing_the_last_file_removes_the_repository_but_not_a_download_to_resume():
    put("org/m", "sub/m-Q8_0.gguf", b"8")
    put("org/n", "n-Q8_0.gguf", b"8").parents[2].joinpath("blobs", "d" * 64 + ".incomplete").write_bytes(
        b"half"
    )
    store.remove("org/m")
    store.remove("org/n")
    assert files_below(settings.hub_cache()) == ["d" * 64 + ".incomplete", "main"]


def test_removing_never_leaves_the_cache(tmp_path):
    precious = tmp_path / "precious-Q8_0.gguf"
    precious.write_bytes(b"mine")
    pointer = put("org/m", "m-Q8_0.gguf", b"8")
    pointer.unlink()
    pointer.symlink_to(precious)
    assert store.remove("org/m") == 0
    assert precious.read_bytes() == b"mine" and not pointer.is_symlink()


def test_a_blob_that_is_itself_a_link_is_unlinked_and_its_target_kept(tmp_path):
    shared = tmp_path / "shared"
    shared.write_bytes(b"shared by repositories")
    pointer = put("org/m", "m-Q8_0.gguf", b"8", digest="e" * 64)
    blob = pointer.resolve()
    blob.unlink()
    blob.symlink_to(shared)
    assert store.find("org/m") == pointer
    assert store.remove("org/m") == 0
    assert shared.exists() and not blob.is_symlink()


def test_a_cache_on_another_disk_reached_by_a_link(tmp_path):
    put("org/m", "m-Q8_0.gguf", b"eight")
    shutil.move(settings.hub_cache(), tmp_path / "elsewhere")
    settings.hub_cache().symlink_to(tmp_path / "elsewhere")
    assert store.remove("org/m") == 5
    assert files_below(tmp_path / "elsewhere") == []


def test_a_users_own_file_is_never_removed(tmp_path):
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"x")
    with pytest.raises(BadRequest, match="is a path"):
        store.remove(str(mine))
    cached = put("org/m", "m-Q8_0.gguf", b"8")
    with pytest.raises(BadRequest) as caught:
        store.remove(str(cached))
    assert "hf:org/m:Q8_0" in caught.value.hint and cached.exists() and mine.exists()


def test_removing_what_is_not_here_or_not_clear():
    with pytest.raises(NotFound):
        store.remove("org/m")
    with pytest.raises(NotFound):
        store.remove("smollm2")
    put("org/m", "m-Q8_0.gguf", b"8")
    put("org/m", "m-Q4_0.gguf", b"4")
    with pytest.raises(BadRequest) as caught:
        store.remove("org/m")
    assert "hf:org/m:Q4_0" in caught.value.hint and len(store.installed()) == 2


def test_local_files_and_directories(tmp_path):
    path = tmp_path / "model-Q4_0.gguf"
    path.write_bytes(b"x")
    assert store.find(str(path)) == store.resolve(str(path)) == store.pull(str(path)) == path
    with pytest.raises(NotFound) as missing:
        store.resolve(str(tmp_path / "modle-Q4_0.gguf"))
    assert "model-Q4_0.gguf" in missing.value.hint
    with pytest.raises(BadRequest) as folder:
        store.resolve(str(tmp_path))
    assert "directory" in folder.value.message and "model-Q4_0.gguf" in folder.value.hint
    with pytest.raises(NotFound) as nowhere:
        store.resolve(str(tmp_path / "absent" / "x.gguf"))
    assert "no folder" in nowhere.value.hint


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "home/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "x"}, "x/huggingface/hub"),
        ({"XDG_CACHE_HOME": "x", "HF_HOME": "h"}, "h/hub"),
        ({"HF_HOME": "$XDG_CACHE_HOME/h", "XDG_CACHE_HOME": "x"}, "x/h/hub"),
        ({"HF_HOME": "h", "HUGGINGFACE_HUB_CACHE": "old"}, "old"),
        ({"HF_HUB_CACHE": "~/c", "HUGGINGFACE_HUB_CACHE": "old"}, "home/c"),
    ],
)
def test_where_the_hugging_face_cache_is(monkeypatch, tmp_path, variables, expected):
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value if value[0] in "$~" else str(tmp_path / value))
    assert settings.hub_cache() == tmp_path / expected


def test_a_folder_that_another_program_downloaded_is_a_model():
    put("org/m", "config.json", b"{}")
    assert store.find("org/m") is None  # no weights yet
    weights = put("org/m", "model.safetensors", b"weights")
    assert store.find("org/m") == weights.parent
    assert store.find("org/m:Q4_K_M") is None
    gguf = put("org/m", "m-Q8_0.gguf", b"8")
    assert store.find("org/m") == gguf
