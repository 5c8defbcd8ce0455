"""Shares with their counts and intervals, as every figure is given, and the test between two of them."""

from __future__ import annotations

import math
from collections.abc import Iterable


def proportion(count: int, of: int) -> dict[str, float | int]:
    """A share with its count and 95 % Wilson interval (Wilson 1927, z = 1.96)."""
    if not of:
        return {"count": 0, "of": 0, "share": 0.0, "low": 0.0, "high": 1.0}
    z, share = 1.959964, count / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return {"count": count, "of": of, "share": round(share, 4), "low": round(low, 4), "high": round(high, 4)}


def paired_test(gained: int, lost: int) -> dict[str, float | int]:
    """Exact two-sided McNemar test (McNemar 1947) of the cases that one of two models alone has right."""
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / 2**n if n else 0.5
    return {"gained": gained, "lost": lost, "p": min(1.0, 2 * tail)}


def gain(failed_before: Iterable[str], failed: Iterable[str]) -> dict[str, float | int]:
    """`paired_test` of two models by the ids of the cases that each has wrong."""
    before, after = set(failed_before), set(failed)
    return paired_test(len(before - after), len(after - before))
