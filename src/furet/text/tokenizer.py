"""Text to tokens and back: what all kinds of tokenizer share."""

from __future__ import annotations

from collections.abc import Sequence

from furet.errors import BadRequest
from furet.text.detokenizer import Detokenizer
from furet.text.encoder import Encode
from furet.text.vocabulary import TokenType, Vocabulary

_HIDDEN = (TokenType.UNDEFINED, TokenType.UNKNOWN, TokenType.CONTROL, TokenType.UNUSED)


class Tokenizer:
    """What a model reads and writes. Safe to share between threads; `encode` is from `encoder`.

    vocab_size        V
    bos_id, eos_id    None where the model has none
    bos, eos          their names, empty where the model has none; chat templates ask for them
    stop_ids          tokens that end an answer: EOS, end of turn and others of the kind
    add_bos, add_eos  whether `encode` adds them
    special_ids       tokens that are no text: control tokens, unknown and unused ones
    """

    def __init__(self, vocabulary: Vocabulary, encode: Encode) -> None:
        rules = vocabulary.rules
        self.vocabulary = vocabulary
        self.vocab_size = vocabulary.size
        self.bos_id, self.eos_id = rules.bos_id, rules.eos_id
        self.bos, self.eos = (
            "" if token is None else vocabulary.token_bytes(token).decode("utf-8", "replace")
            for token in (rules.bos_id, rules.eos_id)
        )
        self.add_bos, self.add_eos = rules.add_bos, rules.add_eos
        self.stop_ids = frozenset(rules.stop_ids)
        self.special_ids = frozenset(vocabulary.of_types(*_HIDDEN))
        self._encode = encode

    def encode(self, text: str, *, parse_special: bool = True, add_special: bool = True) -> list[int]:
        """Tokens of `text`.

        parse_special   names of special tokens in the text become these tokens; with False, which is for text
                        from outside, no text gives a control token. User-defined ones are found either way
        add_special     add BOS and EOS where the model wants them and the text does not already have them
        raises          BadRequest when the text has half a surrogate pair, which is no character
        """
        _refuse_surrogates(text)
        tokens = self._encode(text, parse_special)
        if add_special and self.add_bos and tokens[:1] != [self.bos_id]:
            tokens[:0] = [self.bos_id]  # type: ignore[list-item]
        if add_special and self.add_eos and tokens[-1:] != [self.eos_id]:
            tokens += [self.eos_id]  # type: ignore[list-item]
        return tokens

    def decode(self, ids: Sequence[int], *, skip_special: bool = True, continuing: bool = False) -> str:
        """Text of tokens; U+FFFD for bytes that are not UTF-8.

        skip_special   leave out control tokens, unknown and unused ones; else they show as their names
        continuing     the tokens follow others, so a space that they begin with is part of the text
        raises         BadRequest for an id outside the vocabulary
        """
        detokenizer = self.detokenizer(skip_special=skip_special, continuing=continuing)
        return "".join(map(detokenizer.push, ids)) + detokenizer.flush()

    def token_bytes(self, id: int) -> bytes:
        """The bytes a token stands for, perhaps a part of a character; of a special token, its name."""
        if not 0 <= id < self.vocab_size:
            raise BadRequest(f"token {id} is outside the vocabulary of {self.vocab_size}")
        return self.vocabulary.token_bytes(id)

    def detokenizer(self, *, skip_special: bool = True, continuing: bool = False) -> Detokenizer:
        """Decoding one token at a time; the parameters are those of `decode`."""

        def visible(id: int) -> bytes:
            return b"" if skip_special and id in self.special_ids else self.token_bytes(id)

        return Detokenizer(visible, strip=self.vocabulary.rules.space_prefix and not continuing)

    def __repr__(self) -> str:
        return f"<Tokenizer: {self.vocabulary.rules.kind}, {self.vocab_size} tokens>"


def _refuse_surrogates(text: str) -> None:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(
            f"the text has half a surrogate pair, U+{ord(text[error.start]):04X}, at position {error.start}",
            "it was decoded from bytes that are not UTF-8; convert it to UTF-8 first",
        ) from None
