"""From logits to a token: plain functions over one row of logits [V].

settings    what the caller asks for, checked
chain       which tokens remain, how probable each is, and which one a draw hits
draws       numbers in [0, 1) that depend on the seed and the place in the answer, on nothing else
logprobs    log-probabilities of the model itself, before any setting
stop    stop strings, found in a stream of pieces
"""
