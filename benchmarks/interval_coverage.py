"""How often the 95 % interval of a pass-rate holds the truth.

Run `python benchmarks/interval_coverage.py`; it takes under a minute.

Problems have pass-rates of their own, Beta(a, b), and 8 samples each. Beta(0.02, 1): almost nothing is ever
solved; Beta(0.2, 0.2): a problem is known or not; Beta(8, 0.2): almost everything is solved.
"""

import math

import numpy as np
from palaestra.trainer import intervals

REPEATS = 2_000


def coverage(a: float, b: float, problems: int, k: int) -> tuple[float, float]:
    """Share of repeats whose interval holds the truth, and the mean width."""
    truth = 1 - math.prod((b + i) / (a + b + i) for i in range(k))
    rng = np.random.default_rng(1)
    hits, width = 0, 0.0
    for _ in range(REPEATS):
        estimate = intervals.pass_at_k(rng.binomial(8, rng.beta(a, b, size=problems)).tolist(), 8, k)
        hits += estimate.low <= truth <= estimate.high
        width += estimate.high - estimate.low
    return hits / REPEATS, width / REPEATS


if __name__ == "__main__":
    intervals.DRAWS = 4_000  # the ends move by 1 to 2 % of the width, and it is five times as fast
    print("   a    b  problems  k  coverage  width")
    for a, b in [(0.02, 1.0), (0.3, 0.7), (0.2, 0.2), (8.0, 0.2)]:
        for problems in (20, 100):
            for k in (1, 4):
                covered, width = coverage(a, b, problems, k)
                print(f"{a:4} {b:4} {problems:9} {k:2} {100 * covered:7.1f} % {width:6.3f}")
