"""An old GGML file seen as the GGUF file of the same model.

    with open_ggml("ggml-model-q4_0.bin") as file:
        model = as_gguf(file)
        model.metadata["general.architecture"]        # 'llama'
        model.tensors["blk.0.attn_q.weight"]          # 'layers.0.attention.wq.weight' of the file

Values are the file's own to the last bit, unless it was opened with `exact=False`; see `furet.files.ggml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from furet.convert.old_ggml_names import gguf_architecture, gguf_name, hyperparameters
from furet.convert.old_ggml_words import tokenizer_metadata
from furet.files.ggml import GGML, open_ggml

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from furet.files.tensor_file import ByteOrder, TensorInfo


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a tensor comes from.

    run     bytes that follow each other in the file
    heads   H, if the runs of q, k and v alternate in the file; 0 if there is one run
    """

    name: str
    run: int
    heads: int = 0

    def place(self, number: int) -> int:
        """Which run of the file is the run `number` of GGUF."""
        third, head = divmod(number, self.heads)
        return 3 * head + third


class OldModel:
    """A model in GGUF's vocabulary over a file of another, made by `as_gguf`; threads may share it.

    widened   tensors that are given as F32, since no type of today holds the values of their blocks
    rounded   tensors whose scales were rounded
    """

    byteorder: ByteOrder = "little"

    def __init__(self, file: GGML, metadata: Mapping[str, Any]) -> None:
        self.path: Path = file.path
        self.file_bytes = file.file_bytes
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata))
        self._file = file
        self._origins: dict[str, _Origin] = {}
        tensors: dict[str, TensorInfo] = {}
        for info in file.tensors.values():
            name, thirds = gguf_name(file.architecture, info.name)
            tensors[name] = replace(info, name=name)
            heads = file.axes["H"] if thirds else 0
            rows = info.shape[0] // (3 * heads) if thirds else info.shape[0]
            self._origins[name] = _Origin(info.name, info.nbytes // info.shape[0] * rows, heads)
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(tensors)
        self.widened = tuple(gguf_name(file.architecture, name)[0] for name in file.widened)
        self.rounded = tuple(gguf_name(file.architecture, name)[0] for name in file.rounded)

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, [nbytes], read-only; a view where the file has them so, else made."""
        import numpy as np

        origin, info = self._origins[name], self.tensors[name]
        if not origin.heads:
            return self._file.data(origin.name)
        self.check_unchanged()
        made = np.empty(info.nbytes, np.uint8)
        self.read(name, 0, made.data)
        made.flags.writeable = False
        return made

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on."""
        origin = self._origins[name]
        if not origin.heads:
            self._file.read(origin.name, offset, out)
            return
        done = 0
        while done < len(out):
            number, within = divmod(offset + done, origin.run)
            count = min(origin.run - within, len(out) - done)
            self._file.read(origin.name, origin.place(number) * origin.run + within, out[done : done + count])
            done += count

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back; its data stays readable, from the file again."""
        self._file.release(self._origins[name].name)

    def check_unchanged(self) -> None:
        """Raise ModelFileError when a file was cut short or written to since it was opened (microseconds)."""
        self._file.check_unchanged()

    def close(self) -> None:
        """Give the files back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<OldModel {self.path.name}: {self._file.generation} {self.metadata['general.architecture']}>"


def as_gguf(file: GGML, overrides: Mapping[str, Any] | None = None) -> OldModel:
    """The model of a file in GGUF's vocabulary; closing it closes the file.

    overrides   metadata that the caller knows better, such as llama.context_length
    raises      UnsupportedModel for a header that no model of its architecture can have
    """
    architecture = gguf_architecture(file)
    metadata: dict[str, Any] = {
        "general.architecture": architecture,
        "general.name": file.path.stem,
        "general.description": f"from a {file.generation} file of {file.architecture}",
    }
    metadata |= {f"{architecture}.{key}": value for key, value in hyperparameters(file).items()}
    metadata |= tokenizer_metadata(file)
    return OldModel(file, metadata | dict(overrides or {}))


def open_old_ggml(path: str | Path, *, exact: bool = True) -> OldModel:
    """Open a GGML file as the GGUF file it could be; errors and `exact` are those of `open_ggml`."""
    file = open_ggml(path, exact=exact)
    try:
        return as_gguf(file)
    except BaseException:
        file.close()
        raise
