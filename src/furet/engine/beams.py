"""Beam search: of all answers that go on from the best so far, those that are the most probable as a whole.

After every step the `beams` best unfinished answers go on. One is complete at a token that ends it, at a stop string or
at the last token that it may have, if it is then among the best; its score is sum(log p) / length ** length_penalty,
in which the ending token counts. When to stop looking is said by `early_stopping`.
Source: Sutskever et al., arXiv:1409.3215, section 3.2; scores and stopping as `generate` of transformers defines them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from furet.engine.answer import Beam, FinishReason, Piece
from furet.sample.candidates import Logits, largest
from furet.sample.logprobs import normaliser, token_logprob
from furet.sample.stop import StopStrings
from furet.sample.token_logprob import TokenLogprob

if TYPE_CHECKING:
    from furet.engine.generate import Task
    from furet.engine.hand import Hands
    from furet.engine.stream import Draft
    from furet.text.detokenizer import Detokenizer

NewDetokenizer = Callable[[], "Detokenizer"]


class Candidate(NamedTuple):
    """A beam with one more token, and the sum of its log-probabilities."""

    total: float
    beam: int
    token: int


class Path(NamedTuple):
    """Tokens of an answer, and what is known of them."""

    total: float
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Complete(NamedTuple):
    """An answer that has ended."""

    score: float
    path: Path
    reason: FinishReason


@dataclass
class Search:
    """What is complete so far, the best first, and whether to go on."""

    beams: int
    limit: int
    length_penalty: float
    early_stopping: bool | Literal["never"]
    complete: list[Complete] = field(default_factory=list)

    def add(self, path: Path, length: int, reason: FinishReason) -> None:
        """Keep a complete answer of so many tokens, if it is among the best; of equal ones the older."""
        self.complete.append(Complete(path.total / length**self.length_penalty, path, reason))
        self.complete.sort(key=lambda each: -each.score)
        del self.complete[self.beams :]

    def is_over(self, going: Sequence[Path], length: int) -> bool:
        """Whether nothing better is to be expected of the paths that go on, all of so many tokens, the best first."""
        if not going:
            return True
        if len(self.complete) < self.beams:
            return False
        longest = self.early_stopping == "never" and self.length_penalty > 0
        best = going[0].total / (self.limit if longest else length) ** self.length_penalty
        return self.early_stopping is True or best <= self.complete[-1].score


def searched(hands: Hands, task: Task, new_detokenizer: NewDetokenizer, draft: Draft) -> Generator[Piece, None, None]:
    """The pieces of the best answer, all at the end; the others are in the draft."""
    request = task.request
    search = Search(request.beams, task.limit, float(request.length_penalty), request.early_stopping)
    with hands:
        paths, running = [Path(0.0)], [hands.take(task.prompt, task.source)]
        while not search.is_over(paths, len(paths[0].tokens) if paths else 0):
            if not hands.compute(running):
                return
            draft.timings = hands.timings
            rows = [hand.logits for hand in running]
            chosen = _advance(search, paths, rows, task, new_detokenizer)
            kept: set[int] = set()
            going = []
            for candidate, _ in chosen:
                parent = running[candidate.beam]
                going.append(hands.fork(parent) if candidate.beam in kept else parent)
                kept.add(candidate.beam)
            hands.drop(hand for beam, hand in enumerate(running) if beam not in kept)
            for hand, (candidate, _) in zip(going, chosen, strict=True):
                hand.tokens.append(candidate.token)
            running, paths = going, [path for _, path in chosen]
    yield from _shown(search, task, new_detokenizer, draft)


def candidates(totals: Sequence[float], rows: Sequence[Logits], count: int) -> list[Candidate]:
    """The best of all continuations, by falling probability, then beam, then token. [B], [B, V] -> [count]"""
    found = []
    for beam, (total, row) in enumerate(zip(totals, rows, strict=True)):
        less = normaliser(row)
        best = largest(row, min(count, len(row)))
        found += [Candidate(total + float(row[token]) - less, beam, int(token)) for token in best]
    return sorted(found, key=lambda each: (-each.total, each.beam, each.token))[:count]


def _advance(
    search: Search, paths: Sequence[Path], rows: Sequence[Logits], task: Task, new_detokenizer: NewDetokenizer
) -> list[tuple[Candidate, Path]]:
    """One token further: those that end are kept as complete, the best others go on."""
    # So many that enough are left when each of the best ends with each of the tokens that may end it.
    count = max(2, 1 + len(task.ends)) * search.beams
    going: list[tuple[Candidate, Path]] = []
    for place, candidate in enumerate(candidates([path.total for path in paths], rows, count)):
        if len(going) == search.beams:
            break
        before = paths[candidate.beam]
        length = len(before.tokens) + 1
        path = _extended(before, candidate, rows[candidate.beam], task)
        reason = _ended(path, length, candidate.token, task, new_detokenizer)
        if reason is None:
            going.append((candidate, path))
        elif place < search.beams:
            search.add(path, length, reason)
    return going


def _extended(path: Path, candidate: Candidate, row: Logits, task: Task) -> Path:
    """The path with one more token, unless that ends an answer, and so is none of it."""
    if candidate.token in task.ends:
        return path._replace(total=candidate.total)
    logprobs = path.logprobs
    if task.request.logprobs is not None:
        logprobs += (token_logprob(row, candidate.token, task.request.logprobs),)
    return Path(candidate.total, (*path.tokens, candidate.token), logprobs)


def _ended(path: Path, length: int, token: int, task: Task, new_detokenizer: NewDetokenizer) -> FinishReason | None:
    """Why an answer is complete, if it is."""
    if token in task.ends:
        return "stop"
    if task.request.stops and _written(path, task, new_detokenizer).stops.found:
        return "stop"
    return "length" if length == task.limit else None


class Written(NamedTuple):
    """The text of a path, as what each token adds, and the stop strings that were looked for in it."""

    pieces: list[Piece]
    stops: StopStrings


def _written(path: Path, task: Task, new_detokenizer: NewDetokenizer) -> Written:
    detokenizer, stops = new_detokenizer(), StopStrings(task.request.stops)
    pieces = []
    for place, token in enumerate(path.tokens):
        text = stops.push(detokenizer.push(token))
        pieces.append(Piece(text, token, path.logprobs[place] if path.logprobs else None))
    rest = stops.push(detokenizer.flush()) + stops.flush()
    return Written([*pieces, Piece(rest)] if rest else pieces, stops)


def _shown(search: Search, task: Task, new_detokenizer: NewDetokenizer, draft: Draft) -> Iterator[Piece]:
    """The best answer piece by piece; all of them go into the draft."""
    shown = [_written(each.path, task, new_detokenizer) for each in search.complete]
    draft.beams = tuple(
        Beam("".join(piece.text for piece in written.pieces), list(each.path.tokens), each.score, each.reason)
        for each, written in zip(search.complete, shown, strict=True)
    )
    draft.finish_reason, draft.stop = search.complete[0].reason, shown[0].stops.stop
    for piece in shown[0].pieces:
        yield draft.add(piece)
