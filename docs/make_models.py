"""Make models.md: which models run, from which files, and how exactly.

    PYTHONPATH=src:tests python docs/make_models.py           # the page, from the code and the figures in models.json
    PYTHONPATH=src:tests python docs/make_models.py --measure # these figures first: about a minute

Agreement with llama.cpp is measured by benchmarks/llama_cpp_parity.py --type f16 --record docs/models.json, and f32.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from furet.families.family import Family

HERE = Path(__file__).parent
PAGE, FIGURES = HERE / "models.md", HERE / "models.json"
PEER = ("llama.cpp F32", "llama.cpp F16")
COLUMNS = ("reference", "native", *PEER)
NONE = "–"

Figures: TypeAlias = dict[str, dict[str, Any]]
"""By column, then by case: the largest difference of logits, or a text that says why there is none."""

HEAD = """\
# Models

furet opens these files:

{formats}

`furet inspect FILE` says what a file is, and whether it runs here; `furet convert MODEL out.gguf` makes a GGUF file of
any of them, as F32, F16, BF16, Q8_0 or as it is.

## Families

A model runs when its architecture (GGUF) or `model_type` (config.json) stands here. Figures are the largest
difference of logits over all cases of a family, on tiny random checkpoints that transformers made (where it has none,
the authors' program):

- **reference**: NumPy, float64, against float32 logits of that package; above 1e-4 a family is not supported
- **native**: the C++ core, as a share of the largest logit: keys and values are float16 there
- **llama.cpp**: a file written by `furet convert`, furet's reference against llama.cpp. It rounds activations to F16 in
  front of F16 weights, and takes GELU from a table of F16 values, so that families with GELU differ by more in F32 than
  the others. Cases that it does not load, or computes otherwise, are left out here and named below

{families}

{count} families in files of {median} lines in the median.

## Cases

{cases}

Where llama.cpp, of the version measured, knows the architecture and yet differs:

{otherwise}

"""

FOOT = """\
---
Made by `docs/make_models.py --measure`, checked by `tests/test_docs.py`; the columns of llama.cpp by
`benchmarks/llama_cpp_parity.py --type f32 --record docs/models.json`, and f16.
"""


def page(figures: Figures) -> str:
    """The page, from the code and from what was measured."""
    from furet.families import families

    by_family = cases_by_family()
    rows = [family_row(family, by_family.get(name_of(family), []), figures) for family in families()]
    about = ("family", "models", "architectures", "model_type", "old GGML", *COLUMNS, "lines")
    cases = [
        (name, case, *(shown(column, figures[column].get(case)) for column in COLUMNS))
        for name, names in sorted(by_family.items())
        for case in names
    ]
    filled = HEAD.format(
        formats=table(("format", "files", "tensors"), formats()),
        families=table(about, rows),
        count=len(rows),
        median=round(median(row[-1] for row in rows)),
        cases=table(("family", "case", *COLUMNS), cases),
        otherwise="\n".join(sorted(set(otherwise(figures)))),
    )
    return filled + FOOT


def otherwise(figures: Figures) -> Iterator[str]:
    """What llama.cpp cannot load or computes in another way, by case."""
    for column in PEER:
        for case, value in figures[column].items():
            if isinstance(value, str) and "model architecture" not in value:
                yield f"- {case}: {value.replace('llama_model_load: error loading model: ', '')[:110]}"


def formats() -> list[tuple[str, str, str]]:
    """(format, where it is found, what its tensors may be)"""
    from furet import quant
    from furet.convert.seen import NUMBERS
    from furet.files.ggml_blocks import REVISIONS

    floats = ", ".join(sorted(kind.name for kind in NUMBERS))
    types = ", ".join(kind.name for kind in quant.supported())
    old = dict.fromkeys(kind for revision in REVISIONS for kind in revision)
    return [
        ("GGUF", "versions 1 to 3, either byte order, split or not", types),
        ("safetensors", "a folder with config.json; one file, or shards with their index", floats),
        ("PyTorch", "the same folder with `.bin`, `.pt` or `.pth`, zip or older; never unpickled", floats),
        ("GGML", "ggml, ggmf v1, ggjt v1 to v3, ggcc v10, rwkv.cpp; one file or LLaMA's parts", ", ".join(old)),
    ]


def family_row(family: type[Family], cases: Sequence[str], figures: Figures) -> tuple[Any, ...]:
    module = import_module(family.__module__)
    return (
        name_of(family),
        models(module.__doc__ or ""),
        ", ".join(family.architectures),
        ", ".join(family.model_types) or NONE,
        ", ".join(old_names(family)) or NONE,
        *(worst(column, [figures[column].get(case) for case in cases]) for column in COLUMNS),
        len(Path(str(module.__file__)).read_text().splitlines()),
    )


def models(text: str) -> str:
    """What a family's file says that it runs, on one line."""
    found = re.search(r"^Runs +(.+?)(?=^\S|\Z|^$)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else NONE


def old_names(family: type[Family]) -> list[str]:
    """What files of before GGUF hold that becomes a model of the family."""
    from furet.convert.old_ggml_names import gguf_architecture
    from furet.files.ggml_layouts import LAYOUTS

    named = set()
    for layout in LAYOUTS:
        file = SimpleNamespace(architecture=layout.architecture, variant=layout.variant)
        if gguf_architecture(file) in family.architectures:  # type: ignore[arg-type]
            named.add(layout.architecture)
    return sorted(named)


def cases_by_family() -> dict[str, list[str]]:
    """The cases of tests/parity, by the name of the family that runs them."""
    from parity.checkpoint import cases, stored

    from furet.families import find_model_type

    found: dict[str, list[str]] = {}
    for name in cases():
        family = find_model_type(stored(name).config["model_type"])
        found.setdefault(name_of(family), []).append(name)
    return found


def name_of(family: type[Family]) -> str:
    return family.__module__.rpartition(".")[2]


def worst(column: str, values: Sequence[Any]) -> str:
    numbers = [value for value in values if isinstance(value, float)]
    return shown(column, max(numbers)) if numbers else NONE


def shown(column: str, value: Any) -> str:
    """A figure with one digit, rounded up: 2.1e-6 is shown as 3e-6, a share of 0.0012 as 0.2 %."""
    if not isinstance(value, float):
        return value.partition(":")[0] if isinstance(value, str) else NONE
    if not value:
        return "0"
    power = 10.0 ** math.floor(math.log10(value))
    up = math.ceil(value / power - 1e-9) * power
    return f"{100 * up:.1g} %" if column == "native" else f"{up:.0e}".replace("e-0", "e-")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', ' ') for cell in line)} |" for line in lines)


def measure(names: Iterable[str], core: Any = None) -> Figures:
    """Differences of logits in the cases named; of the native core too, where it is given."""
    import numpy as np
    from parity.checkpoint import stored
    from parity.logits import loaded, native_logits, reference_logits

    found: Figures = {"reference": {}, "native": {}}
    for name in names:
        wanted = stored(name).logits
        with tempfile.TemporaryDirectory() as folder:
            case, source, model = loaded(name, Path(folder))
            found["reference"][name] = _two_digits(np.abs(reference_logits(case, source, model) - wanted).max())
            if core is not None and case.kind == "decoder":
                try:
                    difference = np.abs(native_logits(core, case, source, model) - wanted).max()
                    found["native"][name] = _two_digits(difference / np.abs(wanted).max())
                except Exception as error:  # the page can be made while a family still lacks kernels
                    found["native"][name] = f"does not run: {error}"
            source.close()
    return found


def _two_digits(value: Any) -> float:
    """More would differ from run to run."""
    return float(f"{value:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--measure", action="store_true", help="measure again what parity tests compare")
    arguments = parser.parse_args()
    figures: Figures = {column: {} for column in COLUMNS}
    if FIGURES.is_file():
        figures |= json.loads(FIGURES.read_text())
    if arguments.measure:
        from parity.checkpoint import cases

        from furet import _core

        figures |= measure(cases(), _core)
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(figures))


if __name__ == "__main__":
    main()
