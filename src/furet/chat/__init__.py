"""Conversations: messages rendered through the model's template, answered, kept, saved.

    formats     the model's chat template, or one to fall back on
    prompt      messages to token ids; what users type never becomes a control token
    chat        say, undo, regenerate; forgets the oldest turns when the context is full
    saved       a conversation in a file
    model       `Model` with `chat`, and `load`
"""
