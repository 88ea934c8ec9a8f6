"""Alpha158 on 2,520 sessions x 500 tickers in one process: time and memory.

    python -m factor_assets_tests.benchmarks.bench_alpha158 [--tickers 500] [--repeats 3]

The panel is in memory and kernels are compiled before the clock starts; every column is computed, looked at and let
go, as a writer of one column at a time would. The goal is 10 s on a quiet machine of two cores. `cpu_s` beside `wall_s`
says how busy the machine was; `peak_added_mb` is the largest memory of the process beyond
the panel and what it had before.
"""

import argparse
import json
import resource
import sys
from time import perf_counter, process_time

import numpy as np

from factor_assets.expressions.engine import evaluate, warm_up
from factor_assets.factors.libraries.alpha158 import LIBRARY
from factor_assets_tests.benchmarks.bench_language import market


def _peak_mb() -> float:
    """Return the largest resident memory so far; Linux counts it in kB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main() -> None:
    """Print the best time of all columns, and the memory."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dates", type=int, default=2520)
    arguments.add_argument("--tickers", type=int, default=500)
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()

    warm_up()
    before = _peak_mb()
    panel = market(given.dates, given.tickers)
    panel_mb = sum(values.nbytes for values in panel.fields.values()) / 1024**2
    expressions = {name: factor.expression for name, factor in LIBRARY.factors.items()}
    runs: list[tuple[float, float]] = []
    coverage: dict[str, float] = {}
    for _ in range(given.repeats):
        begin, cpu_begin = perf_counter(), process_time()
        for name, values in evaluate(expressions, panel):
            coverage[name] = float(np.isfinite(values[-1]).mean())
            del values
        runs.append((perf_counter() - begin, process_time() - cpu_begin))
    wall, cpu = min(runs)
    result = {
        "dates": given.dates,
        "tickers": given.tickers,
        "columns": len(coverage),
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "panel_mb": round(panel_mb, 1),
        "peak_mb": round(_peak_mb(), 1),
        "peak_added_mb": round(_peak_mb() - before - panel_mb, 1),
        "least_coverage": round(min(coverage.values()), 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
