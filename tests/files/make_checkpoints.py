"""Write the small checkpoints of `tests/files/checkpoints` with PyTorch and safetensors themselves.

    python tests/files/make_checkpoints.py          needs torch, safetensors and numpy; what is there is replaced

The tensors are those of `values`; the tests compute the same ones.
"""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from pathlib import Path

FOLDER = Path(__file__).with_name("checkpoints")


def main() -> None:
    import torch
    from safetensors.torch import save_file

    warnings.simplefilter("ignore")
    tensors = values(torch)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    for each in module.parameters():
        torch.nn.init.constant_(each, 0.5)
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save(tensors, FOLDER / "zip.pt")
    torch.save(tensors, FOLDER / "zip-protocol4.pt", pickle_protocol=4)
    torch.save(tensors, FOLDER / "zip-protocol5.pt", pickle_protocol=5)
    torch.save(tensors, FOLDER / "legacy.pt", **legacy)
    torch.save(tensors, FOLDER / "legacy-protocol4.pt", pickle_protocol=4, **legacy)
    torch.save(module.state_dict(), FOLDER / "module.pt")
    torch.save(module.state_dict(), FOLDER / "module-legacy.pt", **legacy)
    trainer = {"epoch": 3, "model": {"module." + k: v for k, v in module.state_dict().items()}, "args": {"lr": 1e-3}}
    torch.save(trainer, FOLDER / "trainer.pt")
    torch.save({"f8": torch.ones(4).to(torch.float8_e4m3fn)}, FOLDER / "float8.pt")
    torch.save(module, FOLDER / "whole-module.pt")
    torch.jit.script(module).save(str(FOLDER / "torchscript.pt"))
    attributed = torch.nn.Parameter(torch.arange(3.0))
    attributed.partition = 1
    torch.save({"attributed": attributed}, FOLDER / "attributes.pt")

    plain = {name: each.detach().contiguous().clone() for name, each in tensors.items()}
    save_file(plain, FOLDER / "whole.safetensors", metadata={"format": "pt", "note": "é \\ \" \n"})
    halves = {"model-00001-of-00002": ["float32", "scalar"], "model-00002-of-00002": ["bfloat16", "mask"]}
    for suffix, write in ((".safetensors", save_file), (".bin", torch.save)):
        weight_map = {}
        for stem, names in halves.items():
            write({name: plain[name] for name in names}, FOLDER / f"{stem}{suffix}")
            weight_map |= dict.fromkeys(names, f"{stem}{suffix}")
        index = {"metadata": {"total_size": 100}, "weight_map": weight_map}
        (FOLDER / f"model{suffix}.index.json").write_text(json.dumps(index, indent=2) + "\n")


def values(torch):
    """Every element type, and every way in which a tensor can lie in its storage."""
    table = torch.arange(12.0).reshape(3, 4)
    tensors = OrderedDict(
        float32=torch.arange(6.0).reshape(2, 3),
        float64=torch.arange(3, dtype=torch.float64) / 3,
        float16=torch.arange(4, dtype=torch.float16) / 4,
        bfloat16=torch.arange(5, dtype=torch.bfloat16),
        int64=torch.tensor([1 << 40, -1]),
        int32=torch.tensor([1 << 20, -1], dtype=torch.int32),
        int16=torch.tensor([1 << 10, -1], dtype=torch.int16),
        int8=torch.tensor([1, -1], dtype=torch.int8),
        uint8=torch.tensor([1, 255], dtype=torch.uint8),
        mask=torch.tensor([[True, False], [True, True]]),
        scalar=torch.tensor(3.0),
        empty=torch.zeros(0, 4),
        parameter=torch.nn.Parameter(torch.ones(3)),
        rows=table[1:],
        columns=table[:, 1:3],
        transposed=table.t(),
    )
    tensors["tied"] = tensors["float32"]
    return tensors


if __name__ == "__main__":
    main()
