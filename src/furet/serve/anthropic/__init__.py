"""Anthropic's Messages API.

    bodies      what clients send
    turns       their messages and tools in furet's words
    replies     answers as events, or as one message
    listing     models in this API's shape
    routes      /v1/messages, /v1/messages/count_tokens
"""

from __future__ import annotations

from furet.serve.anthropic.routes import router as router
