"""The tree of blocks: what was computed once is found again, and room is taken from what nobody uses."""

from __future__ import annotations

import random

import pytest

from furet.engine.prefixes import BLOCK, Prefixes, common


class Copies(list):
    """The copies that were asked for."""

    def __call__(self, source: int, target: int) -> None:
        self.append((source, target))


def chain(tree: Prefixes, *texts: tuple[int, ...]) -> list:
    """Nodes of these texts one below the other."""
    nodes = [tree.root]
    for text in texts:
        nodes.append(tree.add(nodes[-1], text, tree.take()))
    return nodes[1:]


ONE, TWO, THREE = (tuple(range(at, at + BLOCK)) for at in (0, 100, 200))


def test_a_path_is_found_as_far_as_it_is_known():
    tree = Prefixes(8, Copies())
    nodes = chain(tree, ONE, TWO, THREE[:10])
    assert tree.find([*ONE, *TWO, *THREE]) == nodes[:2]
    assert tree.find([*ONE, *TWO][:-1]) == nodes[:1] and tree.find(TWO) == []
    assert tree.nearest(nodes[1], THREE[:5]) == (nodes[2], 5) and tree.nearest(nodes[1], [7]) is None
    assert tree.nearest(tree.root, [*ONE[:30], 7]) == (nodes[0], 30)


def test_room_comes_from_what_was_not_used_for_longest():
    tree = Prefixes(3, Copies())
    a, b, c = (chain(tree, text)[0] for text in (ONE, TWO, THREE))
    tree.use(a), tree.release(a)
    assert tree.take() == b.block and tree.find(TWO) == []
    assert tree.take() == c.block and tree.find(ONE) == [a]
    tree.use(a)
    assert tree.take() is None
    tree.release(a)
    assert tree.take() == a.block and tree.take() is None


def test_what_a_used_block_follows_stays():
    tree = Prefixes(3, Copies())
    first, second, third = chain(tree, ONE, TWO, THREE)
    tree.use(second)
    assert tree.take() == third.block and tree.take() is None
    tree.release(second)
    assert [tree.take(), tree.take(), tree.take()] == [second.block, first.block, None]


def test_equal_tokens_share_a_block_and_a_longer_one_replaces_a_shorter():
    tree = Prefixes(4, Copies())
    (short,) = chain(tree, ONE[:20])
    (longer,) = chain(tree, ONE[:30])
    assert tree.nearest(tree.root, ONE) == (longer, 30)
    assert chain(tree, ONE[:30]) == chain(tree, ONE[:20]) == [longer]
    (whole,) = chain(tree, ONE)
    assert tree.find(ONE) == [whole] and short is not longer
    taken = {tree.take() for _ in range(3)}
    assert whole.block not in taken and None not in taken


def test_a_shorter_block_in_use_is_left_alone():
    tree = Prefixes(4, Copies())
    (short,) = chain(tree, ONE[:20])
    tree.use(short)
    chain(tree, ONE)
    assert short.block not in {tree.take() for _ in range(3)}


def test_who_goes_on_with_a_part_copies_it_and_with_all_takes_it():
    copies = Copies()
    tree = Prefixes(2, copies)
    (node,) = chain(tree, ONE[:9])
    copy = tree.own(node, 5)
    assert copies == [(node.block, copy)] and copy != node.block and tree.nearest(tree.root, ONE) == (node, 9)
    assert tree.own(node, 9) == node.block and tree.nearest(tree.root, ONE) is None
    tree.give_back(node.block)
    (node,) = chain(tree, ONE[:9])
    tree.use(node)
    assert tree.own(node, 9) is None and tree.own(node, 5) is None
    tree.release(node)
    assert tree.own(node, 5) == node.block and len(copies) == 1


@pytest.mark.parametrize("seed", range(20))
def test_no_block_is_lost_or_in_two_places(seed):
    """Any order of operations leaves each block free, in the tree, or taken, once."""
    rng = random.Random(seed)
    tree = Prefixes(12, Copies())
    taken: list[int] = []
    used: list = []
    nodes: list = []
    for _ in range(400):
        match rng.randrange(5):
            case 0 if (block := tree.take()) is not None:
                taken.append(block)
            case 1 if taken:
                tree.give_back(taken.pop(rng.randrange(len(taken))))
            case 2 if taken:
                parents = [tree.root, *(node for node in used if len(node.tokens) == BLOCK)]
                text = tuple(rng.randrange(2) for _ in range(2)) * (BLOCK // 2)
                node = tree.add(rng.choice(parents), text[: rng.choice([1, 2, 40, BLOCK])], taken.pop())
                tree.use(node)
                used.append(node)
            case 3 if used:
                tree.release(used.pop(rng.randrange(len(used))))
            case 4 if nodes:
                node = rng.choice(nodes)
                if node is not tree.root and (block := tree.own(node, rng.randint(1, len(node.tokens)))) is not None:
                    taken.append(block)
        held, nodes = list(taken), [tree.root]
        for node in nodes:
            nodes += node.children.values()
            held += [node.block] if node is not tree.root else []
        held += tree._free
        assert sorted(held) == list(range(12))
        assert all(not node.users and not node.children for node in tree._idle)


@pytest.mark.parametrize(
    ("a", "b", "count"), [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 5], (1, 2), 1), ((3,), [3], 1)]
)
def test_common(a, b, count):
    assert common(a, b) == common(b, a) == count
