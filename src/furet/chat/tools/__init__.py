"""Tools that a model may call: how it is told of them, and how its calls are read out of what it writes.

    tool        a tool, checked, and which of them may or must be called
    family      what a family's way of writing calls is made of, and which one a chat template asks for
    hermes, llama3, mistral     the ways that models were trained on
    plain       for models that were trained on none: JSON, by our own words
    cursor      walks through a text that is still being written
    reading     reads calls out of it
    shown       the names of control tokens that calls are written with
    grammar     makes a model write calls that can be read, with arguments of the tool's schema
"""
