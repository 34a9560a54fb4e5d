"""A place to run the examples of the pages in: the default model, what else they name, and nothing of the user's."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from parity.checkpoint import save

from furet.files import store
from furet.files.store.settings import furet_cache

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(92))]
COMMAND = f'#!/bin/sh\nexec "{sys.executable}" -m furet "$@"\n'


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder, called so."""
    folder = tmp_path_factory.mktemp("models") / "encoder"
    folder.mkdir()
    save("bert", folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Iterator[Path]:
    """An empty folder to work in, but for `encoder` and `old-model.gguf`; caches and chats of its own, no network."""
    smollm2 = store.resolve("smollm2")  # where tests may use the network, now is the time
    root = tmp_path_factory.mktemp("examples")
    for name in ("bin", "work", "home", "data", "cache"):
        (root / name).mkdir()
    folder = root / "cache" / "pypi" / smollm2.parent.name
    folder.mkdir(parents=True)
    (folder / smollm2.name).symlink_to(smollm2)
    if (vocabularies := furet_cache() / "vocabularies").is_dir():
        shutil.copytree(vocabularies, root / "cache" / "vocabularies")
    (root / "bin" / "furet").write_text(COMMAND)
    (root / "bin" / "furet").chmod(0o755)
    (root / "work" / "encoder").symlink_to(encoder)
    tiny.write(root / "work" / "old-model.gguf", tiny.model("llama", tokenizer=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
        for name, folder in {"HOME": "home", "HF_HOME": "home", "FURET_CACHE": "cache", "FURET_DATA": "data"}.items():
            patch.setenv(name, str(root / folder))
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "FURET_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("PYTHONUNBUFFERED", "1")  # so that both streams come in the order of a terminal
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        patch.setenv("PYTHONPATH", os.pathsep.join(str(Path(each).resolve()) for each in paths if each))
        patch.chdir(root / "work")
        yield root / "work"
