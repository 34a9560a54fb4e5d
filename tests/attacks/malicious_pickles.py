"""Pickles that would run code, or take all memory or time, each with the opcode that must be refused.

Those of the first group are what real attacks look like, most of them made by the standard pickler; the others
reach for the same with opcodes that picklers seldom write, or ask for more than a checkpoint ever needs.
"""

from __future__ import annotations

import builtins
import os
import pickle
import struct
import subprocess

from pickle_bytes import (
    BUILD,
    DICT,
    LIST,
    MARK,
    NONE,
    NOTHING,
    PERSISTENT,
    REDUCE,
    TRUE,
    TUPLE,
    many,
    name,
    number,
    ordered,
    pickled,
    rebuilt,
    short_text,
    stack_name,
    storage,
    table,
    text,
)

Case = tuple[str, str, bytes]  # what it tries, the opcode refused, the pickle

_ECHO = text("echo owned")


class _Calls:
    """An object whose unpickling calls a function."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


class _State:
    """An object whose unpickling sets state."""


_NAMES = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("os", "popen"), ("os", "execv"), ("os", "spawnl"),
    ("subprocess", "Popen"), ("subprocess", "check_output"), ("builtins", "eval"), ("builtins", "exec"),
    ("builtins", "compile"), ("builtins", "__import__"), ("builtins", "getattr"), ("builtins", "open"),
    ("builtins", "bytearray"), ("builtins", "set"), ("__builtin__", "eval"), ("__builtin__", "apply"),
    ("importlib", "import_module"), ("runpy", "run_path"), ("runpy", "_run_code"), ("pty", "spawn"),
    ("socket", "create_connection"), ("webbrowser", "open"), ("shutil", "rmtree"), ("ctypes", "CDLL"),
    ("sys", "exit"), ("pickle", "loads"), ("_pickle", "loads"), ("marshal", "loads"), ("types", "FunctionType"),
    ("types", "CodeType"), ("operator", "attrgetter"), ("operator", "methodcaller"), ("functools", "partial"),
    ("functools", "reduce"), ("itertools", "starmap"), ("timeit", "main"), ("code", "interact"), ("pdb", "run"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start"), ("numpy.testing._private.utils", "runstring"),
    ("numpy.core.multiarray", "_reconstruct"), ("torch", "load"), ("torch.storage", "_load_from_bytes"),
    ("torch.serialization", "load"), ("torch.hub", "load"), ("torch.jit", "load"), ("torch._inductor.codecache", "os"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"), ("torch._utils", "_rebuild_sparse_tensor"),
    ("torch", "FloatStorage.from_file"), ("torch.cuda", "FloatStorage"), ("torch", "os.system"),
    ("collections", "OrderedDict.__init__"), ("collections", "namedtuple"), ("copyreg", "_reconstructor"),
    ("transformers.modeling_utils", "PreTrainedModel"), ("argparse", "Namespace"), ("_codecs", "encode"),
]  # fmt: skip

GLOBALS: list[Case] = [
    (f"{module}.{of} by GLOBAL", "GLOBAL", pickled(name(module, of), many(_ECHO), REDUCE)) for module, of in _NAMES
] + [
    (f"{module}.{of} by STACK_GLOBAL", "STACK_GLOBAL", pickled(stack_name(module, of), _ECHO, b"\x85", REDUCE))
    for module, of in _NAMES
]

PICKLERS: list[Case] = [
    (f"{function.__name__} in protocol {protocol}", "GLOBAL" if protocol < 4 else "STACK_GLOBAL", made)
    for protocol in (2, 3, 4, 5)
    for function, made in (
        (each, pickle.dumps(value, protocol))
        for each, value in (
            (os.system, _Calls(os.system, "echo owned")),
            (eval, {"weight": [1.0, _Calls(builtins.eval, "1 + 1")]}),
            (subprocess.Popen, [({"a": _Calls(subprocess.Popen, ["echo", "owned"])},)]),
        )
    )
] + [("os.system in protocol 0", "GLOBAL", pickle.dumps(_Calls(os.system, "echo owned"), 0))]

OPCODES: list[Case] = [
    ("INST calls", "INST", b"(ios\nsystem\n."),
    ("INST after allowed ones", "INST", pickled(MARK, _ECHO, b"ios\nsystem\n")),
    ("OBJ calls", "OBJ", pickled(MARK, name("torch", "Size"), _ECHO, b"o")),
    ("OBJ with a dangerous name", "GLOBAL", pickled(MARK, name("os", "system"), _ECHO, b"o")),
    ("NEWOBJ constructs", "NEWOBJ", pickled(name("torch", "Size"), NOTHING, b"\x81")),
    ("NEWOBJ_EX constructs", "NEWOBJ_EX", pickled(name("torch", "Size"), NOTHING, DICT, b"\x92")),
    ("EXT1 looks up", "EXT1", pickled(b"\x82\x01", NOTHING, REDUCE)),
    ("EXT2 looks up", "EXT2", pickled(b"\x83\x01\x00", NOTHING, REDUCE)),
    ("EXT4 looks up", "EXT4", pickled(b"\x84\x01\x00\x00\x00", NOTHING, REDUCE)),
    ("PERSID refers", "PERSID", pickled(b"Pstorage\n")),
    ("DUP doubles", "DUP", pickled(LIST, b"2" * 1000)),
    ("POP hides", "POP", pickled(name("collections", "OrderedDict"), b"0", NONE)),
    ("POP_MARK hides", "POP_MARK", pickled(MARK, ordered(), b"1", NONE)),
    ("GET in text", "GET", pickled(NONE, b"q\x00", b"g0\n")),
    ("PUT in text", "PUT", pickled(NONE, b"p0\n")),
    ("STRING with escapes", "STRING", pickled(b"S'\\x41'\n")),
    ("UNICODE with escapes", "UNICODE", pickled(b"V\\u0041\n")),
    ("INT in text", "INT", pickled(b"I" + b"9" * 5000 + b"\n")),
    ("LONG in text", "LONG", pickled(b"L" + b"9" * 100_000 + b"L\n")),
    ("FLOAT in text", "FLOAT", pickled(b"F1e309\n")),
    ("LONG4 of 2 GB", "LONG4", pickled(b"\x8b\xff\xff\xff\x7f")),
    ("LONG4 of a negative size", "LONG4", pickled(b"\x8b\xff\xff\xff\xff")),
    ("LONG4 that is there", "LONG4", pickled(b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000)),
    ("LONG1 of 255 bytes", "LONG1", pickled(b"\x8a\xff" + b"\x7f" * 255)),
    ("BINUNICODE8 of 2^63 bytes", "BINUNICODE8", pickled(b"\x8d" + struct.pack("<Q", 1 << 63))),
    ("BINBYTES8 of 2^63 bytes", "BINBYTES8", pickled(b"\x8e" + struct.pack("<Q", 1 << 63))),
    ("BYTEARRAY8 of 8 GB", "BYTEARRAY8", pickled(b"\x96" + struct.pack("<Q", 8 << 30), protocol=5)),
    ("BINBYTES", "BINBYTES", pickled(b"B\xff\xff\xff\xff", protocol=3)),
    ("NEXT_BUFFER", "NEXT_BUFFER", pickled(b"\x97", protocol=5)),
    ("READONLY_BUFFER", "READONLY_BUFFER", pickled(NONE, b"\x98", protocol=5)),
    ("EMPTY_SET", "EMPTY_SET", pickled(b"\x8f", protocol=4)),
    ("FROZENSET", "FROZENSET", pickled(MARK, NONE, b"\x91", protocol=4)),
    ("an opcode that does not exist", "0xff, which does not exist", pickled(b"\xff")),
    ("a protocol of the future", "PROTO", pickled(NONE, protocol=77)),
]  # fmt: skip

BOMBS: list[Case] = [
    ("FRAME of 2^64 bytes", "FRAME", pickled(b"\x95" + b"\xff" * 8, NONE, protocol=4)),
    ("FRAME longer than the file", "FRAME", pickled(b"\x95" + struct.pack("<Q", 1 << 20), NONE, protocol=4)),
    ("BINUNICODE of 4 GB", "BINUNICODE", pickled(b"X\xff\xff\xff\xff")),
    ("BINSTRING of 4 GB", "BINSTRING", pickled(b"T\xff\xff\xff\xff")),
    ("BINUNICODE beyond the end", "BINUNICODE", pickled(b"X" + struct.pack("<I", 1000))),
    ("8 MB of text", "BINUNICODE", pickled(text("x" * (8 << 20)))),
    ("text again and again", "BINUNICODE", pickled(MARK, text("x" * (1 << 19)) * 9, TUPLE)),
    ("a name without an end", "GLOBAL", pickled(b"c" + b"a" * 5000)),
    ("100,000 marks", "MARK", pickled(MARK * 100_000)),
    ("a million values", "NONE", pickled(NONE * 1_000_000)),
    ("a million empty dictionaries", "EMPTY_DICT", pickled(DICT * 1_000_000)),
    ("half a million opcodes", "BINPUT", pickled(NONE, b"q\x00" * (1 << 19))),
    ("lists nested 200,000 deep", "EMPTY_LIST", pickled(LIST * 200_000, b"a" * 199_999)),
    ("tuples nested 100,000 deep", "TUPLE1", pickled(NONE, b"\x85" * 100_001)),
    ("a quarter of a million remembered values", "LONG_BINPUT",
     pickled(NONE, *(b"r" + struct.pack("<I", i) for i in range((1 << 18) + 1)))),
    ("pairs again and again", "REDUCE",
     pickled(name("collections", "OrderedDict"), b"q\0", LIST, MARK,
             *(many(number(i), NONE) for i in range(20_000)), b"e", b"\x85q\1", b"h\0h\1R" * 200)),
    ("doubled tuples", "SETITEM", pickled(NONE, b"q\0h\0\x86" * 60, b"q\1", DICT, b"h\1", NONE, b"s")),
    ("2^62 numbers in a shape", "REDUCE", pickled(rebuilt(shape=(1 << 31, 1 << 31), stride=(0, 0)))),
    ("an expanded tensor", "REDUCE", pickled(rebuilt(shape=(1 << 20, 1), stride=(0, 1)))),
    ("a tensor beyond its storage", "REDUCE", pickled(rebuilt(offset=1))),
    ("a stride out of the storage", "REDUCE", pickled(rebuilt(shape=(2, 1), stride=(1 << 40, 1)))),
    ("a negative stride", "REDUCE", pickled(rebuilt(shape=(2, 1), stride=(-1, 1)))),
    ("a negative offset", "REDUCE", pickled(rebuilt(offset=-1))),
    ("a negative size", "REDUCE", pickled(rebuilt(shape=(-2, -3)))),
    ("a huge offset", "REDUCE", pickled(rebuilt(offset=1 << 70))),
    ("sizes without strides", "REDUCE", pickled(rebuilt(stride=()))),
    ("nine dimensions", "REDUCE", pickled(rebuilt(shape=(1,) * 9, stride=(1,) * 9))),
    ("a storage of -1", "BINPERSID", pickled(rebuilt(storage(count=-1)))),
    ("a storage key that leads out", "BINPERSID", pickled(rebuilt(storage("../../etc/passwd")))),
    ("a storage key of a megabyte", "BINPERSID", pickled(rebuilt(storage("1" * (1 << 20))))),
    ("a view beyond its storage", "BINPERSID",
     pickled(rebuilt(storage(view=many(text("1"), number(4), number(4)))))),
    ("one storage of two sizes", "BINPERSID", pickled(table(a=rebuilt(), b=rebuilt(storage(count=7))))),
]  # fmt: skip

TRICKS: list[Case] = [
    ("BUILD with __setstate__", "BUILD", pickled(ordered(), table(__setstate__=name("torch", "Size")), BUILD)),
    ("BUILD with a slot state", "BUILD", pickled(ordered(), NONE, table(x=NONE), b"\x86", BUILD)),
    ("BUILD on a list", "BUILD", pickled(LIST, DICT, BUILD)),
    ("BUILD on a name", "BUILD", pickled(name("torch", "Size"), table(__reduce__=NONE), BUILD)),
    ("BUILD on a tensor", "BUILD", pickled(rebuilt(), table(data=NONE), BUILD)),
    ("BUILD on a plain dictionary", "BUILD", pickled(DICT, DICT, BUILD)),
    ("BUILD with many attributes", "BUILD", pickled(ordered(), table(_metadata=DICT, x=NONE), BUILD)),
    ("REDUCE of text", "REDUCE", pickled(text("os.system"), many(_ECHO), REDUCE)),
    ("REDUCE of a tuple", "REDUCE", pickled(NOTHING, NOTHING, REDUCE)),
    ("REDUCE of a storage class", "REDUCE", pickled(name("torch", "FloatStorage"), NOTHING, REDUCE)),
    ("REDUCE of an element type", "REDUCE", pickled(name("torch", "float32"), NOTHING, REDUCE)),
    ("REDUCE of a tensor class", "REDUCE", pickled(name("torch", "Tensor"), NOTHING, REDUCE)),
    ("REDUCE without a tuple", "REDUCE", pickled(name("torch", "Size"), LIST, REDUCE)),
    ("REDUCE with too few arguments", "REDUCE", pickled(name("torch._utils", "_rebuild_tensor_v2"), NOTHING, REDUCE)),
    ("REDUCE with 1,000 arguments", "REDUCE", pickled(name("torch", "Size"), many(NONE * 1000), REDUCE)),
    ("REDUCE of what a REDUCE gave", "REDUCE", pickled(ordered(), NOTHING, REDUCE)),
    ("REDUCE of a recalled name", "REDUCE", pickled(name("torch", "int8"), b"q\0", NOTHING, b"h\0", NONE, REDUCE)),
    ("from_type of another function", "REDUCE",
     pickled(name("torch._tensor", "_rebuild_from_type_v2"),
             many(name("collections", "OrderedDict"), name("torch", "Tensor"), NOTHING, NONE), REDUCE)),
    ("from_type of itself", "REDUCE",
     pickled(name("torch._tensor", "_rebuild_from_type_v2"),
             many(name("torch._tensor", "_rebuild_from_type_v2"), name("torch", "Tensor"), NOTHING, NONE), REDUCE)),
    ("from_type of another class", "REDUCE",
     pickled(name("torch._tensor", "_rebuild_from_type_v2"),
             many(name("torch._utils", "_rebuild_tensor"), name("torch", "Size"), NOTHING, NONE), REDUCE)),
    ("a tensor without a storage", "REDUCE", pickled(rebuilt(NONE))),
    ("a tensor in a storage class", "REDUCE", pickled(rebuilt(name("torch", "FloatStorage")))),
    ("a parameter of a dictionary", "REDUCE",
     pickled(name("torch._utils", "_rebuild_parameter"), many(DICT, TRUE, NONE), REDUCE)),
    ("a negated tensor", "REDUCE",
     pickled(name("torch._utils", "_rebuild_tensor_v2"),
             many(storage(), number(0), many(number(6)), many(number(1)), TRUE, NONE, table(neg=TRUE)), REDUCE)),
    ("an ordered dictionary of numbers", "REDUCE",
     pickled(name("collections", "OrderedDict"), LIST, NONE, b"a\x85", REDUCE)),
    ("a persistent id that is text", "BINPERSID", pickled(text("storage"), PERSISTENT)),
    ("a persistent id of a module", "BINPERSID",
     pickled(many(text("module"), NONE, text("x.py"), text("import os")), PERSISTENT)),
    ("a persistent id of another class", "BINPERSID",
     pickled(many(text("storage"), name("torch", "Size"), text("0"), text("cpu"), number(1)), PERSISTENT)),
    ("a name of numbers", "STACK_GLOBAL", pickled(number(1), number(2), b"\x93")),
    ("a name over two lines", "GLOBAL", pickled(b"cos\nsystem\x00\n")),
    ("a name that looks allowed", "STACK_GLOBAL", pickled(stack_name("torch\n", "Size"))),
    ("a name with a dotted path", "STACK_GLOBAL", pickled(stack_name("torch", "_utils._rebuild_tensor.__globals__"))),
    ("a recalled value that was never stored", "BINGET", pickled(b"h\x05")),
    ("a recalled value far away", "LONG_BINGET", pickled(b"j\xff\xff\xff\xff")),
    ("remembering nothing", "BINPUT", pickled(b"q\0")),
    ("MEMOIZE on an empty stack", "MEMOIZE", pickled(b"\x94", protocol=4)),
    ("a list for a key", "SETITEM", pickled(DICT, LIST, NONE, b"s")),
    ("a tuple for a key", "SETITEM", pickled(DICT, NOTHING, NONE, b"s")),
    ("a number of 80 bits for a key", "SETITEM", pickled(DICT, number(1 << 75), NONE, b"s")),
    ("SETITEMS on a list", "SETITEMS", pickled(LIST, MARK, text("a"), NONE, b"u")),
    ("SETITEMS on a tensor", "SETITEMS", pickled(rebuilt(), MARK, text("a"), NONE, b"u")),
    ("SETITEMS without a mark", "SETITEMS", pickled(DICT, b"u")),
    ("SETITEMS with half a pair", "SETITEMS", pickled(DICT, MARK, text("a"), b"u")),
    ("APPEND to a dictionary", "APPEND", pickled(DICT, NONE, b"a")),
    ("APPENDS to a tuple", "APPENDS", pickled(NOTHING, MARK, NONE, b"e")),
    ("APPEND across a mark", "APPEND", pickled(LIST, MARK, NONE, b"a")),
    ("REDUCE across a mark", "REDUCE", pickled(name("torch", "Size"), MARK, NOTHING, REDUCE)),
    ("TUPLE2 of one value", "TUPLE2", pickled(NONE, b"\x86")),
    ("STOP with two values", "STOP", pickled(NONE, NONE)),
    ("STOP with none", "STOP", pickled()),
    ("STOP above a mark", "STOP", pickled(NONE, MARK)),
    ("STACK_GLOBAL across a mark", "STACK_GLOBAL", pickled(short_text("os"), MARK, short_text("system"), b"\x93")),
]  # fmt: skip

CASES = GLOBALS + PICKLERS + OPCODES + BOMBS + TRICKS
