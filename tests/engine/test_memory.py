"""How much memory there is, from files like those of the kernel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_kernel import kernel

from furet.engine.memory import budget, parse_size, readable
from furet.errors import BadRequest

GIB = 1 << 30


def machine(root: Path, groups: str = "", files: Mapping[str, str] | None = None) -> Path:
    """A machine that leaves 8 GiB."""
    meminfo = f"MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable: {8 * GIB // 1024} kB\n"
    return kernel(root, {"proc/meminfo": meminfo, "proc/self/cgroup": groups, **(files or {})})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6G", 6 * GIB),
        ("6g", 6 * GIB),
        ("500MB", 500_000_000),
        ("1.5GiB", 3 * GIB // 2),
        (" 2 TB ", 2 * 10**12),
        ("64k", 65536),
        (".5M", 1 << 19),
        ("1000", 1000),
        (1000, 1000),
        ("7B", 7),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "0", "-1G", "6X", "1e9", "nan", "6 G B", "9" * 30, 0, -5, True])
def test_what_is_no_size(text):
    with pytest.raises(BadRequest, match="memory"):
        parse_size(text)


def test_readable():
    assert [readable(n) for n in (0, 999, 98_362_432, 999_960_000, 10**13)] == [
        "0 B",
        "999 B",
        "98.4 MB",
        "1.0 GB",
        "10.0 TB",
    ]


def test_what_the_machine_leaves_is_the_budget_less_a_sixteenth(tmp_path):
    found = budget(root=machine(tmp_path))
    assert (found.bytes, found.source) == (15 * GIB // 2, "what the machine leaves")


def test_what_is_asked_for_is_the_budget_when_it_is_there(tmp_path):
    root = machine(tmp_path)
    assert budget("6G", root).bytes == 6 * GIB
    assert budget("6G", root).source == "the budget asked for"
    assert (budget("9G", root).bytes, budget("9G", root).source) == (8 * GIB, "what the machine leaves")


def test_the_tightest_group_of_version_2_binds_and_page_cache_is_free(tmp_path):
    outer = {
        "sys/fs/cgroup/a/memory.max": str(4 * GIB),
        "sys/fs/cgroup/a/memory.current": str(3 * GIB),
        "sys/fs/cgroup/a/memory.stat": f"anon 7\nactive_file {GIB}\ninactive_file {GIB // 2}\n",
    }
    inner = {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "5"}
    found = budget(root=machine(tmp_path, "0::/a/b\n", {**outer, **inner}))
    left = 4 * GIB - 3 * GIB + 3 * GIB // 2
    assert (found.bytes, found.source) == (left - left // 16, "what the control group leaves")


def test_a_container_whose_path_is_not_below_the_mount(tmp_path):
    files = {"sys/fs/cgroup/memory.max": str(GIB), "sys/fs/cgroup/memory.current": str(GIB // 4)}
    assert budget("2G", machine(tmp_path, "0::/../../elsewhere\n", files)).bytes == 3 * GIB // 4


def test_groups_of_version_1(tmp_path):
    own, mount = "sys/fs/cgroup/memory/docker/abc", "sys/fs/cgroup/memory"
    files = {
        f"{own}/memory.limit_in_bytes": str(2 * GIB),
        f"{own}/memory.usage_in_bytes": str(GIB),
        f"{own}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB // 2}\n",
        f"{mount}/memory.limit_in_bytes": "9223372036854771712",
        f"{mount}/memory.usage_in_bytes": "1",
    }
    groups = "12:pids:/x\n5:memory:/docker/abc\n1:name=systemd:/x\n0::/x\n"
    assert budget("3G", machine(tmp_path, groups, files)).bytes == 3 * GIB // 2


def test_a_full_group_leaves_nothing(tmp_path):
    files = {"sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.current": "5000"}
    assert budget(root=machine(tmp_path, "0::/\n", files)).bytes == 0


def test_a_limit_on_address_space(tmp_path):
    limits = "Limit                     Soft Limit           Hard Limit           Units\n"
    limits += f"Max address space         {2 * GIB}           unlimited            bytes\n"
    root = machine(tmp_path, files={"proc/self/limits": limits, "proc/self/statm": "1024 3 4 5"})
    assert budget("3G", root).bytes == 2 * GIB - 1024 * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("text", ["", "nonsense", "MemAvailable: x kB", "MemAvailable:\n"])
def test_odd_files_of_the_kernel_do_not_stop_anything(tmp_path, text):
    assert budget(root=machine(tmp_path, ":::::\n\n7\n0::/a\n", {"proc/meminfo": text})).bytes > 0
