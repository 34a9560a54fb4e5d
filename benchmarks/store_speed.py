"""How fast the store of conversations is when there are very many of them.

    python benchmarks/store_speed.py [--chats 10000] [--messages 1000000] [--words 40] [--folder FOLDER]

Builds a store in a folder of its own, which is removed at the end (with --folder it stays, and is used again): chats of
very unequal lengths, one of them of 1,000 messages, whose words are as frequent as those of a language
(rank ** -1, 50,000 words of two to four syllables; every tenth message is Chinese). Then it times what the page and the
terminal do, each thing 21 times with other arguments, in a process that has just opened the file, while nothing
else runs. The figures are medians and worst times in milliseconds. Wanted: a page of the list within 100 ms,
a search within 200 ms, a chat of 1,000 messages within 50 ms. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from furet.chat.store import ChatPage, Message, Store
from furet.chat.store.insert import ChatTree

BATCH = 100  # chats of one transaction
LONG = 1000
RUNS = 21
LIMITS = {"list, first page": 100, "list, later page": 100, "chat of 1,000 messages": 50}
SEARCH_LIMIT = 200


def main() -> int:
    """Build, measure, print; exit code 1 when something takes longer than wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chats", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=40, help="of a message, on average")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="furet-store-"))
    path = folder / "chats.db"
    try:
        built = None if path.exists() else build(path, arguments.chats, arguments.messages, arguments.words)
        size = path.stat().st_size
        print(f"{size / 1e6:.0f} MB" + (f", built in {built:.0f} s" if built else ", built before"))
        results = measure(path)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder)
    late = 0
    for name, times in results.items():
        limit = LIMITS.get(name, SEARCH_LIMIT if name.startswith("search") else None)
        median, worst = statistics.median(times), max(times)
        late += limit is not None and median > limit
        print(f"{name:40} {median:8.1f} ms  worst {worst:8.1f}" + (f"  wanted {limit}" if limit else ""))
    medians = {name: round(statistics.median(times), 2) for name, times in results.items()}
    print(json.dumps({"benchmark": "store_speed", "bytes": size, "build_seconds": built, "median_ms": medians}))
    return 1 if late else 0


def words(count: int = 50_000) -> tuple[list[str], list[float]]:
    """The words of a language, and how often each comes, added up."""
    chance = random.Random(1)
    syllables = [
        first + vowel + last for first in "bdfgklmnprstvz" for vowel in "aeiou" for last in ("", "n", "r", "s")
    ]
    found = {"".join(chance.choices(syllables, k=chance.randint(2, 4))): None for _ in range(2 * count)}
    return list(found)[:count], list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))


def build(path: Path, chats: int, messages: int, length: int) -> float:
    """Write the store; seconds."""
    chance = random.Random(2)
    vocabulary, shares = words()
    weights = [chance.paretovariate(1.2) for _ in range(chats - 1)]
    lengths = [1 + round(weight * (messages - LONG - chats) / sum(weights)) for weight in weights]
    start = time.perf_counter()
    with Store(path) as store:
        trees = (tree(chance, vocabulary, shares, size, length, place) for place, size in enumerate([LONG, *lengths]))
        while batch := list(itertools.islice(trees, BATCH)):
            store.insert(batch)
    return time.perf_counter() - start


def tree(
    chance: random.Random, vocabulary: list[str], shares: list[float], size: int, length: int, place: int
) -> ChatTree:
    """A chat of so many messages; people say a third of the words, models the rest."""
    when = 1.7e9 + place * 3600
    messages = []
    for number in range(size):
        role = "assistant" if number % 2 else "user"
        count = max(1, round(chance.expovariate(1 / length) * (4 / 3 if number % 2 else 2 / 3)))
        content = " ".join(chance.choices(vocabulary, cum_weights=shares, k=count))
        if chance.random() < 0.1:
            content = "".join(
                chance.choices(
                    "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会", k=count
                )
            )
        messages.append(
            Message(str(number), "", str(number - 1) if number else None, role, content, created=when + number)
        )
    title = messages[0].content[:60]
    return ChatTree(f"model-{place % 12}", {"title": title}, messages, None, when, when + size)


def measure(path: Path) -> dict[str, list[float]]:
    """Milliseconds of each thing, by its name."""
    chance = random.Random(3)
    vocabulary, _ = words()
    with Store(path) as store:
        pages = list(listed(store))
        longest = pages[-1].chats[-1]
        conversation = store.open(longest.id)
        assert len(conversation.messages) == LONG
        common = iter(vocabulary)
        rare = iter(vocabulary[10_000:])
        ideographs = itertools.cycle(["的一", "我不", "中国", "时", "生国年"])
        cases: dict[str, Callable[[], object]] = {
            "list, first page": lambda: store.chats(),
            "list, later page": lambda: store.chats(after=chance.choice(pages[:-1]).next),
            "list, of one model": lambda: store.chats(model=f"model-{chance.randrange(12)}"),
            "contacts": store.contacts,
            "chat of 1,000 messages": lambda: store.open(longest.id),
            "search: the commonest words": lambda: store.search(f"{next(common)} "),
            "search: two common words": lambda: store.search(" ".join(chance.sample(vocabulary[:100], 2)) + " "),
            "search: a rare word": lambda: store.search(f"{next(rare)} "),
            "search: two letters of a word": lambda: store.search(next(rare)[:2]),
            "search: four letters of a word": lambda: store.search(next(rare)[:4]),
            "search: one letter": lambda: store.search(next(rare)[:1]),
            "search: ideographs": lambda: store.search(next(ideographs)),
            "search: in one chat": lambda: store.search(f"{next(common)} ", chat=longest.id),
            "say (one commit)": lambda: store.say(
                pages[0].chats[0].id, "a message of the usual length, or somewhat less"
            ),
        }
        return {name: [timed(case) for _ in range(RUNS)] for name, case in cases.items()}


def listed(store: Store) -> Iterator[ChatPage]:
    """All pages of the list."""
    page = store.chats(limit=200)
    yield page
    while page.next:
        page = store.chats(limit=200, after=page.next)
        yield page


def timed(case: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    start = time.perf_counter()
    case()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
