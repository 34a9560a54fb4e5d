"""The models of this machine in the shape of Anthropic's /v1/models.

OpenAI's API has the same path; clients of this one say so by the header `anthropic-version`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.serve.names import Listed

MOST = 1000  # models of one page
USUAL = 20


def wanted(headers: Mapping[str, str]) -> bool:
    """Whether a request for models is one of Anthropic's API."""
    return "anthropic-version" in headers


def models_page(found: Sequence[Listed], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the list.

    query   limit, 1 to 1000; after_id or before_id, the model next to which the page lies
    raises  BadRequest naming the parameter
    """
    for name in query:
        if name not in ("limit", "after_id", "before_id", "beta"):
            raise BadRequest(f"{name[:60]}: unknown parameter")
    limit = _limit(query.get("limit", str(USUAL)))
    ids = [each.name for each in found]
    first, last = 0, len(ids)
    if "after_id" in query:
        first = _place(ids, query["after_id"], "after_id") + 1
    if "before_id" in query:
        last = _place(ids, query["before_id"], "before_id")
        first = max(first, last - limit)
    page = list(found[first : min(last, first + limit)])
    more = first > 0 if "before_id" in query else first + limit < last
    return {
        "data": [model_info(each) for each in page],
        "has_more": more,
        "first_id": page[0].name if page else None,
        "last_id": page[-1].name if page else None,
    }


def model_info(listed: Listed) -> dict[str, Any]:
    """A model as this API shows it; the date is that of its download."""
    created = datetime.fromtimestamp(listed.modified, timezone.utc).isoformat(timespec="seconds")
    known = {"type": "model", "id": listed.name, "display_name": listed.name}
    return {**known, "created_at": created, "lifecycle": "active"}


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST):
        raise BadRequest(f"limit: got {text!r:.60}, wanted 1 to {MOST}")
    return int(text)


def _place(ids: Sequence[str], wanted: str, name: str) -> int:
    if wanted not in ids:
        raise BadRequest(f"{name}: {wanted!r:.80} is no model of the list")
    return ids.index(wanted)
