"""What so many threads can do on this machine when they do nothing else: the roof under which speeds are quoted.

A look is the median of its passes of some milliseconds, as the speed beside it is of its runs: where a machine is
shared, its best pass is a burst that no run could keep up.
"""

from __future__ import annotations

from typing import NamedTuple

PROBE_BYTES = 256 << 20  # larger than any cache
PROBE_SECONDS = 0.2


class Limits(NamedTuple):
    """Bytes read, and int8 operations done, in a second."""

    bandwidth: float
    peak: float

    def better(self, other: Limits) -> Limits:
        """The higher of each."""
        return Limits(max(self.bandwidth, other.bandwidth), max(self.peak, other.peak))


def measure_limits(threads: int) -> Limits:
    """One look: memory streamed by plain reads, and the kernels' int8 instructions on registers."""
    from furet import _core

    bandwidth = _core.measure_bandwidth(threads, PROBE_BYTES, PROBE_SECONDS)
    return Limits(bandwidth, _core.measure_int8_peak(threads, PROBE_SECONDS))
