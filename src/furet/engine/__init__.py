"""Running a model: memory planned, tokens in, tokens out, from any thread.

    open_model(ref)         file -> family -> plan -> budget -> program -> tokenizer
    Model                   generate, stream, logits
      scheduler             one thread steps for all requests: job (an answer), outputs (the logits of a text)
      prefixes, paged       blocks of keys and values, shared by all that begin alike; whole: models that have none
      generate, ahead       logits become tokens and text; guesses that the next step verifies
      kept                  keys and values in a file
"""
