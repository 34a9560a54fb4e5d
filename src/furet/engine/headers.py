"""The header of a model wherever it is: enough to plan, nothing downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from furet.errors import ModelFileError

if TYPE_CHECKING:
    from furet.files.gguf import Header as FileHeader
    from furet.files.gguf import TensorInfo, Value
    from furet.files.store.remote import RemoteFile
    from furet.ops import Header

FIRST_READ = 1 << 20  # bytes; a header without its vocabulary is smaller, with it a few times as large


@dataclass(frozen=True)
class RemoteHeader:
    """The header of a model on the hub: metadata of its first file, tensors of all."""

    metadata: Mapping[str, Value]
    tensors: Mapping[str, TensorInfo]


@contextmanager
def header(ref: str | Path) -> Iterator[Header]:
    """The header of a file on this machine, else of one on the hub.

    raises  NotFound, BadRequest, DownloadFailed, ModelFileError, UnsupportedModel
    """
    from furet.convert import open_model
    from furet.files.store import find, open_remote

    path = find(str(ref))
    if path is None:
        yield remote_header(open_remote(str(ref)))
        return
    with open_model(path) as model:
        yield model


def remote_header(file: RemoteFile) -> RemoteHeader:
    """The joined header of a model's files on the hub, read by ranges."""
    from furet.files.gguf_shards import join_tensors

    files = file.shards
    headers = [_read(each, number) for number, each in enumerate(files)]
    tensors = join_tensors(headers, [Path(each.name) for each in files])
    return RemoteHeader(headers[0].metadata, tensors)


def _read(file: RemoteFile, shard: int) -> FileHeader:
    from furet.files.gguf import NeedMoreBytes, read_header

    data = bytearray(file.read(0, min(FIRST_READ, file.size)))
    while True:
        try:
            return read_header(data, file.size, path=file.ref, shard=shard)
        except NeedMoreBytes as more:
            had = len(data)
            data += file.read(had, more.wanted - had)
            if len(data) == had:
                raise ModelFileError("the server sent no more of the header", path=file.ref) from None
