"""Pickles of PyTorch checkpoints, read without unpickling: a stack machine for a third of the opcodes.

A pickle is a program. The opcodes that this one knows build numbers, text, tuples, lists and dictionaries; names
are looked up in a table of some fifty (`furet.files.torch_tensors`) and stay names; calling one of them yields a
descriptor. Every other opcode, name or call is refused, with its place. There is no second, more generous reader.

Source: the opcode descriptions in the documentation of Python's pickletools.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from furet.errors import ModelFileError
from furet.files.torch_tensors import GLOBALS, Ordered, Refused, Storage, call, dictionary_key, stored

MAX_PICKLE = 16 << 20  # bytes
MAX_OPCODES = 400_000  # a tensor takes 30 to 40
MAX_OBJECTS = 100_000  # tuples, lists and dictionaries; a tensor takes 5 or 6
MAX_MEMO = 1 << 18  # a tensor takes 8 or 9
MAX_STACK = 1 << 16
MAX_MARKS = 256
MAX_TEXT = 4 << 20  # bytes of all strings
MAX_NAME = 128  # bytes of a module's name, or of a name in it
MAX_LONG = 10  # bytes of a number; the one that opens files of the old format has so many
MAX_PROTOCOL = 5

_DANGER = "get safetensors or GGUF, or the state dict alone: opening this file elsewhere may run a program in it"
_DAMAGED = "the file is damaged: download it again, or from another source"


@dataclass(frozen=True)
class Pickle:
    """What a pickle describes.

    value     numbers, text, tuples, lists, dictionaries; storages and tensors as descriptors
    storages  all that it mentions, by key
    end       position behind it in the data that it was read from
    """

    value: object
    storages: Mapping[str, Storage]
    end: int


def read_pickle(
    data: bytes | bytearray, start: int = 0, *, base: int = 0, path: str | Path | None = None
) -> Pickle:
    """The pickle that begins at `start`.

    base    where `data` begins in the file, for messages
    raises  ModelFileError that names opcode and place of whatever is malformed or not among what is allowed
    """
    machine = _Machine(data, start, base, path)
    return Pickle(machine.run(), machine.storages, machine.at)


class _Machine:
    """Position, stack and memo; `begin` and `opcode` are where and what is being done, for messages."""

    def __init__(self, data: bytes | bytearray, start: int, base: int, path: str | Path | None) -> None:
        self.data, self.at, self.base, self.path = data, start, base, path
        self.begin = start
        self.opcode = -1
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}
        self.objects_left = MAX_OBJECTS
        self.text_left = MAX_TEXT

    def run(self) -> object:
        data, stack = self.data, self.stack
        stop = min(len(data), self.at + MAX_PICKLE)
        left = MAX_OPCODES
        while True:
            self.begin = at = self.at
            if at >= stop:
                self.opcode = -1
                self.refuse("the stream ends before STOP", _DAMAGED)
            self.opcode = opcode = data[at]
            self.at = at + 1
            step = _STEPS.get(opcode)
            left -= 1
            if left < 0:
                self.refuse(f"more than {MAX_OPCODES} opcodes", _DAMAGED)
            if step is None:
                if opcode == _STOP:
                    return self.finish()
                self.refuse("is not among the opcodes that a checkpoint needs", _DANGER)
            try:
                step(self)
            except Refused as refused:
                self.refuse(str(refused), _DANGER)
            except (IndexError, struct.error):
                self.refuse("the stack or the stream ends here", _DAMAGED)
            if len(stack) > MAX_STACK:
                self.refuse(f"more than {MAX_STACK} values on the stack", _DAMAGED)

    def finish(self) -> object:
        if len(self.stack) != 1 or self.marks:
            self.refuse(f"{len(self.stack)} values and {len(self.marks)} marks on the stack, wanted 1 and 0", _DAMAGED)
        return self.stack[0]

    def refuse(self, message: str, hint: str) -> NoReturn:
        field = "pickle"
        if self.opcode >= 0:
            field = f"opcode {_NAMES.get(self.opcode, f'0x{self.opcode:02x}, which does not exist')}"
        raise ModelFileError(message, hint, path=self.path, offset=self.base + self.begin, field=field)

    def take(self, count: int) -> bytes | bytearray:
        """The next `count` bytes."""
        stop = self.at + count
        if stop > len(self.data):
            self.refuse(f"{count} bytes are wanted, {len(self.data) - self.at} are left", _DAMAGED)
        piece = self.data[self.at : stop]
        self.at = stop
        return piece

    def byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def number(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def text(self, count: int) -> str:
        if count > self.text_left:
            self.refuse(f"{count} bytes of text; {MAX_TEXT} are allowed in all", _DAMAGED)
        self.text_left -= count
        return self.take(count).decode("utf-8", "replace")

    def line(self) -> str:
        """ASCII up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME + 1)
        if end < 0:
            self.refuse(f"a name that does not end within {MAX_NAME} bytes", _DANGER)
        name = self.data[self.at : end].decode("ascii", "replace")
        self.at = end + 1
        return name

    def build(self, value: object) -> None:
        """Push a new tuple, list or dictionary."""
        self.objects_left -= 1
        if self.objects_left < 0:
            self.refuse(f"more than {MAX_OBJECTS} tuples, lists and dictionaries", _DAMAGED)
        self.stack.append(value)

    def pop(self, count: int) -> list[object]:
        """The values on top, which must be above the last mark."""
        first = len(self.stack) - count
        if first < (self.marks[-1] if self.marks else 0):
            self.refuse(f"takes {count} values; so many are not there above the last mark", _DAMAGED)
        values = self.stack[first:]
        del self.stack[first:]
        return values

    def pop_to_mark(self) -> list[object]:
        if not self.marks:
            self.refuse("there is no mark on the stack", _DAMAGED)
        first = self.marks.pop()
        values = self.stack[first:]
        del self.stack[first:]
        return values

    def top(self) -> object:
        if self.marks and len(self.stack) <= self.marks[-1]:
            self.refuse("looks at a value below a mark", _DAMAGED)
        return self.stack[-1]

    def find(self, module: object, name: object) -> None:
        """Push a name, if it is one of those that checkpoints need."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("a name that is not text")
        full = f"{module}.{name}"
        if full not in GLOBALS:
            raise Refused(f"{full[: 2 * MAX_NAME]!r} is not among the names that a checkpoint needs")
        self.stack.append(GLOBALS[full])

    def remember(self, index: int) -> None:
        if len(self.memo) >= MAX_MEMO:
            self.refuse(f"more than {MAX_MEMO} values are remembered", _DAMAGED)
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            self.refuse(f"value {index} was never remembered", _DAMAGED)
        self.stack.append(self.memo[index])

    def set_items(self, values: list[object]) -> None:
        target = self.top()
        if not isinstance(target, dict):
            raise Refused(f"sets items of a {type(target).__name__}, wanted a dictionary")
        if len(values) % 2:
            raise Refused("a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[dictionary_key(key)] = value

    def append(self, values: list[object]) -> None:
        target = self.top()
        if not isinstance(target, list):
            raise Refused(f"appends to a {type(target).__name__}, wanted a list")
        target += values


def _proto(machine: _Machine) -> None:
    version = machine.byte()
    if version > MAX_PROTOCOL:
        machine.refuse(f"protocol {version}, the last one is {MAX_PROTOCOL}", _DAMAGED)


def _frame(machine: _Machine) -> None:
    length, left = machine.number(8), len(machine.data) - machine.at
    if length > left:
        machine.refuse(f"a frame of {length} bytes, {left} are left", _DAMAGED)


def _mark(machine: _Machine) -> None:
    if len(machine.marks) >= MAX_MARKS:
        machine.refuse(f"more than {MAX_MARKS} marks", _DAMAGED)
    machine.marks.append(len(machine.stack))


def _long(machine: _Machine) -> None:
    width = machine.byte()
    if width > MAX_LONG:
        machine.refuse(f"a number of {width} bytes, at most {MAX_LONG} are allowed", _DAMAGED)
    machine.stack.append(machine.number(width, signed=True))


def _global(machine: _Machine) -> None:
    machine.find(machine.line(), machine.line())


def _stack_global(machine: _Machine) -> None:
    machine.find(*machine.pop(2))


def _reduce(machine: _Machine) -> None:
    function, arguments = machine.pop(2)
    try:
        result = call(function, arguments)
    except ValueError as error:  # too few or too many arguments
        raise Refused("the wrong number of arguments for this call") from error
    if isinstance(result, Ordered):
        machine.objects_left -= len(result)  # the same pairs can be asked for again and again
    machine.build(result)


def _build(machine: _Machine) -> None:
    """Attributes of a state dict, such as the versions of its modules: checked to be no more, and dropped."""
    (state,), target = machine.pop(1), machine.top()
    if not isinstance(target, Ordered) or not isinstance(state, dict):
        raise Refused(f"sets the state of a {type(target).__name__}; only an ordered dictionary may have one")
    if len(state) > 1 or not state.keys() <= {"_metadata"}:
        raise Refused("sets attributes other than _metadata")


def _persistent(machine: _Machine) -> None:
    storage = stored(*machine.pop(1))
    if machine.storages.setdefault(storage.key, storage).nbytes != storage.nbytes:
        raise Refused(f"the storage {storage.key!r} has two sizes")
    machine.build(storage)


_STOP = 0x2E
_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: _proto,
    0x95: _frame,
    0x28: _mark,
    0x4E: lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    0x4B: lambda m: m.stack.append(m.byte()),
    0x4D: lambda m: m.stack.append(m.number(2)),
    0x4A: lambda m: m.stack.append(m.number(4, signed=True)),
    0x8A: _long,
    0x47: lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    0x58: lambda m: m.stack.append(m.text(m.number(4))),
    0x8C: lambda m: m.stack.append(m.text(m.byte())),
    0x54: lambda m: m.stack.append(m.text(m.number(4))),
    0x55: lambda m: m.stack.append(m.text(m.byte())),
    0x7D: lambda m: m.build({}),
    0x5D: lambda m: m.build([]),
    0x29: lambda m: m.stack.append(()),
    0x85: lambda m: m.build(tuple(m.pop(1))),
    0x86: lambda m: m.build(tuple(m.pop(2))),
    0x87: lambda m: m.build(tuple(m.pop(3))),
    0x74: lambda m: m.build(tuple(m.pop_to_mark())),
    0x73: lambda m: m.set_items(m.pop(2)),
    0x75: lambda m: m.set_items(m.pop_to_mark()),
    0x61: lambda m: m.append(m.pop(1)),
    0x65: lambda m: m.append(m.pop_to_mark()),
    0x71: lambda m: m.remember(m.byte()),
    0x72: lambda m: m.remember(m.number(4)),
    0x94: lambda m: m.remember(len(m.memo)),
    0x68: lambda m: m.recall(m.byte()),
    0x6A: lambda m: m.recall(m.number(4)),
    0x63: _global,
    0x93: _stack_global,
    0x52: _reduce,
    0x62: _build,
    0x51: _persistent,
}
_NAMES = {
    **{0x80: "PROTO", 0x95: "FRAME", 0x2E: "STOP", 0x28: "MARK", 0x30: "POP", 0x31: "POP_MARK", 0x32: "DUP"},
    **{0x4E: "NONE", 0x88: "NEWTRUE", 0x89: "NEWFALSE", 0x49: "INT", 0x4A: "BININT", 0x4B: "BININT1"},
    **{0x4D: "BININT2", 0x4C: "LONG", 0x8A: "LONG1", 0x8B: "LONG4", 0x46: "FLOAT", 0x47: "BINFLOAT"},
    **{0x53: "STRING", 0x54: "BINSTRING", 0x55: "SHORT_BINSTRING", 0x56: "UNICODE", 0x58: "BINUNICODE"},
    **{0x8C: "SHORT_BINUNICODE", 0x8D: "BINUNICODE8", 0x42: "BINBYTES", 0x43: "SHORT_BINBYTES"},
    **{0x8E: "BINBYTES8", 0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER"},
    **{0x7D: "EMPTY_DICT", 0x64: "DICT", 0x5D: "EMPTY_LIST", 0x6C: "LIST", 0x29: "EMPTY_TUPLE", 0x74: "TUPLE"},
    **{0x85: "TUPLE1", 0x86: "TUPLE2", 0x87: "TUPLE3", 0x8F: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET"},
    **{0x61: "APPEND", 0x65: "APPENDS", 0x73: "SETITEM", 0x75: "SETITEMS", 0x67: "GET", 0x68: "BINGET"},
    **{0x6A: "LONG_BINGET", 0x70: "PUT", 0x71: "BINPUT", 0x72: "LONG_BINPUT", 0x94: "MEMOIZE", 0x82: "EXT1"},
    **{0x83: "EXT2", 0x84: "EXT4", 0x63: "GLOBAL", 0x93: "STACK_GLOBAL", 0x52: "REDUCE", 0x62: "BUILD"},
    **{0x69: "INST", 0x6F: "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x50: "PERSID", 0x51: "BINPERSID"},
}
