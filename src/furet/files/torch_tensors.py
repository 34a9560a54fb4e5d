"""What the pickle of a PyTorch checkpoint may speak of: storages, tensors in them, and ordered dictionaries.

A pickle names functions and has them called. Here a name is only a name: those in `GLOBALS` are known, and what
calling them would mean is written out below, in terms of plain descriptors. Nothing is ever imported or called.

Source: the serialization documents of PyTorch; checkpoints written by its versions 0.4 to 2.13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from furet.dtypes import TensorType

MAX_ARGUMENTS = 8
MAX_DIMS = 8
MAX_FLAGS = 4  # how a tensor is to be read: conjugated, negated
MAX_KEY = 64  # characters of a storage's key
MAX_TOP = 1 << 62  # any size, stride or offset is below

# Element type -> bytes, and what it is here; None: known, but without a place here.
ELEMENTS: dict[str, tuple[int, TensorType | None]] = {
    "float64": (8, TensorType.F64),
    "float32": (4, TensorType.F32),
    "float16": (2, TensorType.F16),
    "bfloat16": (2, TensorType.BF16),
    "int64": (8, TensorType.I64),
    "int32": (4, TensorType.I32),
    "int16": (2, TensorType.I16),
    "int8": (1, TensorType.I8),
    "uint8": (1, TensorType.I8),  # masks and other buffers; the bytes are the same
    "bool": (1, TensorType.I8),
    **{"uint16": (2, None), "uint32": (4, None), "uint64": (8, None)},
    **{"complex32": (4, None), "complex64": (8, None), "complex128": (16, None)},
    **{"float8_e4m3fn": (1, None), "float8_e5m2": (1, None), "float8_e4m3fnuz": (1, None)},
    **{"float8_e5m2fnuz": (1, None), "float8_e8m0fnu": (1, None)},
}
_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}


class Refused(Exception):
    """A pickle wants something that no checkpoint needs."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle may mention.

    element  of a storage class or element type: which one
    """

    name: str
    element: str = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """A stretch of numbers, or a view of one.

    key      which one in the file
    element  type of the numbers
    count    numbers in all of it
    first    where the view begins, and `length`, how many it shows
    """

    key: str
    element: str
    count: int
    first: int
    length: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole storage."""
        return self.count * ELEMENTS[self.element][0]


@dataclass(frozen=True, slots=True)
class TorchTensor:
    """A tensor in a storage, proven to lie within it.

    offset   numbers before its first one, from the start of the whole storage
    stride   numbers between neighbours along each dimension
    """

    storage: Storage
    element: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers, each counted once."""
        return math.prod(self.shape) * ELEMENTS[self.element][0]

    @property
    def contiguous(self) -> bool:
        """Whether its numbers lie in the storage in order and without gaps."""
        expected = 1
        for size, step in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and step != expected:
                return math.prod(self.shape) == 0
            expected *= size
        return True


class Ordered(dict["str | int", object]):
    """What a pickle calls collections.OrderedDict; the only thing that may be given attributes, which are dropped."""

    __slots__ = ()


Call: TypeAlias = Callable[[tuple[object, ...]], object]


def call(function: object, args: object) -> object:
    """The meaning of calling `function`; Refused when it has none, or the arguments are not of its kind."""
    if not isinstance(function, Global):
        raise Refused(f"calls {_what(function)}, wanted a function")
    if function.name not in _CALLS:
        raise Refused(f"calls {function.name}, which is no function")
    if not isinstance(args, tuple) or len(args) > MAX_ARGUMENTS:
        raise Refused(f"{function.name} is given {_what(args)}, wanted at most {MAX_ARGUMENTS} arguments")
    return _CALLS[function.name](args)


def stored(reference: object) -> Storage:
    """The storage that a persistent id stands for: ("storage", class, key, location, count[, view])."""
    if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
        raise Refused("a persistent id that is not of a storage")
    _, kind, key, _, count, *rest = reference
    if not isinstance(kind, Global) or not kind.name.endswith("Storage"):
        raise Refused(f"a storage of {_what(kind)}, wanted a storage class")
    key, count = _key(key), _number(count, "storage size")
    view = rest[0] if rest else None
    if view is None:
        return Storage(key, kind.element, count, 0, count)
    if not isinstance(view, tuple) or len(view) != 3:
        raise Refused("a view of a storage that is not (key, offset, size)")
    first, length = _number(view[1], "view offset"), _number(view[2], "view size")
    if first + length > count:
        raise Refused(f"a view of {length} numbers from {first} on, in a storage of {count}")
    return Storage(key, kind.element, count, first, length)


def _key(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isalnum() or len(value) > MAX_KEY:
        raise Refused("a storage key that is not of digits or letters")
    return value


def _number(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value < MAX_TOP:
        shown = value if type(value) is int and abs(value) < 1 << 80 else _what(value)
        raise Refused(f"a {what} of {shown}, wanted a count")
    return value


def _numbers(value: object, what: str) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMS:
        raise Refused(f"a {what} that is not at most {MAX_DIMS} numbers")
    return tuple(_number(each, what) for each in value)


def _what(value: object) -> str:
    return value.name if isinstance(value, Global) else f"a value of type {type(value).__name__}"


def _tensor(args: tuple[object, ...]) -> TorchTensor:
    """_rebuild_tensor(storage, offset, size, stride)."""
    storage, offset, shape, stride = args
    return _in_storage(storage, "", offset, shape, stride)


def _tensor_v2(args: tuple[object, ...]) -> TorchTensor:
    """_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])."""
    storage, offset, shape, stride, _, _, *rest = args
    _check_plain(rest)
    return _in_storage(storage, "", offset, shape, stride)


def _tensor_v3(args: tuple[object, ...]) -> TorchTensor:
    """_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, element[, metadata])."""
    storage, offset, shape, stride, _, _, element, *rest = args
    _check_plain(rest)
    if not isinstance(element, Global) or not element.element or element.name.endswith("Storage"):
        raise Refused(f"a tensor of {_what(element)}, wanted an element type")
    return _in_storage(storage, element.element, offset, shape, stride)


def _check_plain(metadata: list[object]) -> None:
    """Refuse tensors that are to be read with conjugated or negated numbers."""
    if len(metadata) > 1 or (metadata and not isinstance(metadata[0], dict | None)):
        raise Refused("more arguments than a tensor has")
    flags = metadata[0] if metadata else None
    if isinstance(flags, dict) and (len(flags) > MAX_FLAGS or any(flags.values())):
        raise Refused("a tensor that is conjugated or negated when it is read")


def _in_storage(storage: object, element: str, offset: object, shape: object, stride: object) -> TorchTensor:
    """A tensor whose every number lies in its storage; as large as the storage at most."""
    if not isinstance(storage, Storage):
        raise Refused(f"a tensor in {_what(storage)}, wanted a storage")
    element = element or storage.element
    offset, sizes, steps = _number(offset, "offset"), _numbers(shape, "shape"), _numbers(stride, "stride")
    if len(sizes) != len(steps):
        raise Refused(f"{len(sizes)} sizes and {len(steps)} strides")
    there = storage.length * ELEMENTS[storage.element][0] // ELEMENTS[element][0]
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    count = math.prod(sizes)
    if count and last >= there:
        raise Refused(f"a tensor {list(sizes)} that ends at number {last + 1} of a storage of {there}")
    if count > there:
        raise Refused(f"a tensor of {count} numbers expanded from a storage of {there}")
    first = storage.first * ELEMENTS[storage.element][0] // ELEMENTS[element][0]
    return TorchTensor(storage, element, first + offset if count else 0, sizes, steps)


def _parameter(args: tuple[object, ...]) -> TorchTensor:
    """_rebuild_parameter(tensor, requires_grad, hooks[, state]); the tensor is all that matters."""
    tensor, _, _, *_ = args
    if not isinstance(tensor, TorchTensor):
        raise Refused(f"a parameter of {_what(tensor)}, wanted a tensor")
    return tensor


def _from_type(args: tuple[object, ...]) -> object:
    """_rebuild_from_type_v2(function, class, arguments, state): a tensor that had attributes, which are dropped."""
    function, kind, arguments, _ = args
    if not isinstance(kind, Global) or kind.name not in _CLASSES:
        raise Refused(f"a tensor of the class {_what(kind)}")
    if not isinstance(function, Global) or not function.name.startswith("torch._utils._rebuild_"):
        raise Refused(f"a tensor made by {_what(function)}")
    return call(function, arguments)


def _size(args: tuple[object, ...]) -> tuple[int, ...]:
    (sizes,) = args
    return _numbers(sizes, "size")


def _ordered(args: tuple[object, ...]) -> Ordered:
    """OrderedDict(), or with pairs, as Python 2 wrote it."""
    result = Ordered()
    pairs = args[0] if args else []
    if len(args) > 1 or not isinstance(pairs, list):
        raise Refused("an ordered dictionary of something other than pairs")
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Refused("an ordered dictionary of something other than pairs")
        result[dictionary_key(pair[0])] = pair[1]
    return result


def dictionary_key(value: object) -> str | int:
    """A key of a dictionary, which is text or a number of 64 bits."""
    if type(value) is str:
        return value
    if type(value) is int and abs(value) < 1 << 63:  # larger ones can be made to collide
        return value
    raise Refused(f"{_what(value)} as a key, wanted text or a number")


_CLASSES = {"torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter"}
_CALLS: dict[str, Call] = {
    "collections.OrderedDict": _ordered,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _from_type,
}
GLOBALS: dict[str, Global] = {
    each.name: each
    for each in (
        *map(Global, sorted(_CALLS)),
        *map(Global, sorted(_CLASSES)),
        *(Global(f"torch.{name}Storage", element) for name, element in _STORAGES.items()),
        Global("torch.UntypedStorage", "uint8"),
        Global("torch.storage.UntypedStorage", "uint8"),
        *(Global(f"torch.{element}", element) for element in ELEMENTS),
    )
}
