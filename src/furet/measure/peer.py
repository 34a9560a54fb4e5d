"""llama.cpp beside furet: a worker in an interpreter that has llama-cpp-python, asked over pipes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from furet.errors import BadRequest, FuretError, NotFound
from furet.measure import llama_cpp_worker
from furet.measure.tasks import Job, Task

LEAST_BATCH, MOST_BATCH = 512, 2048  # tokens that llama.cpp is given at a time
INSTALL = "CMAKE_ARGS=-DGGML_NATIVE=ON {python} -m pip install --no-binary llama-cpp-python llama-cpp-python"


def require_peer(python: str) -> str:
    """The version of llama-cpp-python in an interpreter; raises NotFound with the way to get it."""
    test = "import importlib.metadata as m; print(m.version('llama-cpp-python'))"
    try:
        found = subprocess.run([python, "-c", test], capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotFound(f"{python}: {error.strerror}", "--peer-python names a Python interpreter") from error
    if found.returncode:
        raise NotFound(
            f"{python} has no llama-cpp-python",
            f"--peer-python names an interpreter that has it; to compile it for this machine: "
            f"{INSTALL.format(python=python)}",
        )
    return found.stdout.strip()


class LlamaCpp:
    """llama.cpp in a process of its own; closing it ends the process.

    settings    what it was told, and how it was built, for people
    """

    name = "llama.cpp"

    def __init__(self, path: Path, threads: int, tasks: Sequence[Task], python: str = sys.executable) -> None:
        context = max(task.context for task in tasks)
        batch = min(max(LEAST_BATCH, context), MOST_BATCH)
        wanted = {"threads": threads, "context": context, "batch": batch}
        # In a session of its own, so that Ctrl-C reaches us alone.
        self._process = subprocess.Popen(
            [python, llama_cpp_worker.__file__, str(path), json.dumps(wanted)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            hello = self._answer()
        except BaseException:
            self.close()
            raise
        self.variants: tuple[str, ...] = tuple(hello["variants"])
        self.settings = {
            "version": hello["version"],
            "n_threads": threads,
            "n_threads_batch": threads,
            "n_batch": batch,
            "n_ubatch": batch,
            "system": hello["system"],
        }

    def seconds(self, task: Task, job: Job, variant: str = "") -> float:
        """How long a run took."""
        answer = self._ask(prompts=job.prompts, steps=job.steps, variant=variant)
        return float(answer["seconds"])

    def processor_seconds(self) -> float:
        """Processor time that all threads of the engine have used."""
        return float(self._ask()["processor_seconds"])

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    def _ask(self, **request: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended: what it said is in the answer
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise self._ended()
        return dict(json.loads(answer))

    def _ended(self) -> FuretError:
        assert self._process.stderr is not None
        said = self._process.stderr.read().strip().splitlines()
        code = self._process.wait()
        return BadRequest(
            f"llama.cpp ended with code {code}" + (f": {said[-1][:200]}" if said else ""),
            "leave out --peer to measure furet alone",
        )
