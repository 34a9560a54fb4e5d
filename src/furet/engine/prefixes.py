"""Which blocks of keys and values hold which tokens: a tree of beginnings that all sequences share.

A block holds 64 tokens of one sequence, computed from all tokens before them. So a block is known by its own tokens and
its parent's: two requests that begin alike find the same path of blocks from the root. Tokens are compared, never only
hashed. A block with fewer tokens is a leaf; who continues it does so in a copy.

Blocks that no sequence uses stay until their room is wanted, the least recently used leaf first.
Source: Zheng et al., "SGLang", arXiv:2312.07104 (the tree); Kwon et al., arXiv:2309.06180 (the blocks).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

BLOCK = 64  # tokens; as csrc/key_values.h has it

Tokens = tuple[int, ...]


class Node:
    """One block of the tree.

    tokens      that it holds, at most BLOCK
    users       sequences whose deepest node this is
    """

    __slots__ = ("block", "children", "parent", "tokens", "users")

    def __init__(self, tokens: Tokens, block: int, parent: Node | None) -> None:
        self.tokens = tokens
        self.block = block
        self.parent = parent
        self.children: dict[Tokens, Node] = {}
        self.users = 0


class Prefixes:
    """The tree, and the blocks that are in no sequence. Not for several threads.

    count   blocks in all
    copy    copies what a block holds to another
    """

    def __init__(self, count: int, copy: Callable[[int, int], None]) -> None:
        self.count = count
        self._copy = copy
        self._free = list(range(count - 1, -1, -1))
        self._root = Node((), -1, None)
        self._idle: OrderedDict[Node, None] = OrderedDict()  # leaves without users, the least recently used first

    @property
    def root(self) -> Node:
        return self._root

    def take(self) -> int | None:
        """A block to write to, forgetting the least recently used one if need be; None when all are in use."""
        if not self._free:
            if not self._idle:
                return None
            return self._unlink(next(iter(self._idle)))
        return self._free.pop()

    def give_back(self, block: int) -> None:
        """A taken block is not wanted any more."""
        self._free.append(block)

    def find(self, tokens: Sequence[int]) -> list[Node]:
        """The path of full nodes that hold the beginning of these tokens."""
        node, path = self._root, []
        for at in range(0, len(tokens) - BLOCK + 1, BLOCK):
            child = node.children.get(tuple(tokens[at : at + BLOCK]))
            if child is None:
                break
            path.append(node := child)
        return path

    def nearest(self, node: Node, tokens: Sequence[int]) -> tuple[Node, int] | None:
        """The child that begins most like these tokens, and how many they share; None: none does."""
        best, most = None, 0
        for child in node.children.values():
            shared = common(child.tokens, tokens)
            if shared > most:
                best, most = child, shared
        return None if best is None else (best, most)

    def own(self, node: Node, count: int) -> int | None:
        """A block of one's own with the first `count` tokens of a node: a copy, or the node's, which then is gone.

        None when there is no room.
        """
        idle = node in self._idle
        if idle and count == len(node.tokens):  # who goes on with all of it loses nothing
            return self._unlink(node)
        self.use(node)  # taking a block must not take this one
        block = self.copied(node.block)
        self.release(node)
        return self._unlink(node) if block is None and idle else block

    def copied(self, used: int) -> int | None:
        """A block of one's own that holds what a used one does; None when there is no room."""
        block = self.take()
        if block is not None:
            self._copy(used, block)
        return block

    def add(self, parent: Node, tokens: Tokens, block: int) -> Node:
        """Let the tree have a taken block; returns the node of these tokens, perhaps an older one of the same bits."""
        for child in self._alike(parent, tokens):
            if len(child.tokens) >= len(tokens):
                self.give_back(block)
                return child
            if not child.users:
                self.give_back(self._unlink(child))  # it holds nothing that the new one does not
        node = parent.children[tokens] = Node(tokens, block, parent)
        self._idle.pop(parent, None)
        self._idle[node] = None
        return node

    def _alike(self, parent: Node, tokens: Tokens) -> list[Node]:
        """The children of which these tokens are a beginning, or that are a beginning of these."""
        if (same := parent.children.get(tokens)) is not None:
            return [same]
        ends = len(tokens)
        return [each for each in parent.children.values() if common(each.tokens, tokens) in (ends, len(each.tokens))]

    def use(self, node: Node) -> None:
        """Keep a node, and with it all above it."""
        node.users += 1
        self._idle.pop(node, None)

    def release(self, node: Node) -> None:
        """Undo one `use`."""
        node.users -= 1
        if not node.users and not node.children and node is not self._root:
            self._idle[node] = None

    def _unlink(self, leaf: Node) -> int:
        """Take a leaf out of the tree; returns its block."""
        parent = leaf.parent
        assert parent is not None and not leaf.children and not leaf.users
        self._idle.pop(leaf, None)
        del parent.children[leaf.tokens]
        if not parent.children and not parent.users and parent is not self._root:
            self._idle[parent] = None
            self._idle.move_to_end(parent, last=False)  # used no later than what it held
        return leaf.block


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens from the first on are the same."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
