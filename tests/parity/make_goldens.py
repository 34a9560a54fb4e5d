"""Store the logits of transformers for every case, so that parity is tested where torch is not installed.

Run it with PYTHONPATH=src:tests, in an environment that has torch and transformers.
"""

from __future__ import annotations

import numpy as np
from parity.checkpoint import HERE, cases
from parity.transformers_logits import transformers_logits


def main() -> None:
    for architecture in {case.architecture for case in cases().values()}:
        ours = {name: case for name, case in cases().items() if case.architecture == architecture}
        np.savez_compressed(
            HERE / f"{architecture}.npz", **{name: transformers_logits(case) for name, case in ours.items()}
        )
        print(f"{architecture}.npz: {', '.join(ours)}")


if __name__ == "__main__":
    main()
