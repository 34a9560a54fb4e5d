"""The default number of threads, from files like those of the kernel."""

from __future__ import annotations

import os

import pytest
from fake_kernel import kernel

from furet.engine.threads import cpu_quota, default_threads


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("limit", "quota", "threads"),
    [
        ("max 100000", None, 8),
        ("400000 100000", 4.0, 4),
        ("250000 100000", 2.5, 2),
        ("50000 100000", 0.5, 1),
        ("10000000 100000", 100.0, 8),
        ("nonsense", None, 8),
    ],
)
def test_version_2(tmp_path, limit, quota, threads):
    root = kernel(tmp_path, {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": limit})
    assert (cpu_quota(root), default_threads(root)) == (quota, threads)


def test_version_1(tmp_path):
    files = {
        "proc/self/cgroup": "3:cpu,cpuacct:/docker/x\n",
        "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    }
    root = kernel(tmp_path, files)
    assert (cpu_quota(root), default_threads(root)) == (3.0, 3)


def test_without_groups_affinity_decides(tmp_path):
    assert (cpu_quota(tmp_path), default_threads(tmp_path)) == (None, 8)
