"""What the summary says, in plain words: how many factors stand out, and how many would by chance.

The numbers themselves are computed where the summary is; the page that shows the words is `tear_sheet`.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import pyarrow as pa

from factor_assets.evaluation.summary import SIGNIFICANT_TSTAT

_SIZE = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The one sentence, and those that qualify it."""

    headline: str
    reading: tuple[str, ...]


def verdict(summary: pa.Table) -> Verdict:
    """Judge a set of factors by the t-statistic of their mean return.

    Parameters
    ----------
    summary
        Rows of `factor_summary`. A factor with a null t-statistic is not counted as tried, and that is said.

    Returns
    -------
    The headline counts factors with |t| above 1.96 against the 5% that chance gives. The reading adds how likely that
    count is if no factor earns anything (binomial, as if the factors were independent), who clears the bar that
    holds the chance of any false find at 5% over all tries (Bonferroni), the strongest factor, and the rank IC.

    References
    ----------
    Harvey, Liu and Zhu (2016), ... and the Cross-Section of Expected Returns, RFS 29(1), section 4.
    """
    names = _names(summary)
    tstats = dict(_known(names, summary["factor_return_tstat"].to_pylist()))
    if not names:
        return Verdict(headline="No factor has been evaluated yet.", reading=())
    if not tstats:
        return Verdict(headline=f"{_factors(len(names))}, none with a return that can be tested.", reading=())
    beyond = sum(abs(t) > SIGNIFICANT_TSTAT for t in tstats.values())
    reading = [*_chance(beyond, len(tstats)), *_strict(tstats), _strongest(tstats, summary)]
    ic = [t for _, t in _known(names, summary["rank_ic_tstat"].to_pylist())]
    if ic:
        ic_beyond = sum(abs(t) > SIGNIFICANT_TSTAT for t in ic)
        reading.append(f"By rank IC, {ic_beyond} of {len(ic)} have |t| above {SIGNIFICANT_TSTAT}.")
    if len(tstats) < len(names):
        reading.append(f"{_factors(len(names) - len(tstats))} without a t-statistic: not counted as tried.")
    return Verdict(headline=_headline(beyond, len(tstats)), reading=tuple(reading))


def _names(summary: pa.Table) -> list[str]:
    """Name of each row, with its type where two rows share the name."""
    names = summary["factor_name"].to_pylist()
    types = summary["factor_type"].to_pylist()
    return [n if names.count(n) == 1 else f"{t}/{n}" for t, n in zip(types, names, strict=True)]


def _known(names: list[str], values: list[float | None]) -> list[tuple[str, float]]:
    return [(n, v) for n, v in zip(names, values, strict=True) if v is not None and math.isfinite(v)]


def _factors(n: int) -> str:
    return f"{n} factor" if n == 1 else f"{n} factors"


def _headline(beyond: int, tried: int) -> str:
    if tried == 1:
        earned = "earned" if beyond else "did not earn"
        return f"The one factor tried {earned} a mean return that differs from zero (|t| above {SIGNIFICANT_TSTAT})."
    found = "None" if beyond == 0 else str(beyond)
    return (
        f"{found} of the {_factors(tried)} tried earned a mean return that differs from zero"
        f" (|t| above {SIGNIFICANT_TSTAT}); chance alone would give {_SIZE * tried:.2g}."
    )


def _chance(beyond: int, tried: int) -> list[str]:
    if tried == 1 or beyond == 0:
        return []
    tail = sum(math.comb(tried, k) * _SIZE**k * (1 - _SIZE) ** (tried - k) for k in range(beyond, tried + 1))
    shown = "less than 0.1%" if tail < 0.001 else f"{tail:.1%}"
    line = f"If no factor earned anything and all were independent, {beyond} or more would stand out"
    return [f"{line} with probability {shown}."]


def _strict(tstats: dict[str, float]) -> list[str]:
    tried = len(tstats)
    if tried == 1:
        return []
    bar = NormalDist().inv_cdf(1 - _SIZE / (2 * tried))
    clear = [name for name, t in sorted(tstats.items(), key=lambda item: (-abs(item[1]), item[0])) if abs(t) > bar]
    told = ", ".join(clear[:5]) + (f" and {len(clear) - 5} more" if len(clear) > 5 else "") if clear else "none does"
    return [f"Clearing the bar for {tried} tries (|t| above {bar:.2f}, Bonferroni): {told}."]


def _strongest(tstats: dict[str, float], summary: pa.Table) -> str:
    name = min(tstats, key=lambda n: (-abs(tstats[n]), n))
    row = summary.slice(_names(summary).index(name), 1).to_pylist()[0]
    told = [f"t {tstats[name]:.2f}"]
    if row["annualized_return"] is not None:
        told.append(f"{100 * row['annualized_return']:+.1f}% a year")
    if row["sharpe_ratio"] is not None:
        told.append(f"Sharpe ratio {row['sharpe_ratio']:.2f}")
    numbers = ", ".join(told).replace("-", "\u2212")
    return f"Strongest: {name}, {numbers}."
