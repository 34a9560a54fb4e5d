"""The tensors that `make_checkpoints.py` has PyTorch write, computed again with NumPy."""

from __future__ import annotations

import numpy as np

from furet.dtypes import TensorType

_TABLE = np.arange(12, dtype="<f4").reshape(3, 4)
_FLOAT32 = np.arange(6, dtype="<f4").reshape(2, 3)

VALUES: dict[str, tuple[TensorType, np.ndarray]] = {
    "float32": (TensorType.F32, _FLOAT32),
    "float64": (TensorType.F64, np.arange(3) / 3),
    "float16": (TensorType.F16, (np.arange(4) / 4).astype("<f2")),
    "bfloat16": (TensorType.BF16, (np.arange(5, dtype="<f4").view("<u4") >> 16).astype("<u2")),
    "int64": (TensorType.I64, np.array([1 << 40, -1], "<i8")),
    "int32": (TensorType.I32, np.array([1 << 20, -1], "<i4")),
    "int16": (TensorType.I16, np.array([1 << 10, -1], "<i2")),
    "int8": (TensorType.I8, np.array([1, -1], "i1")),
    "uint8": (TensorType.I8, np.array([1, 255], "u1")),
    "mask": (TensorType.I8, np.array([[1, 0], [1, 1]], "u1")),
    "scalar": (TensorType.F32, np.array(3, "<f4")),
    "empty": (TensorType.F32, np.zeros((0, 4), "<f4")),
    "parameter": (TensorType.F32, np.ones(3, "<f4")),
    "rows": (TensorType.F32, _TABLE[1:]),
    "columns": (TensorType.F32, _TABLE[:, 1:3]),
    "transposed": (TensorType.F32, _TABLE.T),
    "tied": (TensorType.F32, _FLOAT32),
}


def check_values(model, names=VALUES) -> None:
    """Every tensor of an open file has the type, shape and bytes that were saved."""
    assert set(model.tensors) == set(names)
    for name in names:
        kind, array = VALUES[name]
        info, data = model.tensors[name], model.data(name)
        assert (info.name, info.type, info.shape) == (name, kind, array.shape)
        assert info.nbytes == array.nbytes
        assert data.dtype == np.uint8 and data.shape == (array.nbytes,)
        assert not data.flags.writeable
        assert data.tobytes() == array.tobytes(), name
        piece = bytearray(array.nbytes // 2)
        model.read(name, array.nbytes - len(piece), memoryview(piece))
        assert bytes(piece) == array.tobytes()[array.nbytes - len(piece) :]
        model.release(name)
        assert model.data(name).tobytes() == array.tobytes()
