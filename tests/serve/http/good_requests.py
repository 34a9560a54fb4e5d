"""Requests that are good, one or more for every route that takes anything; those of `GET` have their query as body.

{chat} and {message} in a path stand for ones that there are.
"""

from __future__ import annotations

from typing import Any

SAID = [{"role": "user", "content": "one two"}]
TOOL = {"name": "t", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
CHAT = {
    "model": "fake", "messages": [{"role": "system", "content": [{"type": "text", "text": "s"}]}, *SAID,
    {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "x"},
    *SAID], "stream": True, "stream_options": {"include_usage": True}, "n": 2, "stop": ["x"], "seed": 3,
    "temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.1, "logit_bias": {"5": 1.5},
    "logprobs": True, "top_logprobs": 2, "max_completion_tokens": 5, "tools": [{"type": "function", "function": TOOL}],
    "tool_choice": "auto", "parallel_tool_calls": True, "response_format": {"type": "json_schema", "json_schema":
    {"name": "n", "schema": {"type": "object"}, "strict": True}}, "user": "u", "metadata": {"a": "b"}, "top_k": 5,
    "min_p": 0.1, "dry_breakers": ["a"], "chain": ["top_k"], "mirostat": 1, "overflow": "drop", "preset": "chatml",
}  # fmt: skip
RESPONSE = {
    "model": "fake", "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}, {"type":
    "function_call", "call_id": "c", "name": "t", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c",
    "output": "x"}], "instructions": "i", "stream": True, "max_output_tokens": 5, "temperature": 0.5, "tools":
    [{"type": "function", **TOOL}], "tool_choice": {"type": "function", "name": "t"}, "text": {"format": {"type":
    "json_schema", "name": "n", "schema": {"type": "object"}}}, "include": ["message.output_text.logprobs"],
    "top_logprobs": 1, "truncation": "auto", "metadata": {"a": "b"}, "store": True, "previous_response_id": None,
}  # fmt: skip
MESSAGES = {
    "model": "fake", "max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "t", "input": {}}]}, {"role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "c", "content": "x"}]}], "system": "s", "stream": True, "tools":
    [{"name": "t", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"}, "temperature": 0.5,
    "top_k": 5, "stop_sequences": ["x"], "metadata": {"user_id": "u"},
}  # fmt: skip
OLLAMA = {"temperature": 0.5, "num_predict": 5, "top_k": 5, "seed": 3, "stop": ["x"], "num_ctx": 512}
REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/chat/completions", {"model": "fake", "messages": SAID, "logprobs": True}),
    ("POST", "/v1/completions", {"model": "fake", "prompt": ["a b", "c"], "n": 2, "echo": True, "max_tokens": 5}),
    ("POST", "/v1/completions", {"model": "fake", "prompt": "a b", "logprobs": 2, "stream": True, "suffix": None}),
    ("POST", "/v1/embeddings", {"model": "fake-embed", "input": ["a", "b"], "encoding_format": "base64"}),
    ("POST", "/v1/responses", RESPONSE),
    ("POST", "/v1/messages", MESSAGES),
    ("POST", "/v1/messages/count_tokens", {"model": "fake", "messages": SAID}),
    ("POST", "/tokenize", {"model": "fake", "content": "a b", "add_special": True, "with_pieces": True}),
    ("POST", "/detokenize", {"model": "fake", "tokens": [0, 1]}),
    ("POST", "/api/chat", {"model": "fake", "messages": SAID, "options": OLLAMA, "tools": CHAT["tools"]}),
    ("POST", "/api/chat", {"model": "fake", "messages": SAID, "stream": False, "format": {"type": "object"}}),
    ("POST", "/api/generate", {"model": "fake", "prompt": "a", "options": OLLAMA, "keep_alive": "5m"}),
    ("POST", "/api/embed", {"model": "fake-embed", "input": ["a", "b"], "truncate": True}),
    ("POST", "/api/show", {"model": "fake", "verbose": True}),
    ("POST", "/api/pull", {"model": "fake", "stream": True}),
    ("DELETE", "/api/delete", {"model": "fake"}),
    ("GET", "/v1/models/fake", None),
    ("GET", "/api/tags", None),
    ("GET", "/v1/responses/resp_0", None),
]  # fmt: skip
CHANGED = {
    "title": "t", "model": "fake", "system": "s", "format": "chatml", "pinned": True, "archived": False, "turns":
    "in_turn", "settings": {"temperature": 0.5, "stop": ["x"], "logit_bias": {"5": 1}, "seed": 3, "max_tokens": 4,
    "top_k": 5, "json_schema": {"type": "object"}, "dry_breakers": ["a"], "chain": ["top_k"]},
}  # fmt: skip
MEMBERS = [{"name": "a", "model": "fake", "system": "s"}, {"name": "b", "model": "fake"}]
PAGE: list[tuple[str, str, Any]] = [
    ("GET", "/ui/api/chats", {"model": "fake", "groups": "1", "archived": "0", "after": "0,1.5,3", "limit": "5"}),
    ("GET", "/ui/api/chats", {"after": "0,1.5,3"}),
    ("GET", "/ui/api/search", {"q": "one", "limit": "5"}),
    ("GET", "/ui/api/chats/{chat}", None),
    ("GET", "/ui/api/chats/{chat}/usage", None),
    ("GET", "/ui/api/chats/{chat}/messages", {"before": "{message}", "limit": "5"}),
    ("GET", "/ui/api/chats/{chat}/export", {"format": "json"}),
    ("GET", "/ui/api/start", None),
    ("POST", "/ui/api/chats", {"model": "fake", "title": "t", "preset": None}),
    ("POST", "/ui/api/chats", {"members": MEMBERS}),
    ("PATCH", "/ui/api/chats/{chat}", CHANGED),
    ("PATCH", "/ui/api/chats/{chat}", {"settings": CHANGED["settings"]}),
    ("POST", "/ui/api/chats/{chat}/say", {"text": "one two"}),
    ("POST", "/ui/api/chats/{chat}/stop", None),
    ("POST", "/ui/api/messages/{message}/edit", {"text": "other"}),
    ("POST", "/ui/api/messages/{message}/again", None),
    ("POST", "/ui/api/messages/{message}/onward", None),
    ("POST", "/ui/api/messages/{message}/select", None),
    ("DELETE", "/ui/api/messages/{message}", None),
    ("POST", "/ui/api/presets", {"name": "n", "system": "s", "settings": CHANGED["settings"], "format": "chatml"}),
    ("POST", "/ui/api/models/plan", {"ref": "fake", "context": 64}),
    ("POST", "/ui/api/models/pull", {"ref": "hf:a/b"}),
    ("POST", "/ui/api/models/pull/stop", {"ref": "hf:a/b"}),
    ("POST", "/ui/api/models/load", {"ref": "fake"}),
    ("POST", "/ui/api/models/unload", {"ref": "fake"}),
    ("POST", "/ui/api/import", {"name": "f.json", "data": "e30="}),
]  # fmt: skip
