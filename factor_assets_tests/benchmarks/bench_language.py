"""Twenty factors on 2,520 sessions x 500 tickers: this engine beside four peers, in one run.

    python -m factor_assets_tests.benchmarks.bench_language [--tickers 500] [--repeats 5] [--peers all]

All start from their own containers in memory and hold every result until all twenty are there; the values are compared
before anything is timed. Repeats alternate, so that a busy machine slows all. With `--tickers 3000 --peers none` only
this engine runs. Peak memory is that of a process of its own that holds the inputs and all outputs.
"""

import argparse
import builtins
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from factor_assets.expressions import (
    abs,  # noqa: A004
    argmax,
    beta,
    close,
    corr,
    cross_mean,
    decay_linear,
    delay,
    delta,
    dollar_volume,
    ema_span,
    high,
    log,
    low,
    max,  # noqa: A004
    maximum,
    mean,
    open,  # noqa: A004
    rank,
    raw_volume,
    returns,
    shares_outstanding,
    signed_power,
    skew,
    std,
    sum,  # noqa: A004
    ts_rank,
    ts_zscore,
    volume,
    where,
)
from factor_assets.expressions.engine import evaluate, warm_up
from factor_assets.expressions.expression import Expression
from factor_assets.panel.panel import Panel, derived_fields


def _relative_strength(n: int) -> Expression:
    up, down = mean(maximum(delta(close, 1), 0), n), mean(maximum(-delta(close, 1), 0), n)
    return 100 * up / (up + down)


_TYPICAL = (high + low + close) / 3

FACTORS = {
    "momentum_12_1": delay(close, 21) / delay(close, 252) - 1,
    "reversal_5": close / delay(close, 5) - 1,
    "volatility_20": std(returns, 20),
    "beta_252": beta(returns, cross_mean(returns), 252, min_periods=120),
    "turnover_20": mean(raw_volume / shares_outstanding, 20),
    "amihud_20": mean(abs(returns) / dollar_volume, 20, min_periods=10) * 1e6,
    "rsi_14": _relative_strength(14),
    "macd_12_26": (ema_span(close, 12) - ema_span(close, 26)) / close,
    "bollinger_20": ts_zscore(close, 20),
    "max_20": max(returns, 20),
    "skew_60": skew(returns, 60),
    "ts_rank_20": ts_rank(close, 20),
    "ts_corr_20": corr(close, volume, 20),
    "decay_linear_10": decay_linear(returns, 10),
    "alpha_001": rank(argmax(signed_power(where(returns < 0, std(returns, 20), close), 2), 5)) - 0.5,
    "alpha_002": -corr(rank(delta(log(volume), 2)), rank((close - open) / open), 6),
    "alpha_003": -corr(rank(open), rank(volume), 10),
    "alpha_004": -ts_rank(rank(low), 9),
    "alpha_005": rank(open - sum(_TYPICAL, 10) / 10) * (-abs(rank(close - _TYPICAL))),
    "alpha_006": -corr(open, volume, 10),
}


def market(n_dates: int, n_tickers: int) -> Panel:
    """Random walks with 1% of the rows missing."""
    rng = np.random.default_rng(0)
    shape = (n_dates, n_tickers)
    close_ = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0))
    low_, high_ = close_ * np.exp(-rng.exponential(0.01, shape)), close_ * np.exp(rng.exponential(0.01, shape))
    raw = {
        "open": low_ + (high_ - low_) * rng.random(shape),
        "high": high_,
        "low": low_,
        "close": close_,
        "volume": np.round(rng.lognormal(12, 1, shape)),
        "total_return_factor": np.ones(shape),
        "split_factor": np.ones(shape),
        "shares_outstanding": np.full(shape, 1e8),
    }
    gone = rng.random(shape) < 0.01
    for values in raw.values():
        values[gone] = np.nan
    return Panel(
        dates=np.arange(n_dates).astype("datetime64[D]"),
        tickers=tuple(f"T{j:05d}" for j in range(n_tickers)),
        fields=derived_fields(raw),
        in_universe=np.ones(shape, dtype=bool),
    )


def ours(panel: Panel) -> dict[str, np.ndarray]:
    """All twenty, held."""
    return dict(evaluate(FACTORS, panel))


def compare(peer: Any, panel: Panel) -> None:
    """Stop where a peer's values are not ours; rounding of its running sums is allowed for."""
    theirs = peer.run(FACTORS)
    for name, values in ours(panel).items():
        other = np.where(np.isfinite(wide := peer.wide(theirs[name])), wide, np.nan)
        both = np.isfinite(values) & np.isfinite(other)
        close_to = np.isclose(values[both], other[both], rtol=1e-5, atol=1e-8).mean()
        assert close_to > 0.998, (peer.name, name, close_to)
        # a window of equal ranks has no correlation here, and one of rounding errors there
        assert (np.isfinite(values) == np.isfinite(other)).mean() > 0.98, (peer.name, name)


def peak_memory(n_dates: int, n_tickers: int) -> dict[str, float]:
    """Peak of this process in MB beyond its inputs and outputs, which it holds. Linux only."""
    panel = market(n_dates, n_tickers)
    warm_up()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    held = ours(panel)
    outputs = builtins.sum(values.nbytes for values in held.values()) / 1e6
    return {
        "inputs_mb": round(builtins.sum(v.nbytes for v in panel.fields.values()) / 1e6),
        "outputs_mb": round(outputs),
        "beyond_inputs_and_outputs_mb": round(_status("VmHWM") - before - outputs),
    }


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(name)


_CHILD = """
import numpy as np
from factor_assets.panel.panel import Panel
from factor_assets_tests.benchmarks.bench_language import FACTORS, ours
given = dict(np.load({path!r}))
dates, members = given.pop("dates"), given.pop("members")
tickers = tuple(f"T{{j:05d}}" for j in range(members.shape[1]))
panel = Panel(dates=dates, tickers=tickers, fields=given, in_universe=members)
{run}
"""


def fresh_processes(n_dates: int, n_tickers: int, repeats: int) -> dict[str, float]:
    """Seconds of whole processes that import, load the same file and compute; the compile cache is warm."""
    warm_up()
    panel = market(n_dates, n_tickers)
    runs = {
        "ours": "ours(panel)",
        "pandas_wide": (
            "from factor_assets_tests.benchmarks.peer_pandas import PandasWide\n"
            "with np.errstate(all='ignore'): PandasWide(panel).run(FACTORS)"
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with TemporaryDirectory() as folder:
        path = f"{folder}/market.npz"
        np.savez(path, dates=panel.dates, members=panel.in_universe, **panel.fields)
        for _ in range(repeats):
            for name, run in runs.items():
                begin = perf_counter()
                subprocess.run([sys.executable, "-c", _CHILD.format(path=path, run=run)], check=True)
                seconds[name].append(perf_counter() - begin)
    medians = {f"{name}_process_s": round(median(times), 2) for name, times in seconds.items()}
    return {**medians, "ratio": round(median(seconds["pandas_wide"]) / median(seconds["ours"]), 2)}


def main() -> None:
    """Print the medians and their ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dates", type=int, default=2520)
    arguments.add_argument("--tickers", type=int, default=500)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--peers", choices=("all", "none"), default="all")
    arguments.add_argument("--memory", action="store_true", help="measure peak memory alone")
    arguments.add_argument("--fresh", action="store_true", help="measure whole processes: ours and pandas on frames")
    given = arguments.parse_args()
    if given.memory:
        sys.stdout.write(json.dumps(peak_memory(given.dates, given.tickers)) + "\n")
        return

    if given.fresh:
        sys.stdout.write(json.dumps(fresh_processes(given.dates, given.tickers, given.repeats)) + "\n")
        return

    from factor_assets_tests.benchmarks.peer_bottleneck import Bottleneck
    from factor_assets_tests.benchmarks.peer_pandas import PandasGroupby, PandasWide
    from factor_assets_tests.benchmarks.peer_polars import PolarsOver

    panel = market(given.dates, given.tickers)
    warm_up()
    peers = (
        [peer(panel) for peer in (PandasGroupby, PandasWide, PolarsOver, Bottleneck)] if given.peers == "all" else []
    )
    for peer in peers:
        with np.errstate(all="ignore"):
            compare(peer, panel)
    seconds: dict[str, list[float]] = {"ours": [], **{peer.name: [] for peer in peers}}
    for _ in range(given.repeats):
        runs = [("ours", ours, panel), *((peer.name, peer.run, FACTORS) for peer in peers)]
        for name, run, argument in runs:
            with np.errstate(all="ignore"):
                begin = perf_counter()
                held = run(argument)
                seconds[name].append(perf_counter() - begin)
                del held
    medians = {name: round(median(times), 4) for name, times in seconds.items()}
    result = {
        "dates": given.dates,
        "tickers": given.tickers,
        "factors": len(FACTORS),
        "seconds": medians,
        "ratios": {name: round(s / medians["ours"], 1) for name, s in medians.items() if name != "ours"},
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
