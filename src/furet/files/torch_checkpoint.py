"""One file written by `torch.save`: a pickle that describes storages, and where their bytes lie.

    zip, since 2020     name/data.pkl · name/data/KEY for each storage · name/byteorder
    legacy, before      pickles: magic number, version, machine, the value, storage keys in order;
                        then for each storage: i64 count · numbers, little endian
    tar, before 2017    named, not read

Source: the serialization documents of PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from furet.errors import ModelFileError, UnsupportedModel
from furet.files.kind import TAIL, FileKind, archive_kind, kind_of_bytes
from furet.files.mapped import MappedFile
from furet.files.tensor_file import ByteOrder
from furet.files.torch_pickle import MAX_PICKLE, Pickle, read_pickle
from furet.files.torch_tensors import ELEMENTS, Storage
from furet.files.torch_zip import Entry, read_directory

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001

_INCOMPLETE = "the file is incomplete: download or copy it again"
_DAMAGED = "the file is damaged: download it again, or from another source"
_SAVED_AGAIN = "save its state dict with `torch.save`, or get the model as safetensors or GGUF"


@dataclass(frozen=True)
class Checkpoint:
    """The value that was saved, and where each storage lies that it mentions."""

    value: object
    places: Mapping[str, Entry]
    byteorder: ByteOrder


def read_checkpoint(file: MappedFile) -> Checkpoint:
    """Read a checkpoint of either form.

    raises  ModelFileError for anything malformed, and for whatever would run code; UnsupportedModel for
            TorchScript programs and the tar form
    """
    start = file.prefix(512)
    kind = kind_of_bytes(start, file.size, file.path.name)
    if start.startswith(b"PK\3\4"):
        return _zip(file, kind)
    if start[:1] == b"\x80":
        return _legacy(file)
    if kind.name == "torch tar":
        raise UnsupportedModel(f"{file.path}: {kind.says}", _SAVED_AGAIN)
    hint = "this is not a PyTorch checkpoint" if kind.name == "unknown" else kind.hint
    raise ModelFileError(f"{kind.says}; wanted a PyTorch checkpoint", hint, path=file.path)


def _zip(file: MappedFile, kind: FileKind) -> Checkpoint:
    begin = max(0, file.size - TAIL)
    kind = archive_kind(kind, file.copy(begin, file.size - begin))
    if kind.name == "torchscript":
        raise UnsupportedModel(f"{file.path}: {kind.says}, not a checkpoint", _SAVED_AGAIN)
    entries = read_directory(file)
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        says = f"{kind.says}; {len(pickles)} entries NAME/data.pkl, wanted one"
        raise ModelFileError(says, kind.hint, path=file.path)
    root = pickles[0].removesuffix("data.pkl")
    entry = entries[pickles[0]]
    if entry.nbytes > MAX_PICKLE:
        says = f"{entry.nbytes} bytes, at most {MAX_PICKLE} are allowed"
        raise ModelFileError(says, _DAMAGED, path=file.path, field=pickles[0])
    pickle = read_pickle(file.copy(entry.offset, entry.nbytes), base=entry.offset, path=file.path)
    places = {}
    for key, storage in pickle.storages.items():
        place = entries.get(f"{root}data/{key}")
        if place is None or place.nbytes != storage.nbytes:
            got = f"{place.nbytes} bytes" if place else "nothing"
            says = f"{got} in the archive, wanted {storage.nbytes} bytes"
            raise ModelFileError(says, _DAMAGED, path=file.path, field=f"storage {key}")
        places[key] = place
    return Checkpoint(pickle.value, places, _byteorder(file, entries.get(f"{root}byteorder")))


def _byteorder(file: MappedFile, entry: Entry | None) -> ByteOrder:
    if entry is None:
        return "little"
    text = bytes(file.copy(entry.offset, min(entry.nbytes, 16)))
    if text == b"little":
        return "little"
    if text == b"big":
        return "big"
    raise ModelFileError(f"{text!r}, wanted b'little' or b'big'", _DAMAGED, path=file.path, field="byteorder")


def _legacy(file: MappedFile) -> Checkpoint:
    data = file.prefix(MAX_PICKLE)
    magic = read_pickle(data, path=file.path)
    if magic.value != _MAGIC:
        says = "a pickle, but not one that `torch.save` wrote; furet never runs pickles"
        raise ModelFileError(says, _SAVED_AGAIN, path=file.path, offset=0, field="magic number")
    version = read_pickle(data, magic.end, path=file.path)
    if version.value != _VERSION:
        says = f"is not {_VERSION}"
        raise ModelFileError(says, _DAMAGED, path=file.path, offset=magic.end, field="version")
    machine = read_pickle(data, version.end, path=file.path)
    pickle = read_pickle(data, machine.end, path=file.path)
    keys = read_pickle(data, pickle.end, path=file.path)
    return Checkpoint(pickle.value, _places(file, pickle, keys), "little")


def _places(file: MappedFile, pickle: Pickle, keys: Pickle) -> Mapping[str, Entry]:
    """Where the storages lie that follow the pickles, in the order of `keys`."""
    order = keys.value
    if not isinstance(order, list):
        raise ModelFileError("wanted a list", _DAMAGED, path=file.path, offset=pickle.end, field="storage keys")
    places: dict[str, Entry] = {}
    at = keys.end
    for key in order:
        storage = pickle.storages.get(key) if isinstance(key, str) else None
        if storage is None or key in places:
            says = "a storage that no tensor mentions, or the second of its name"
            raise ModelFileError(says, _DAMAGED, path=file.path, offset=pickle.end, field="storage keys")
        places[key] = _place(file, storage, at)
        at = places[key].offset + places[key].nbytes
    for key in pickle.storages.keys() - places.keys():
        raise ModelFileError("is not in the file", _DAMAGED, path=file.path, field=f"storage {key}")
    if at != file.size:
        says = f"{file.size - at} bytes behind the last storage belong to nothing"
        raise ModelFileError(says, _DAMAGED, path=file.path, offset=at, field="data")
    return places


def _place(file: MappedFile, storage: Storage, at: int) -> Entry:
    field = f"storage {storage.key}"
    if at + 8 + storage.nbytes > file.size:
        says = f"ends at byte {at + 8 + storage.nbytes}, the file at {file.size}"
        raise ModelFileError(says, _INCOMPLETE, path=file.path, offset=at, field=field)
    count = int.from_bytes(file.copy(at, 8), "little")
    if count * ELEMENTS[storage.element][0] != storage.nbytes:
        says = f"{count} numbers, wanted {storage.count}"
        raise ModelFileError(says, _DAMAGED, path=file.path, offset=at, field=field)
    return Entry(at + 8, storage.nbytes)
