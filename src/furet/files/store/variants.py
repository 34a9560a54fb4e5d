"""Which file of a repository is meant: encodings read from file names, split files, sidecars.

Source: the GGUF naming convention, `[<Sidecar>-]<BaseName>-<...>-<Encoding>[-<Type>][-<Shard>].gguf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PREFERENCE = (
    *("Q4_K_M", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "MXFP4", "MXFP4_MOE"),
    *("Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q6_K", "Q8_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"),
    *("BF16", "F16", "F32"),
)
"""The order in which an encoding is chosen when none is asked for: four bits first, as users of GGUF files
expect, then finer, then coarser, then unquantised; after these, what comes first by name."""

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_ENCODING = re.compile(
    r"(?:^|[-_.])((?:UD-)?(?:I?Q\d+_K(?:_[A-Z]+)?|IQ\d+_[A-Z]+|Q\d+(?:_\d+)+|TQ\d_\d|MXFP4(?:_MOE)?|BF16|FP?16|FP?32))(?=[-.]|$)"
)
_SIDECAR = re.compile(
    r"^(?:mmproj|mtp|ggml-vocab)[-_.]|[-_.](?:mmproj(?:[-_.].*)?|imatrix|lora|vocab)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Variant:
    """One model of a repository.

    encoding  such as "Q4_K_M"; "" when the name does not tell
    files     names inside the repository, in order; several when the model is split
    """

    encoding: str
    files: tuple[str, ...]


def variants(names: Iterable[str]) -> list[Variant]:
    """The complete models among the names, in order of preference, without sidecars and incomplete splits."""
    splits: dict[tuple[str, int], dict[int, str]] = {}
    for name in sorted(names):
        if not name.lower().endswith(".gguf") or _SIDECAR.search(_stem(name).rpartition("/")[2]):
            continue
        shard = _SHARD.search(name[:-5])
        number, count = (int(shard[1]), int(shard[2])) if shard else (1, 1)
        splits.setdefault((_stem(name), count), {})[number] = name
    whole = [
        Variant(encoding(parts[1]), tuple(parts[number] for number in range(1, count + 1)))
        for (_, count), parts in splits.items()
        if sorted(parts) == list(range(1, count + 1))
    ]
    return sorted(whole, key=lambda variant: (_rank(variant.encoding), variant.files))


def choose(candidates: list[Variant], wanted: str = "") -> Variant | None:
    """The variant of the wanted encoding in any letter case, else None; without a wish the most preferred.

    Where no encoding matches, a file name that ends with the wish does: quantisers invent names of their own.
    """
    if not wanted:
        return candidates[0] if candidates else None
    wish = _canonical(wanted)
    for candidate in candidates:
        if wish in (candidate.encoding, candidate.encoding.removeprefix("UD-")):
            return candidate
    for candidate in candidates:
        if re.search(rf"(?:^|[-_./]){re.escape(wanted)}$", _stem(candidate.files[0]), re.IGNORECASE):
            return candidate
    return None


def encoding(name: str) -> str:
    """The encoding a file name tells: "model-q4_k_m-00001-of-00002.gguf" -> "Q4_K_M"; "" for none."""
    found = _ENCODING.findall(_stem(name).rpartition("/")[2].upper())
    return _canonical(found[-1]) if found else ""


def _stem(name: str) -> str:
    return _SHARD.sub("", name[:-5])


def _canonical(name: str) -> str:
    return {"FP16": "F16", "FP32": "F32"}.get(name.upper(), name.upper())


def _rank(name: str) -> int:
    plain = name.removeprefix("UD-")
    return PREFERENCE.index(plain) if plain in PREFERENCE else len(PREFERENCE)
