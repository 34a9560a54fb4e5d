"""The server's own memory is no more than what its models are not given."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from furet.serve.limits import MAX_BODIES, MAX_KEPT, OWN

CHILD = """
import asyncio, json, sys
from serve.fake_models import FakeModels
from furet.serve.app import ServerSettings, create_app
from furet.serve.limits import MAX_BODIES
from furet.serve.openai.responses.kept import Responses
from furet.serve.wire import Start, encode

class Held(FakeModels):
    async def run(self, model, job):
        encode(Start(1, job))
        self.running += 1
        await asyncio.Event().wait()
        yield

async def send(message): pass

def asked(app, body):
    places = iter(range(0, len(body), 1 << 16))
    async def receive():
        if (place := next(places, None)) is None:
            await asyncio.Event().wait()
        end = place + (1 << 16)
        return {"type": "http.request", "body": body[place:end], "more_body": end < len(body)}
    headers = [(b"host", b"localhost:80"), (b"content-type", b"application/json"), (b"content-length", b"1")]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers, "query_string": b""}
    return app({**scope, "root_path": "", "scheme": "http", "server": ("127.0.0.1", 80)}, receive, send)

async def main():
    models = Held()
    app = create_app(models, ServerSettings(port=80), page=False)
    body = json.dumps({"model": "fake", "prompt": "a" * (MAX_BODIES // 7 - 1000)}).encode()
    tasks = [asyncio.create_task(asked(app, body)) for _ in range(7)]
    while models.running < 7:
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
    kept = Responses()
    logprob = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    for number in range(200):
        kept.keep({"id": number, "output": [dict(logprob) for _ in range(2000)]}, [])
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(int(peak.split()[1]) * 1024, flush=True)
    import os
    os._exit(0)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")  # ru_maxrss counts pytest too
def test_bodies_and_responses_at_their_limits_are_within_what_the_server_has_set_aside() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert MAX_BODIES + MAX_KEPT < int(done.stdout) < OWN
