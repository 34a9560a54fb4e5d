"""A response as it is written: from the events of an answer to those of /v1/responses, and to the whole object."""

from __future__ import annotations

from time import time
from typing import Any

from furet.chat.events import Began, CallArguments, CallBegan, Ended, Event, Text
from furet.serve import sse
from furet.serve.errors import Failure
from furet.serve.openai.answers import Spelling, new_id
from furet.serve.openai.responses.request import ResponseRequest


class Writer:
    """One response.

    response    the object as it stands
    """

    def __init__(self, body: ResponseRequest, spelling: Spelling) -> None:
        self.response = _begun(body)
        self._spelling = spelling
        self._count = 0
        self._open: dict[str, Any] | None = None  # the item that is being written
        self._calls: list[dict[str, Any]] = []

    async def add(self, event: Event) -> list[dict[str, Any]]:
        """What the next event of the answer is here."""
        if isinstance(event, Began):
            return [self._say("response.created"), self._say("response.in_progress")]
        if isinstance(event, Text):
            return await self._add_text(event) if event.text or event.logprobs else []
        if isinstance(event, CallBegan):
            return self._close() + self._begin_call(event)
        if isinstance(event, CallArguments):
            item = self._calls[event.index]
            item["arguments"] += event.text
            return [self._at(item, "response.function_call_arguments.delta", delta=event.text)]
        said = [] if self.response["output"] else self._begin_message()
        status = "incomplete" if event.reason == "length" else "completed"
        return [*said, *self._close(status), self._end(event, status)]

    def failed(self, failure: Failure) -> bytes:
        """The event that ends a response that failed."""
        code = "server_error" if failure.status >= 500 else "invalid_prompt"
        self.response |= {"status": "failed", "error": {"code": code, "message": failure.message}}
        return framed(self._say("response.failed"))

    def message(self) -> dict[str, Any]:
        """The answer as a message of a job."""
        texts = [part["text"] for item in self.response["output"] for part in item.get("content", ())]
        message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
        if self._calls:
            message["tool_calls"] = [
                {"id": item["call_id"], "name": item["name"], "arguments": item["arguments"]} for item in self._calls
            ]
        return message

    async def _add_text(self, event: Text) -> list[dict[str, Any]]:
        said = []
        if self._open is None or self._open["type"] != "message":
            said = self._close() + self._begin_message()
        assert self._open is not None
        part = self._open["content"][0]
        logprobs = await self._spelling.shown(event.logprobs)
        part["text"] += event.text
        part["logprobs"] += logprobs
        at = {"content_index": 0, "delta": event.text, "logprobs": logprobs}
        return [*said, self._at(self._open, "response.output_text.delta", **at)]

    def _begin_message(self) -> list[dict[str, Any]]:
        item: dict[str, Any] = {"id": new_id("msg_"), "type": "message", "role": "assistant"}
        item |= {"status": "in_progress", "content": []}
        said = self._begin(item)
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        said.append(self._at(item, "response.content_part.added", content_index=0, part=dict(part)))
        item["content"] = [part]
        return said

    def _begin_call(self, event: CallBegan) -> list[dict[str, Any]]:
        item = {"id": new_id("fc_"), "type": "function_call", "status": "in_progress"}
        item |= {"call_id": event.id, "name": event.name, "arguments": ""}
        self._calls.append(item)
        return self._begin(item)

    def _begin(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        self._open = item
        self.response["output"].append(item)
        place = len(self.response["output"]) - 1
        return [self._say("response.output_item.added", output_index=place, item=dict(item))]

    def _close(self, status: str = "completed") -> list[dict[str, Any]]:
        """The end of the item that is being written, if there is one."""
        if (item := self._open) is None:
            return []
        self._open = None
        item["status"] = status
        if item["type"] == "function_call":
            done = {"arguments": item["arguments"], "name": item["name"]}
            said = [self._at(item, "response.function_call_arguments.done", **done)]
        else:
            part = item["content"][0]
            text = {"text": part["text"], "logprobs": part["logprobs"]}
            said = [
                self._at(item, "response.output_text.done", content_index=0, **text),
                self._at(item, "response.content_part.done", content_index=0, part=part),
            ]
        place = self.response["output"].index(item)
        return [*said, self._say("response.output_item.done", output_index=place, item=item)]

    def _end(self, ended: Ended, status: str) -> dict[str, Any]:
        whole = status == "completed"
        self.response |= {
            "status": status,
            "incomplete_details": None if whole else {"reason": "max_output_tokens"},
            "completed_at": int(time()) if whole else None,
            "usage": {
                "input_tokens": ended.prompt_tokens,
                "input_tokens_details": {"cached_tokens": ended.cached_tokens, "cache_write_tokens": 0},
                "output_tokens": ended.answer_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": ended.prompt_tokens + ended.answer_tokens,
            },
        }
        return self._say(f"response.{status}")

    def _at(self, item: dict[str, Any], kind: str, **data: Any) -> dict[str, Any]:
        """An event about an item."""
        return self._say(kind, item_id=item["id"], output_index=self.response["output"].index(item), **data)

    def _say(self, kind: str, **data: Any) -> dict[str, Any]:
        """An event; without data it is about the response."""
        event = {"type": kind, "sequence_number": self._count, **(data or {"response": self.response})}
        self._count += 1
        return event


def framed(event: dict[str, Any]) -> bytes:
    """An event as it is sent."""
    return sse.frame(event, event["type"])


def _begun(body: ResponseRequest) -> dict[str, Any]:
    """The object before there is any answer."""
    given = body.model_dump(mode="json", by_alias=True, exclude_none=True, include={"tools", "tool_choice", "text"})
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": int(time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.store is not False,
        "temperature": body.temperature,  # type: ignore[attr-defined]
        "text": given.get("text") or {"format": {"type": "text"}},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": given.get("tools", []),
        "top_logprobs": body.top_logprobs or 0,
        "top_p": body.top_p,  # type: ignore[attr-defined]
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": body.user,
    }
