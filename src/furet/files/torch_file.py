"""PyTorch checkpoints (.bin, .pt, .pth), opened without unpickling, tensor data mapped into memory.

    with open_torch("pytorch_model.bin") as model:
        model.tensors["transformer.wte.weight"].shape     # (50257, 768)
        model.data("transformer.wte.weight")              # uint8, read-only

Nothing that a checkpoint says is ever run: see `furet.files.torch_pickle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from furet.errors import ModelFileError, UnsupportedModel
from furet.files.mapped import MappedFile, MappedTensors, close_all
from furet.files.shard_index import joined, open_shard, shards_of
from furet.files.tensor_file import TensorInfo
from furet.files.torch_checkpoint import Checkpoint, read_checkpoint
from furet.files.torch_tensors import ELEMENTS, TorchTensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TorchFile", "open_torch"]

MAX_TENSORS = 1 << 15  # in one file
MAX_NAME = 255  # characters
MAX_NESTING = 4

_DAMAGED = "the file is damaged: download it again, or from another source"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "weights")  # what trainers call the weights
_PREFIXES = ("module.", "_orig_mod.")  # what data-parallel and compiled modules put before every name


class TorchFile(MappedTensors):
    """An open checkpoint of one file or of several shards, made by `open_torch`; threads may share it."""

    def __init__(
        self,
        path: Path,
        files: Sequence[MappedFile],
        tensors: Mapping[str, TensorInfo],
        strided: Mapping[str, TorchTensor],
    ) -> None:
        super().__init__(path, files, tensors)
        self._strided = strided

    def data(self, name: str) -> NDArray[np.uint8]:
        """The numbers of a tensor in order, [nbytes], read-only; copied only if it is a transposed or cut view.

        Raises KeyError for an unknown name, ModelFileError when the file has changed since it was opened.
        """
        if name not in self._strided:
            return super().data(name)
        import numpy as np

        tensor, info = self._strided[name], self.tensors[name]
        width = ELEMENTS[tensor.element][0]
        span = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
        numbers = self._files[info.shard].data(info.offset, span * width).view(f"u{width}")
        steps = [step * width for step in tensor.stride]
        view = np.lib.stride_tricks.as_strided(numbers, tensor.shape, steps, writeable=False)
        data = np.ascontiguousarray(view).reshape(-1).view(np.uint8)
        data.flags.writeable = False
        return data

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on.

        Raises ModelFileError when the file was cut short.
        """
        if name not in self._strided:
            super().read(name, offset, out)
        else:
            out[:] = self.data(name).data[offset : offset + len(out)]


def open_torch(path: str | Path) -> TorchFile:
    """Open a checkpoint; given an index or any shard of a split one, all of its files.

    Raises NotFound when there is no such file or a shard is missing, ModelFileError when a file is malformed
    or wants code to be run, UnsupportedModel when a tensor has an element type that furet does not know.
    """
    path = Path(path)
    shards = shards_of(path)
    files: list[MappedFile] = []
    tables: list[Mapping[str, TensorInfo]] = []
    strided: dict[str, TorchTensor] = {}
    orders = set()
    try:
        for number, each in enumerate(shards.paths):
            files.append(open_shard(each, path, "a PyTorch checkpoint"))
            checkpoint = read_checkpoint(files[-1])
            orders.add(checkpoint.byteorder)
            found = state_dict(checkpoint.value, each)
            tables.append({name: _info(name, found[name], checkpoint, number, each) for name in found})
            strided |= {name: tensor for name, tensor in found.items() if not tensor.contiguous}
        if len(orders) > 1:
            raise ModelFileError("its shards are of two byte orders", "get them again", path=path)
        model = TorchFile(path, files, joined(shards, tables), strided)
        model.byteorder = orders.pop()
        return model
    except BaseException:
        close_all(files)
        raise


def _info(name: str, tensor: TorchTensor, checkpoint: Checkpoint, shard: int, path: Path) -> TensorInfo:
    width, kind = ELEMENTS[tensor.element]
    if kind is None:
        says = f"{path}: tensor {name}: element type {tensor.element} is not supported"
        known = ", ".join(element for element, (_, kind) in ELEMENTS.items() if kind is not None)
        raise UnsupportedModel(says, f"get the model in one of {known}")
    offset = checkpoint.places[tensor.storage.key].offset + tensor.offset * width
    return TensorInfo(name, kind, tensor.shape, offset, tensor.nbytes, shard)


def state_dict(value: object, path: Path) -> dict[str, TorchTensor]:
    """The tensors of what was saved, by name, wherever a trainer has put them; other values are left out."""
    table = value
    for _ in range(MAX_NESTING):
        inner = _wrapped(table)
        if inner is None:
            break
        table = inner
    found = dict(_tensors(table))
    if not found:
        raise ModelFileError(_why_none(value), "save the state dict of the model alone", path=path)
    if len(found) > MAX_TENSORS:
        raise ModelFileError(f"{len(found)} tensors, at most {MAX_TENSORS} are allowed", _DAMAGED, path=path)
    for name in found:
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise ModelFileError(f"{name[:40]!r} is no name of a tensor", _DAMAGED, path=path)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) and name != prefix for name in found):
            found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _wrapped(table: object) -> object | None:
    """The inner table of a checkpoint that keeps other things beside the weights."""
    if not isinstance(table, dict):
        return None
    inner = [table[key] for key in _WRAPPERS if isinstance(table.get(key), dict)]
    if not inner and not any(_tensors(table)):
        inner = [each for each in table.values() if isinstance(each, dict)]
        inner = inner if len(inner) == 1 else []
    return inner[0] if inner else None


def _tensors(table: object) -> Iterator[tuple[str, TorchTensor]]:
    if isinstance(table, dict):
        for name, value in table.items():
            if isinstance(name, str) and isinstance(value, TorchTensor):
                yield name, value


def _why_none(value: object) -> str:
    if isinstance(value, dict):
        keys = ", ".join(repr(key)[:40] for key in list(value)[:8])
        return f"a dictionary without a table of tensors; its keys are {keys or 'none'}"
    return f"a {type(value).__name__}, wanted a dictionary of tensors"
