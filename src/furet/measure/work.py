"""What a task costs at the least, whoever does it: bytes read and operations done."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from furet.families.fields import Fields
from furet.measure.tasks import Prefill, Task


@dataclass(frozen=True)
class Work:
    """What a model costs; an operation is a multiply or an add.

    bytes       of weights that a lone token reads
    operations  of every token in the matrices of the layers
    head        operations of a token that gives logits
    cached      bytes of keys and values of one token; None: not known
    """

    bytes: int
    operations: int
    head: int
    cached: int = 0

    def of(self, task: Task) -> tuple[int, int]:
        """Bytes and operations of a whole task: weights once for each step, what is cached once for each token.

        A prompt is one step, and attention's operations are left out: both make the task look cheaper than it is.
        """
        if isinstance(task, Prefill):
            return self.bytes, task.tokens * self.operations + self.head
        seen = task.depth + (task.steps + 1) / 2  # tokens that a step sees, on average
        held = int(seen * self.cached)
        return task.steps * (self.bytes + task.sequences * held), task.tokens * (self.operations + self.head)


def work_of(path: Path, cached: int = 0) -> Work:
    """Every matrix is read once and used once for each token; of an untied embedding, one row alone.

    Whether it is tied or not, one matrix of the vocabulary remains: the head. Of experts count those that a token
    goes to; tokens that go to others read more than is said here.
    """
    from furet.files.gguf import open_gguf

    with open_gguf(path) as model:
        tensors, metadata = dict(model.tensors), model.metadata
    if "output.weight" in tensors:
        del tensors["token_embd.weight"]
    fields = Fields(metadata, str(metadata["general.architecture"]), path=path)
    experts = fields.integer("expert_count", 0)
    used = fields.integer("expert_used_count", 0, high=experts)

    def met(shape: tuple[int, ...], amount: int) -> int:
        return amount * used // experts if experts and shape[0] == experts and len(shape) == 3 else amount

    sizes = (met(tensor.shape, tensor.nbytes) for tensor in tensors.values())
    operations = {name: met(t.shape, 2 * prod(t.shape)) for name, t in tensors.items() if len(t.shape) > 1}
    head = operations.pop("output.weight", 0) or operations.pop("token_embd.weight", 0)
    return Work(sum(sizes), sum(operations.values()), head, cached)
