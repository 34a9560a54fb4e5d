"""Every model seen as GGUF would hold it, and written so.

    open_model(path)    a GGUF file, a Hugging Face folder or an old GGML file, as one kind of Source
    hugging_face        config.json, tokenizer files, safetensors or torch tensors, translated lazily
    old_ggml            the generations before GGUF, translated lazily

A tensor is read, and where its order of rows differs rearranged, when its data is asked for: one at a time is in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from furet.errors import ModelFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from furet.ops import Tensor


OF_A_FOLDER = ("safetensors", "torch zip", "torch legacy", "index")  # kinds of files that hold tensors alone
OLD_GGML = ("ggml", "ggmf", "ggjt", "ggcc")


class ModelFile(Protocol):
    """A model in GGUF's vocabulary; what `furet.ops.Source` asks for, and files behind it.

    path        that was asked for
    file_bytes  of all files
    """

    @property
    def path(self) -> Path: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def byteorder(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def tensors(self) -> Mapping[str, Tensor]: ...

    def data(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, [nbytes]."""

    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Fill `out` with a tensor's bytes from `offset` on."""

    def release(self, name: str) -> None:
        """Give the memory of a tensor's pages back; its data stays readable."""

    def check_unchanged(self) -> None:
        """Raise ModelFileError when a file was cut short or written to since it was opened."""

    def close(self) -> None:
        """Give the files back."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None, /
    ) -> None: ...


def open_model(path: str | Path, *, exact: bool = False) -> ModelFile:
    """Open a model of any format that furet reads.

    path    a file, or a folder as Hugging Face's library saves them
    exact   blocks of old GGML files whose scales are no float16 become float32, six times as large; otherwise these
            scales are rounded, by at most one part in 2048
    raises  NotFound, ModelFileError, UnsupportedModel
    """
    from furet.files.kind import kind_of

    path = Path(path)
    kind = kind_of(path)
    if path.is_dir() or (kind.name in OF_A_FOLDER and (path.parent / "config.json").is_file()):
        from furet.convert.hugging_face import open_folder

        return open_folder(path if path.is_dir() else path.parent)
    if kind.name in OLD_GGML and kind.opens:
        from furet.convert.old_ggml import open_old_ggml

        return open_old_ggml(path, exact=exact)
    if kind.name in OF_A_FOLDER and kind.opens:
        hint = "put config.json and the tokenizer's files of the same model into its folder"
        raise ModelFileError(f"{kind.says}, but there is no config.json beside it", hint, path=path)
    if not kind.opens and kind.name not in ("gguf", "unknown"):
        raise ModelFileError(kind.says, kind.hint, path=path)
    from furet.files.gguf import open_gguf

    return open_gguf(path)
