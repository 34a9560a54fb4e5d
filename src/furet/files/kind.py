"""What any file is, by its first bytes: a model of some format, or what people get in the place of one."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from furet.errors import NotFound

START = 512  # bytes that tell one kind from another
TAIL = 65_557  # bytes in which the end of a zip archive must lie

_DOWNLOAD = "download the model again; `furet pull` checks what it gets"
_CONVERT = "`furet convert` makes a GGUF file of it"
_OTHER = "get a GGUF or safetensors file of the same model"
_UNPACK = "unpack it first"
_NAME_IT = "name the model file itself"


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    name    in a word or two: gguf, safetensors, torch zip, torch legacy, ggjt, html, ..; unknown
    says    a sentence for people, without its full stop
    hint    the next step
    opens   whether furet has a reader for tensors of this kind
    """

    name: str
    says: str
    hint: str
    opens: bool = False


_STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"GGUF", FileKind("gguf", "this is a GGUF file", "`furet run` runs it", True)),
    (b"FUGG", FileKind("gguf", "the bytes of this GGUF file are swapped four by four", _DOWNLOAD)),
    (
        b"lmgg",
        FileKind("ggml", "this is a GGML file without a version, the format of early 2023", _CONVERT, True),
    ),
    (b"fmgg", FileKind("ggmf", "this is a GGMF file, a format of March 2023", _CONVERT, True)),
    (b"tjgg", FileKind("ggjt", "this is a GGJT file, a format of April to August 2023", _CONVERT, True)),
    (b"ccgg", FileKind("ggcc", "this is a GGCC file, Falcon's format of mid 2023", _CONVERT, True)),
    (b"algg", FileKind("ggla", "this is a GGLA adapter (LoRA) of 2023, not a whole model", _NAME_IT)),
    (b"nsgg", FileKind("session", "this is a saved llama.cpp session, not a model", _NAME_IT)),
    (b"qsgg", FileKind("session", "this is a saved llama.cpp sequence state, not a model", _NAME_IT)),
    (b"24ka", FileKind("llama2.c", "this is a model file of llama2.c", _OTHER)),
    (
        b"version https://git-lfs",
        FileKind("git-lfs", "this is a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    ),
    (b"\x1f\x8b", FileKind("gzip", "this is a gzip archive", _UNPACK)),
    (b"(\xb5/\xfd", FileKind("zstd", "this is a zstandard archive", _UNPACK)),
    (b"\xfd7zXZ\x00", FileKind("xz", "this is an xz archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("7z", "this is a 7z archive", _UNPACK)),
    (b"Rar!", FileKind("rar", "this is a RAR archive", _UNPACK)),
    (b"BZh", FileKind("bzip2", "this is a bzip2 archive", _UNPACK)),
    (b"\x89HDF", FileKind("hdf5", "this is an HDF5 file, as Keras and TensorFlow write", _OTHER)),
    (b"\x93NUMPY", FileKind("numpy", "this is a NumPy array", _OTHER)),
    (b"%PDF", FileKind("pdf", "this is a PDF document", _DOWNLOAD)),
    (b"\x7fELF", FileKind("program", "this is a program", _DOWNLOAD)),
    (b"MZqFpD", FileKind("llamafile", "this is a llamafile, a program with a model inside", _OTHER)),
    (b"MZ", FileKind("program", "this is a program", _DOWNLOAD)),
)
_TORCH_ZIP = FileKind("torch zip", "this is a PyTorch checkpoint, a zip archive", _CONVERT, True)
_TORCH_LEGACY = FileKind(
    "torch legacy", "this is a PyTorch checkpoint of the form used before 2020", _CONVERT, True
)
_TORCH_TAR = FileKind("torch tar", "this is a PyTorch checkpoint of the tar form used before 2017", _OTHER)
_TORCHSCRIPT = FileKind("torchscript", "this is a TorchScript program, a zip archive", _OTHER)
_SAFETENSORS = FileKind("safetensors", "this is a safetensors file", _CONVERT, True)
_INDEX = FileKind("index", "this is the index of a model in several files", _CONVERT, True)
_PICKLE = FileKind("pickle", "this is a Python pickle, which can hold a program; furet never runs it", _OTHER)
_ZIP = FileKind("zip", "this is a zip archive (perhaps a PyTorch checkpoint)", _UNPACK)

_LEGACY_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")  # of the first pickle in the file
_TAR_MEMBERS = (b"sys_info\0", b"pickle\0", b"tensors\0", b"storages\0")
_PARTIAL = re.compile(r".*\.(part|crdownload|download|incomplete|aria2|tmp)")
_PIECE = re.compile(
    r".*\.(gguf|safetensors|bin)(-split-[a-z]+|\.part-?\d+of\d+|\.\d{3}|\.part-?[a-z0-9]{1,3})"
)


def kind_of(path: str | Path) -> FileKind:
    """What the file at `path` is; of a zip archive its end is looked at too. Raises NotFound."""
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _folder(path)
        if not stat.S_ISREG(status.st_mode):
            return FileKind("device", "this is not a regular file", _NAME_IT)
        with path.open("rb") as file:
            start = file.read(START)
            file.seek(max(0, status.st_size - TAIL))
            tail = file.read(TAIL) if start.startswith(b"PK\x03\x04") else b""
    except (OSError, ValueError) as error:
        raise NotFound(f"{str(path)!r}: no such file, or not to be read", "check the spelling") from error
    kind = kind_of_bytes(start, status.st_size, path.name)
    return archive_kind(kind, tail) if tail else kind


def kind_of_bytes(start: bytes | bytearray, total_bytes: int, name: str = "") -> FileKind:
    """What a file called `name` is that begins with `start`; 512 bytes are enough."""
    head = bytes(start[:START])
    if total_bytes == 0:
        return FileKind("empty", "the file is empty", _DOWNLOAD)
    known = [kind for magic, kind in _STARTS if head.startswith(magic)]
    kind = known[0] if known else _by_structure(head, total_bytes) or _text(head) or _nothing_known(head)
    if _PIECE.fullmatch(name.lower()):
        says = f"{kind.says}; its name says that it is one piece of a file that was cut up"
        return FileKind(kind.name, says, "join the pieces in order with `cat`, then name the whole")
    if _PARTIAL.fullmatch(name.lower()):
        says = f"{kind.says}; its name says that the download was not finished"
        return FileKind(kind.name, says, _DOWNLOAD)
    return kind


def _by_structure(head: bytes, total_bytes: int) -> FileKind | None:
    """Kinds that take more than a magic number to know."""
    if head.startswith(b"PK\x03\x04"):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return _TORCH_ZIP if first.endswith(b"/data.pkl") else _ZIP
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _TORCH_LEGACY if _LEGACY_MAGIC in head[:40] else _PICKLE
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") + 8 <= total_bytes:
        return _SAFETENSORS
    if head[257:262] == b"ustar" or head.startswith(_TAR_MEMBERS):
        torch = head.startswith(_TAR_MEMBERS)
        return _TORCH_TAR if torch else FileKind("tar", "this is a tar archive", _UNPACK)
    if head[4:8] == b"TFL3":
        return FileKind("tflite", "this is a TensorFlow Lite model", _OTHER)
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b":") and 3 <= head[1] <= 20:
        return FileKind("onnx", "this is an ONNX model", _OTHER)
    if head[:1] == b"\n" and b"<unk>" in head[:40]:
        return FileKind("sentencepiece", "this is a SentencePiece tokenizer, not a model", _NAME_IT)
    return None


def _text(head: bytes) -> FileKind | None:
    """A page or message that was saved in the place of the file."""
    try:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "strict" if len(head) < START else "ignore").strip()
    except UnicodeDecodeError:
        return None
    lower = text.lower()
    if lower.startswith(("<!doctype", "<html", "<head", "<?xml")):
        return FileKind("html", "this is a web page saved under the name of a model", _DOWNLOAD)
    if text.startswith("{") and '"weight_map"' in text:
        return _INDEX
    if re.match(r'[{\[]\s*["{\[\d\]}-]', text):
        return FileKind("json", "this is JSON text", _DOWNLOAD)
    if text and all(char.isprintable() or char in "\t\r\n" for char in text):
        return FileKind("text", f"this is text, beginning {text[:40]!r}", _DOWNLOAD)
    return None


def _nothing_known(head: bytes) -> FileKind:
    if not any(head):
        return FileKind("zeros", "the file begins with zeros, as an interrupted download does", _DOWNLOAD)
    hint = "this is of no kind that furet knows, or its beginning is damaged"
    return FileKind("unknown", f"begins with {head[:4]!r}", hint)


def archive_kind(kind: FileKind, tail: bytes | bytearray) -> FileKind:
    """What a zip archive holds, by its last bytes; `kind` when they do not tell."""
    if b"PK\x05\x06" not in tail:
        says = f"{kind.says}, which was cut short: the directory at its end is missing"
        return FileKind(kind.name, says, _DOWNLOAD)
    if b"/constants.pkl" in tail and b"/code/" in tail:
        return _TORCHSCRIPT
    if b"/data.pkl" in tail:
        return _TORCH_ZIP
    if b".npy" in tail:
        return FileKind("npz", "this is an archive of NumPy arrays", _OTHER)
    return kind


def _folder(path: Path) -> FileKind:
    if (path / "config.json").is_file():
        return FileKind("folder", "this is a folder with a Hugging Face model", _CONVERT)
    return FileKind("folder", "this is a folder", _NAME_IT)
