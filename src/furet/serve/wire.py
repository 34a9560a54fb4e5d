"""What the server and a model's process say to each other: frames of JSON over two pipes.

    server -> process   Load; then any number of Start, More and Cancel
    process -> server   Ready, or Failed with id 0; then for every Start any number of Gave, and one Done or Failed

A frame is its length, four bytes with the most significant first, and so many bytes of JSON. A dataclass is a list of
its name and its fields in order. What comes in is read by the types of these fields, whoever wrote it: a process
that runs a model has read a file that may be hostile. What does not fit is `Malformed`, and ends the connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, Union, get_args, get_origin, get_type_hints

from furet import errors
from furet.errors import BadRequest, FuretError
from furet.ops.cached import CacheType
from furet.serve.jobs import Job, Reply

MAX_FRAME = 64 << 20  # bytes: twice the largest request that the server reads
QUICK_SLOTS = 8
WINDOW = 64  # replies of one job that may be on their way to a reader who has not taken them
HEADER = 4  # bytes


class Malformed(Exception):
    """Bytes that are no message."""


@dataclass(frozen=True)
class Load:
    """The first message: which model, and how; the fields are those of `furet.load`.

    slots   jobs that may run at once, besides QUICK_SLOTS that take no step of the model
    """

    path: str
    threads: int | None = None
    memory: int | None = None
    context: int | None = None
    sequences: int = 1
    kv: CacheType = "f16"
    draft: str | None = None
    slots: int = 1


@dataclass(frozen=True)
class Start:
    """Run a job; `id` names it from now on, and no other before or after."""

    id: int
    job: Job


@dataclass(frozen=True)
class More:
    """The reader has taken so many replies, so as many may follow."""

    id: int
    count: int


@dataclass(frozen=True)
class Cancel:
    """Nobody wants the rest; Done follows all the same. A job that has ended meanwhile is cancelled in vain."""

    id: int


@dataclass(frozen=True)
class Ready:
    """The model is loaded.

    kind    "decoder", "encoder" or "answer"
    context tokens of prompt and answer together
    memory  rows of its plan, in bytes
    notes   what was decided on the caller's behalf
    """

    kind: str
    context: int
    memory: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gave:
    """A reply of a job."""

    id: int
    reply: Reply


@dataclass(frozen=True)
class Done:
    """A job has ended, and its slot is free."""

    id: int


@dataclass(frozen=True)
class Failed:
    """A job has ended with an error, or with id 0 the process itself: a class of `furet.errors` and what it says."""

    id: int
    kind: str
    message: str
    hint: str = ""


Command = Load | Start | More | Cancel
News = Ready | Gave | Done | Failed


def failed(id: int, error: FuretError) -> Failed:
    """An error as a message; of a class from elsewhere its nearest base in `furet.errors` is told."""
    kind = next(each.__name__ for each in type(error).__mro__ if each.__module__ == errors.__name__)
    return Failed(id, kind, error.message, error.hint)


def error_of(message: Failed) -> FuretError:
    """The error that a message tells of."""
    kind = getattr(errors, message.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, FuretError)):
        kind = FuretError
    return kind(message.message, message.hint)


def encode(message: Command | News) -> bytes:
    """The frame of a message.

    raises  BadRequest for values that JSON has no form for, and for more bytes than a frame may have
    """
    try:
        text = json.dumps(message, default=_as_plain, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"not plain data: {type(error).__name__}: {error}"[:200]) from None
    data = text.encode("utf-8", "surrogatepass")  # half a character is refused by the tokenizer, which says where
    if len(data) > MAX_FRAME:
        raise BadRequest(f"{len(data)} bytes, wanted at most {MAX_FRAME}", "ask for less at once")
    return len(data).to_bytes(HEADER, "big") + data


def decode_command(data: bytes) -> Command:
    """The message to a process in the bytes of a frame; raises Malformed."""
    return _decode(data, Command)  # type: ignore[no-any-return]


def decode_news(data: bytes) -> News:
    """The message of a process in the bytes of a frame; raises Malformed."""
    return _decode(data, News)  # type: ignore[no-any-return]


def read_command(file: BinaryIO) -> Command | None:
    """The next message to this process, waited for; None at the end. Raises Malformed."""
    header = file.read(HEADER)
    if not header:
        return None
    data = file.read(size_told(header))
    if len(data) < size_told(header):
        raise Malformed("a frame that was cut short")
    return decode_command(data)


def size_told(header: bytes) -> int:
    """The length of what follows a header; raises Malformed for one that is no header."""
    size = int.from_bytes(header, "big")
    if len(header) < HEADER or size > MAX_FRAME:
        raise Malformed(f"a frame of {size} bytes, wanted at most {MAX_FRAME}")
    return size


def _as_plain(value: Any) -> Any:
    """What JSON knows nothing of, as it does."""
    if is_dataclass(type(value)):
        return [type(value).__name__, *(getattr(value, name) for name in _names(type(value)))]  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _decode(data: bytes, kinds: Any) -> Any:
    try:
        return _reader(kinds)(json.loads(data.decode("utf-8", "surrogatepass")))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {type(error).__name__}") from None


Read = Callable[[Any], Any]


@cache
def _reader(hint: Any) -> Read:
    """What makes a value of a type from plain data, or raises Malformed."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: value
    if is_dataclass(hint):
        return _one_of((hint,))
    if origin in (Union, UnionType):
        return _one_of(arguments) if all(map(is_dataclass, arguments)) else _first_of(arguments)
    if origin is Literal:
        return _checked(hint, lambda value: isinstance(value, str) and value in arguments)
    if origin is tuple:
        return _tuple_of(arguments)
    if origin is Sequence:
        item = _reader(arguments[0])
        return _checked(hint, lambda value: isinstance(value, list), lambda value: [item(each) for each in value])
    if origin is Mapping:
        item = _reader(arguments[1])
        return _checked(
            hint, lambda value: isinstance(value, dict), lambda value: {key: item(each) for key, each in value.items()}
        )
    exact = {str: (str,), bool: (bool,), int: (int,), float: (float, int), NoneType: (NoneType,)}[hint]
    return _checked(hint, lambda value: type(value) in exact)


def _checked(hint: Any, fits: Callable[[Any], bool], make: Read = lambda value: value) -> Read:
    def read(value: Any) -> Any:
        if not fits(value):
            raise Malformed(f"a {type(value).__name__}, wanted {hint}")
        return make(value)

    return read


def _one_of(kinds: tuple[Any, ...]) -> Read:
    """A dataclass, told by its name."""
    readers = {}
    for kind in kinds:
        hints = get_type_hints(kind)
        readers[kind.__name__] = kind, [_reader(hints[field.name]) for field in fields(kind)]

    def read(value: Any) -> Any:
        if not isinstance(value, list) or not value or not isinstance(value[0], str) or value[0] not in readers:
            raise Malformed(f"wanted one of {', '.join(readers)}")
        kind, parts = readers[value[0]]
        if len(value) != 1 + len(parts):
            raise Malformed(f"{value[0]} of {len(value) - 1} fields, wanted {len(parts)}")
        return kind(*(part(each) for part, each in zip(parts, value[1:], strict=True)))

    return read


def _first_of(kinds: tuple[Any, ...]) -> Read:
    """Whichever type fits first."""
    readers = [_reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        for each in readers:
            try:
                return each(value)
            except Malformed:
                continue
        raise Malformed(f"a {type(value).__name__}, wanted {' or '.join(map(str, kinds))}")

    return read


def _tuple_of(kinds: tuple[Any, ...]) -> Read:
    """A tuple of any length of one type, or of one for each place."""
    readers = [_reader(kind) for kind in kinds if kind is not ...]
    endless = kinds[-1] is ...

    def read(value: Any) -> Any:
        if not isinstance(value, list) or not (endless or len(value) == len(readers)):
            raise Malformed(f"a {type(value).__name__}, wanted a list")
        if endless:
            return tuple(map(readers[0], value))
        return tuple(part(each) for part, each in zip(readers, value, strict=True))

    return read
