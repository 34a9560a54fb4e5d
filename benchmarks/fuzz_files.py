"""Damage safetensors files, checkpoints and their pickles, and count what is not a typed error or a valid model.

    python benchmarks/fuzz_files.py                    200,000 mutations of each, the heaviest files
    python benchmarks/fuzz_files.py --mutations 5000 --seed 7 --set pickle

Every case is opened as any model is; a valid one has all its tensors read. An audit hook watches all of it: an
import, compiled code, a process or a socket ends the child and counts as a crash. Memory is traced in every tenth
case. Each mutation has its own seed: --only N repeats one. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "attacks"))

import malformed_archives
import malformed_safetensors
from fuzzing import Case, measured
from malicious_pickles import CASES
from mutate_checkpoints import archive_case, pickle_case, safetensors_case
from pickle_bytes import DICT, NONE, legacy, name, number, ordered, pickled, rebuilt, table, text
from tensor_outcome import outcome
from zip_bytes import archive, checkpoint

from furet.files.safetensors import open_safetensors
from furet.files.torch_file import open_torch

FORBIDDEN = ("import", "compile", "exec", "os.", "socket.", "subprocess.", "ctypes.", "marshal.", "pickle.")


def watched(opener: Callable[[Path], object], path: Path) -> str:
    """What becomes of a file; the end of this process if it makes the interpreter do anything but read."""
    _watching[0] = True
    try:
        read = path.stat().st_size < 1 << 20  # of a heavy file only the opening is ours; reading is asked for
        return outcome(opener, path, read=read)  # type: ignore[arg-type]
    finally:
        _watching[0] = _warm[0] = True
        _watching[0] = False


_watching, _warm = [False], [False]


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _watching[0] and _warm[0] and event.startswith(FORBIDDEN):
        os.write(2, f"forbidden: {event}{args!r:.200}\n".encode())
        os._exit(86)


def mutations(make: Callable[[random.Random], bytes], count: int, seed: int, only: int | None) -> Iterator[Case]:
    """Damaged files, each by its own seed."""
    for each in range(count) if only is None else [only]:
        yield f"mutation {each}", make(random.Random(f"{seed}:{each}"))


def heaviest_safetensors() -> Iterator[Case]:
    """The largest headers that the caps let through, and malformed ones."""
    form = '"{}":{{"dtype":"I8","shape":[1],"data_offsets":[{},{}]}}'
    rows = ",".join(form.format(f"{i:x}".rjust(255, "n"), i, i + 1) for i in range(32_768))
    yield "32,768 tensors with long names", malformed_safetensors.made("{" + rows + "}", bytes(32_768))
    pairs = ",".join(f'"{i}":""' for i in range(60_000))
    yield "60,000 pairs of metadata", malformed_safetensors.made('{"__metadata__":{' + pairs + "}}")
    wide = "\U0001f9a6" * (1_000_000)
    yield "4 MB of four-byte characters", malformed_safetensors.made('{"__metadata__":{"a":"' + wide + '"}}')
    yield "16 MB of spaces", malformed_safetensors.made("{}" + " " * ((16 << 20) - 2))
    for each, _, data in malformed_safetensors.MALFORMED:
        yield each, data


def heaviest_checkpoints() -> Iterator[Case]:
    """The largest pickles and archives that the caps let through, malicious and malformed ones."""
    yield "11,000 tensors", checkpoint(pickled(table(**{f"layer.{i}.weight": rebuilt() for i in range(11_000)})))
    yield "400,000 opcodes", checkpoint(pickled(NONE, b"q\0" * 399_997))
    yield "79,000 dictionaries of one", checkpoint(pickled(b"]" + text("k"), b"q\0a", (DICT + b"h\0Nsa") * 79_000))
    remembered = (b"r" + struct.pack("<I", i << 12) for i in range(1 << 18))
    yield "262,144 remembered values", checkpoint(pickled(NONE, *remembered))
    calls = b"](" + name("collections", "OrderedDict") + b"q\0" + b"e" + b"h\0)Ra" * 99_000
    yield "99,000 ordered dictionaries", checkpoint(pickled(calls))
    numbers = b"(" + number(1 << 60) * 60_000 + b"e"
    yield "360,000 numbers of 64 bits", checkpoint(pickled(b"]", numbers * 6))
    yield "4 MB of four-byte characters", checkpoint(pickled(text("\U0001f9a6" * (1 << 20))))
    entries = {f"x/{i:x}".ljust(120, "n"): b"" for i in range(32_767)}
    yield "32,768 entries", archive({"x/data.pkl": pickled(table(a=ordered())), **entries})
    for each, _, data in malformed_archives.MALFORMED:
        yield each, data
    for each, _, data in CASES:
        yield f"{each} in a zip archive", checkpoint(data)
        if len(data) < 100_000:
            yield f"{each} in the older form", legacy(data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", help="only this one")
    parser.add_argument("--only", type=int, help="repeat this mutation alone")
    options = parser.parse_args()
    sys.addaudithook(_hook)
    safe, torch = partial(watched, open_safetensors), partial(watched, open_torch)
    damage = {"count": options.mutations, "seed": options.seed, "only": options.only}
    sets = {
        "safetensors": (partial(mutations, safetensors_case, **damage), safe, malformed_safetensors.SOUND, 10),
        "archive": (partial(mutations, archive_case, **damage), torch, malformed_archives.SOUND, 10),
        "pickle": (partial(mutations, pickle_case, **damage), torch, malformed_archives.SOUND, 10),
        "heaviest safetensors": (heaviest_safetensors, safe, malformed_safetensors.SOUND, 1),
        "heaviest checkpoints": (heaviest_checkpoints, torch, malformed_archives.SOUND, 1),
    }
    results = {}
    for each, arguments in sets.items():
        if options.set in (None, each):
            results[each] = measured(*arguments)  # type: ignore[arg-type]
            print(each, *(f"  {field}: {value}" for field, value in results[each].items()), sep="\n", flush=True)
    print(json.dumps({"seed": options.seed, **results}))
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
