"""Conversations: messages rendered through the model's template, answered, kept, saved.

    formats     the model's chat template, or a preset
    patterns    a preset: what stands around messages
    presets     those of models that carry no template
    prompt      messages to token ids; what users type never becomes a control token
    chat        say, undo, regenerate; forgets the oldest turns when the context is full
    saved       a conversation in a file
    model       `Model` with `chat`, and `load`
"""
