"""Sequences in blocks that they share: room is taken as they grow, and a beginning that is known costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from furet.engine.prefixes import BLOCK, Node, Prefixes, common

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from furet.engine.backend import Backend, BlockCache
    from furet.engine.held import Held


class PagedCaches:
    """Sequences of up to `context` tokens in so many contexts' blocks."""

    def __init__(self, backend: Backend, context: int, sequences: int) -> None:
        count = sequences * -(-context // BLOCK)
        self._context = context
        self._blocks = backend.new_blocks(count)
        self._prefixes = Prefixes(count, self._blocks.copy)
        self._new_cache = partial(backend.new_block_cache, self._blocks, context)
        self._spare: list[BlockCache] = []
        self._open: set[Paged] = set()

    def open(
        self,
        tokens: Sequence[int],
        source: Sequence[int] | None = None,
        *,
        fresh: bool = False,
        like: Held | None = None,
    ) -> Paged | None:
        # The last token is always computed: its logits were not kept.
        known = tokens[:0] if fresh else tokens[: len(tokens) - 1]
        path = self._prefixes.find(known)
        if not self._has_room_for(len(tokens), path):
            return None
        cache = self._spare.pop() if self._spare else self._new_cache()
        held = Paged(self._prefixes, cache, path, known, self._closed)
        if isinstance(like, Paged):
            held.copy_end(like, known)
        self._open.add(held)
        if held.reserve(len(tokens) - held.length):
            return held
        held.close()
        return None

    @property
    def block_bytes(self) -> int:
        """Bytes of a block."""
        return self._blocks.block_bytes

    def pin(self, tokens: Sequence[int]) -> list[Node]:
        """The nodes that hold the beginning of these tokens; they stay until they are unpinned."""
        nodes = self._prefixes.find(tokens)
        node = nodes[-1] if nodes else self._prefixes.root
        rest = tokens[BLOCK * len(nodes) :]
        if (found := self._prefixes.nearest(node, rest)) is not None and found[1] == len(found[0].tokens):
            nodes.append(found[0])
        for each in nodes:
            self._prefixes.use(each)
        return nodes

    def unpin(self, nodes: list[Node]) -> None:
        """Let them go."""
        for each in nodes:
            self._prefixes.release(each)

    def read(self, block: int, out: NDArray[np.uint8]) -> None:
        """What a block holds. [block_bytes]"""
        self._blocks.read(block, out)

    def add(self, above: list[Node], tokens: tuple[int, ...], data: NDArray[np.uint8]) -> Node | None:
        """A node below these for tokens with the bytes of their block, pinned; None when there is no room."""
        block = self._prefixes.take()
        if block is None:
            return None
        self._blocks.write(block, data)
        node = self._prefixes.add(above[-1] if above else self._prefixes.root, tokens, block)
        self._prefixes.use(node)
        return node

    def _has_room_for(self, count: int, path: list[Node]) -> bool:
        """Whether the blocks that no running sequence uses are enough for these tokens and, if it may be, one more."""
        used = set().union({node.block for node in path}, *(held.blocks for held in self._open))
        return self._prefixes.count - len(used) >= -(-min(count + 1, self._context) // BLOCK) - len(path)

    def _closed(self, held: Paged, cache: BlockCache) -> None:
        self._open.discard(held)
        self._spare.append(cache)


class Paged:
    """One sequence: nodes of the tree as far as it is shared, then blocks of its own."""

    def __init__(
        self,
        prefixes: Prefixes,
        cache: BlockCache,
        path: list[Node],
        known: Sequence[int],
        closed: Callable[[Paged, BlockCache], None],
    ) -> None:
        self._prefixes = prefixes
        self._closed = closed
        self._node = path[-1] if path else prefixes.root
        self._shared = len(path)
        self._ended = False
        self._blocks = [node.block for node in path]
        self._tokens = list(known[: BLOCK * self._shared])
        self.cache = cache
        prefixes.use(self._node)
        self._begin(list(known[len(self._tokens) :]))

    @property
    def length(self) -> int:
        return self.cache.length

    @property
    def blocks(self) -> Sequence[int]:
        return self._blocks

    @property
    def room(self) -> int:
        return self.cache.capacity - self.length

    def reserve(self, count: int) -> bool:
        if count > self.room:
            return False
        grown = False
        while BLOCK * len(self._blocks) < self.length + count:
            block = self._prefixes.take()
            if block is None:
                break
            self._blocks.append(block)
            grown = True
        if grown:
            self.cache.hold(self._blocks, self.length)
        return BLOCK * len(self._blocks) >= self.length + count

    def appended(self, tokens: Sequence[int]) -> None:
        self._tokens[self.length - len(tokens) :] = tokens

    def truncate(self, length: int) -> None:
        assert length >= BLOCK * self._shared, "what others see stays"
        self.cache.truncate(length)
        del self._tokens[length:]

    @property
    def _certain(self) -> int:
        """Tokens held that it was told of; a step that failed may have left more."""
        return min(self.length, len(self._tokens))

    def share(self) -> None:
        while BLOCK * (self._shared + 1) <= self._certain:
            at = BLOCK * self._shared
            self._descend(tuple(self._tokens[at : at + BLOCK]))

    def close(self) -> None:
        if self._ended:
            return
        self._ended = True
        self.share()
        at = BLOCK * self._shared
        if self._certain > at:
            self._descend(tuple(self._tokens[at : self._certain]))
        for block in self._blocks[self._shared :]:
            self._prefixes.give_back(block)
        self._prefixes.release(self._node)
        self.cache.hold([], 0)
        self._blocks = []
        self._closed(self, self.cache)

    def copy_end(self, other: Paged, known: Sequence[int]) -> None:
        """Take what another one holds of these tokens after the blocks that both share, in a copy, where it is more."""
        at = BLOCK * self._shared
        held = at + common(other._tokens[at : at + BLOCK], known[at:])
        if held <= self.length or self._blocks[: self._shared] != other._blocks[: self._shared]:
            return
        block = self._prefixes.copied(other._blocks[self._shared])
        if block is not None:
            for own in self._blocks[self._shared :]:
                self._prefixes.give_back(own)
            self._blocks[self._shared :] = [block]
            self._tokens[at:] = known[at:held]
            self.cache.hold(self._blocks, held)

    def _begin(self, rest: list[int]) -> None:
        """Take what is known of the tokens after the full blocks, in a block of one's own."""
        found = self._prefixes.nearest(self._node, rest) if rest else None
        if found is not None and (block := self._prefixes.own(*found)) is not None:
            self._blocks.append(block)
            self._tokens += rest[: found[1]]
        self.cache.hold(self._blocks, len(self._tokens))

    def _descend(self, tokens: tuple[int, ...]) -> None:
        """Hand the first block of one's own to the tree, or take the tree's of the same tokens instead."""
        node = self._prefixes.add(self._node, tokens, self._blocks[self._shared])
        self._prefixes.use(node)
        self._prefixes.release(self._node)
        if node.block != self._blocks[self._shared]:
            self._blocks[self._shared] = node.block
            self.cache.hold(self._blocks, self.length)
        self._node = node
        self._shared += 1
