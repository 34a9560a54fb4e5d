"""Which architecture a GGML file is of: the one under which fields, words and tensors account for every byte.

The files do not say. Every layout is tried; each must find sound fields, as many words as they promise, then
tensors to the very last byte of the file, under the right names, in the right shapes, none missing. One that
fails does so early, most of them at the first word.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from furet.files.ggml_blocks import REVISIONS
from furet.files.ggml_header import (
    MAX_TENSORS,
    Cursor,
    Preamble,
    Record,
    Stop,
    misfit,
    read_fields,
    read_record,
    skip_merges,
    skip_words,
)
from furet.files.ggml_layouts import AXES, LAYOUTS, Layout, Row, Split
from furet.files.mapped import MappedFile

PARTS = (2, 4, 8)  # LLaMA 13B, 30B and 65B


@dataclass(frozen=True)
class Reading:
    """One layout that fits.

    axes     letter of a shape: its size
    words    first byte of the vocabulary, byte after its last
    merges   the same for merges of a ggcc file
    splits   how parts divide each tensor
    """

    layout: Layout
    header: dict[str, int | float]
    axes: dict[str, int]
    words: tuple[int, int]
    merges: tuple[int, int]
    records: dict[str, Record]
    splits: dict[str, Split]


@dataclass(frozen=True)
class _Failure:
    layout: Layout
    tensors: int
    stop: Stop

    def __str__(self) -> str:
        kind = self.layout.architecture + (f" ({self.layout.variant})" if self.layout.variant else "")
        found = f"after {self.tensors} tensors, " if self.tensors else ""
        return f"{kind}: {found}at byte {self.stop.offset}, {self.stop.why}"


def prove(file: MappedFile, preamble: Preamble, begin: int, parts: int = 1) -> Reading:
    """The one layout that fits the file from byte `begin` on; ModelFileError when none does, or two.

    parts   of how many parts of a model the file is one
    """
    readings: list[Reading] = []
    failures: list[_Failure] = []
    for layout in LAYOUTS:
        if preamble.kind not in layout.kinds or (parts > 1 and layout.architecture != "llama"):
            continue
        attempt = _Attempt(file, preamble, layout, parts)
        try:
            readings.append(attempt.read(begin))
        except Stop as stop:
            failures.append(_Failure(layout, len(attempt.records), stop))
    if len(readings) == 1:
        return readings[0]
    if readings:
        both = " and ".join(reading.layout.architecture for reading in readings)
        raise misfit(f"every byte fits more than one architecture: {both}", file, begin, cut=False)
    failures.sort(key=lambda failure: (failure.tensors, failure.stop.offset), reverse=True)
    best = failures[0].stop
    tried = "\n  ".join(str(failure) for failure in _first_of_each(failures))
    says = f"no architecture accounts for all {file.size} bytes of this {preamble.generation} file"
    raise misfit(f"{says}:\n  {tried}", file, best.offset, best.cut)


def _first_of_each(failures: list[_Failure]) -> list[_Failure]:
    """The best of each architecture; only the one, where its tensors were found."""
    if failures[0].tensors:
        return failures[:1]
    seen: dict[str, _Failure] = {}
    for failure in failures:
        seen.setdefault(failure.layout.architecture, failure)
    return list(seen.values())


class _Attempt:
    """Reading a file by one layout; `records` counts how far it came."""

    def __init__(self, file: MappedFile, preamble: Preamble, layout: Layout, parts: int) -> None:
        self.file = file
        self.preamble = preamble
        self.layout = layout
        self.parts = parts
        self.records: dict[str, Record] = {}
        self.splits: dict[str, Split] = {}
        self.axes: dict[str, int] = {}

    def read(self, begin: int) -> Reading:
        cursor = Cursor(self.file, begin)
        header = read_fields(cursor, self.layout)
        self.axes = _axes(header, begin)
        self.check_room(begin)
        revision = self.preamble.revision(int(header["ftype"]))
        assert revision < len(REVISIONS), "checked with the field"
        words = skip_words(cursor, self.layout, self.axes["V"])
        merges = (cursor.at, cursor.at)
        if "n_bpe_merges" in header:
            merges = skip_merges(cursor, header["n_bpe_merges"])
        while cursor.at < self.file.size:
            self.place(read_record(cursor, self.preamble, revision))
        self.check_complete()
        return Reading(self.layout, header, self.axes, words, merges, self.records, self.splits)

    def check_room(self, begin: int) -> None:
        """Refuse sizes before words are walked over: the embedding alone would be larger than the file."""
        least = self.axes["V"] * self.axes["C"] // (4 * self.parts)  # bytes; Q2_K takes a third of a byte
        if least > self.file.size:
            raise Stop(begin, f"{self.axes['V']} words of {self.axes['C']} values would not fit", cut=True)

    def place(self, record: Record) -> None:
        """Find the tensor's row in the table and compare shapes."""
        row = self.row_of(record)
        wanted = self.shape(row, record)
        got = record.shape if len(record.shape) == len(wanted) or record.shape[0] != 1 else record.shape[1:]
        if got != wanted:
            raise Stop(record.at, self.why(row, record, wanted))
        if record.name in self.records:
            raise Stop(record.at, f"tensor {record.name} occurs twice")
        if len(self.records) >= MAX_TENSORS:
            raise Stop(record.at, f"there are more than {MAX_TENSORS} tensors")
        at, offset, nbytes = record.at, record.offset, record.nbytes
        self.records[record.name] = Record(record.name, record.block, wanted, at, offset, nbytes)
        self.splits[record.name] = row.split

    def row_of(self, record: Record) -> Row:
        for row in self.layout.tensors:
            found = row.pattern.fullmatch(record.name)
            if found and not (found.groups() and int(found[1]) >= self.axes["L"]):
                return row
        raise Stop(record.at, f"tensor {record.name} has no place in {self.axes['L']} layers")

    def shape(self, row: Row, record: Record) -> tuple[int, ...]:
        """What the table wants of this part; an axis without a size gets that of the record."""
        if len(record.shape) < len(row.shape):
            return ()
        got = record.shape[-len(row.shape) :]
        divided = {"rows": 0, "columns": 1}.get(row.split, -1) if self.parts > 1 else -1
        wanted = []
        for place, expression in enumerate(row.shape):
            parts = self.parts if place == divided else 1
            if expression.isalpha() and expression not in self.axes:
                self.axes[expression] = got[place] * parts
            full = _size(expression, self.axes)
            wanted.append(full // parts if full % parts == 0 else -1)
        return tuple(wanted)

    def why(self, row: Row, record: Record, wanted: tuple[int, ...]) -> str:
        """Why a shape is wrong; a part of a model on its own is recognised."""
        says = f"tensor {record.name} is {list(record.shape)}"
        for parts in PARTS:
            if self.parts == 1 and row.split and prod(record.shape) * parts == prod(wanted):
                name = self.file.path.name
                return (
                    f"{says}, one {parts}th of {list(wanted)}: this is one of {parts} parts of a model; "
                    f"put the others beside it as {name}.1 to {name}.{parts - 1}"
                )
        if len(wanted) == 2 and record.shape == wanted[::-1]:
            return f"{says}, wanted {list(wanted)}: it lies transposed, as in the first files of early 2023"
        return f"{says}, wanted {list(wanted)}" if wanted else f"{says}, wanted {' by '.join(row.shape)}"

    def check_complete(self) -> None:
        for row in self.layout.tensors:
            for layer in range(self.axes["L"]) if "{i}" in row.name else (0,):
                name = row.name.replace("{i}", str(layer))
                if name not in self.records and not row.optional:
                    raise Stop(self.file.size, f"tensor {name} is missing", cut=True)


def _axes(header: dict[str, int | float], at: int) -> dict[str, int]:
    """Sizes of the letters that the header gives, with the size of a head."""
    axes = {
        letter: int(header[field]) for letter, fields in AXES.items() for field in fields if field in header
    }
    if "H" in axes:
        axes["D"], rest = divmod(axes["C"], axes["H"])
        if rest:
            raise Stop(at, f"{axes['C']} values would be divided among {axes['H']} heads")
    axes.setdefault("K", 1)
    return axes


def _size(expression: str, axes: dict[str, int]) -> int:
    """The size that C+2*K*D stands for."""
    return sum(
        prod(axes[factor] if factor.isalpha() else int(factor) for factor in term.split("*"))
        for term in expression.split("+")
    )
