"""A first look at the numbers of a model: a damaged one is refused before it answers with nonsense."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from furet.errors import ModelFileError
from furet.ops import Source
from furet.ops.stored import first_row


def check_finite(source: Source, path: str | Path | None = None) -> None:
    """Raise ModelFileError for an infinity or NaN in a vector, or in the first row of a matrix.

    Every token passes the vectors, norms and biases; of matrices, more than a row each would mean to read the
    whole file before the first answer.
    """
    for tensor in source.tensors.values():
        values = first_row(tensor, source)
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise ModelFileError(
                f"value {at} is {values[at]}, wanted a finite number",
                hint="the weights are damaged: get the file again",
                path=path,
                field=f"tensor {tensor.name}",
            )
