"""From logits to a token: plain functions over one row of logits [V].

settings      what the caller asks for, checked
chain         the order, and the token that a draw hits
candidates    the tokens that remain, and the first of many without ordering all
filters       which tokens remain: top-k, top-p, min-p, tail-free, typical, top-n-sigma, XTC
temperature   how much the most probable are preferred
penalties     biases, and what tokens lose for having occurred
dry           what tokens lose for going on with a repetition
mirostat      the surprise of tokens held near a target
reference     all of these by their definitions, over the full order, in float64
draws         numbers in [0, 1) that depend on the seed and the place in the answer, on nothing else
logprobs      log-probabilities of the model itself, before any setting
token_logprob one of them, as it travels to the user
stop          stop strings, found in a stream of pieces
"""
