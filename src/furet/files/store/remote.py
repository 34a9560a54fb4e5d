"""Reading parts of a file on the hub without downloading it: the header is enough to plan memory."""

from __future__ import annotations

import re

from furet.errors import BadRequest, DownloadFailed
from furet.files.store.hub import HubFile, explain
from furet.files.store.transport import Refused, Unreachable

READ_BYTES = 64 << 20
"""The most that one read may ask for."""

TOTAL_BYTES = 512 << 20
"""The most that is read of a file in all: whoever needs more should download it."""


class RemoteFile:
    """A file on the hub, read by ranges.

    ref     what names it
    name    of the file
    size    its bytes
    shards  all files of a split model in order, this one being one of them; else this one alone
    """

    def __init__(self, files: list[HubFile], index: int = 0) -> None:
        self._files, self._file = files, files[index]
        self._read = 0
        self.name = self._file.name
        self.ref = f"hf:{self._file.repo}/{self.name}"
        self.size = self._file.size

    @property
    def shards(self) -> tuple[RemoteFile, ...]:
        return tuple(RemoteFile(self._files, index) for index in range(len(self._files)))

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on, fewer only at the end of the file.

        raises  BadRequest outside the file or above a cap, DownloadFailed, NotFound
        """
        if offset < 0 or count < 0 or offset > self.size:
            raise BadRequest(f"{self.ref}: bytes {offset} to {offset + count} of {self.size}")
        count = min(count, self.size - offset)
        self._read += count
        if count > READ_BYTES or self._read > TOTAL_BYTES:
            raise BadRequest(
                f"{self.ref}: too much of it was asked for without downloading it", f"furet pull {self.ref}"
            )
        return self._fetch(offset, count) if count else b""

    def _fetch(self, offset: int, count: int) -> bytes:
        try:
            response = self._file.get(offset, offset + count - 1)
            try:
                sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
                if response.status != 206 or not sent or int(sent[1]) != offset:
                    raise DownloadFailed(
                        f"{self.ref}: the server cannot send parts of a file", f"furet pull {self.ref}"
                    )
                body = response.read_whole(count)
            finally:
                response.close()
        except (Refused, Unreachable) as error:
            raise explain(error, self.ref) from error
        if len(body) != count:
            raise DownloadFailed(
                f"{self.ref}: {len(body)} bytes came of {count}: the connection was cut", "try again"
            )
        return body
