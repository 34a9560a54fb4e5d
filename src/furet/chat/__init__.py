"""Conversations: messages rendered through the model's template, answered, kept, saved.

    formats     the model's chat template, or a preset
    patterns    a preset: what stands around messages
    presets     those of models that carry no template
    messages    of four roles, with calls of tools, checked
    prompt      messages to token ids; what users type never becomes a control token
    tools       what a model may call, and how calls are read out of its answers
    overflow    what is forgotten when the context is full
    known       the tokens of answers given lately
    answering   one request: messages, tools and options in, events out
    events      what an answer is made of
    chat        say, undo, regenerate
    saved       a conversation in a file
    store       all conversations, in one SQLite file
    exchange    chats of other programs in, ours out
    kept        what models have computed of conversations
    model       `Model` with `chat`, and `load`
"""
