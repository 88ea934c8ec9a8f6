"""What the summary says, in plain words: how many factors stand out, and how many would by chance.

The numbers themselves are computed where the summary and the evidence are; the pages that show the words are
`comparison_page.py` and `factor_page.py`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import pyarrow as pa

from factor_assets.evaluation.evidence_tables import FactorRows
from factor_assets.evaluation.page_parts import HOW_TO_MAKE
from factor_assets.evaluation.summary import SIGNIFICANT_TSTAT

_SIZE = 0.05
_HOLDOUT = "The holdout was looked at: it is part of these numbers, and no longer a test of them."


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


def gate_reading(factors: Sequence[FactorRows], *, horizon: int | None) -> list[str]:
    """Say how many factors stand after counting the trials, and how many were promoted; nothing where not known."""
    told = []
    tested = [own for rows in factors if (own := rows.at(horizon)) is not None and own["holm_pvalue"] is not None]
    if tested:
        stand = sum(own["holm_pvalue"] < _SIZE for own in tested)
        n_trials = max(own["n_trials"] or 0 for own in tested)
        told.append(
            f"Rank IC over {_sessions(tested[0]['horizon'])}, Newey-West, after Holm over {n_trials:,} trials:"
            f" {stand} of {len(tested)} with p below {_SIZE}."
        )
    judged = [rows for rows in factors if rows.promotion is not None]
    if judged:
        passed = [rows.name for rows in judged if rows.promotion is not None and rows.promotion["promoted"]]
        names = ", ".join(passed[:5]) + (f" and {len(passed) - 5} more" if len(passed) > 5 else "")
        told.append(f"Promoted: {len(passed)} of {len(judged)}{f' ({names})' if passed else ''}.")
    if any(own["has_holdout"] for rows in factors for own in rows.evidence):
        told.append(_HOLDOUT)
    return told


def factor_verdict(rows: FactorRows, *, horizon: int | None, sign: int = 0) -> Verdict:
    """Judge one factor: does it work, is it luck, is it new, what does it cost.

    Parameters
    ----------
    rows
        Its rows; a number that is missing is said to be missing.
    horizon
        Of the evidence to judge by.
    sign
        Direction published; 0 where nothing is claimed.
    """
    own = rows.at(horizon)
    if rows.promotion is not None:
        promoted = rows.promotion["promoted"]
        headline = (
            "Promoted: it passed every gate." if promoted else f"Refused: {rows.promotion['reasons'].rstrip('.')}."
        )
    else:
        headline = _judged(rows.summary, own)
    reading = [
        f"Does it work? {_works(rows.summary, own, sign)}",
        f"Is it luck? {_luck(own)}",
        f"Is it new? {_new(own)}",
        f"What does it cost? {_cost(rows.summary, own)}",
    ]
    if any(row["has_holdout"] for row in rows.evidence):
        reading.append(_HOLDOUT)
    return Verdict(headline=headline, reading=tuple(reading))


def _judged(summary: Mapping[str, Any], own: Mapping[str, Any] | None) -> str:
    if own is not None and own["holm_pvalue"] is not None:
        trials = "1 trial" if own["n_trials"] == 1 else f"{own['n_trials']:,} trials"
        if own["holm_pvalue"] < _SIZE:
            return f"Its rank IC differs from zero, also after {trials} (p {own['holm_pvalue']:.2g}, Holm)."
        return f"Its rank IC cannot be told from luck after {trials} (p {own['holm_pvalue']:.2g}, Holm)."
    tstat = own["mean_rank_ic_tstat"] if own is not None else summary["rank_ic_tstat"]
    if tstat is None:
        return "It has no rank IC that can be tested."
    differs = "differs" if abs(tstat) > SIGNIFICANT_TSTAT else "does not differ"
    return _signed(f"Its rank IC {differs} from zero (t {tstat:.2f}), if it was the only one tried.")


def _works(summary: Mapping[str, Any], own: Mapping[str, Any] | None, sign: int) -> str:
    told = []
    ic, tstat = (
        (summary["mean_rank_ic"], summary["rank_ic_tstat"])
        if own is None
        else (own["mean_rank_ic"], own["mean_rank_ic_tstat"])
    )
    if ic is None:
        told.append("No rank IC.")
    else:
        over = "" if own is None else f" over {_sessions(own['horizon'])}"
        told.append(f"Mean rank IC {ic:+.4f}{over}{_t(tstat)}.")
        if sign:
            told.append(_direction(ic, sign))
    if summary["annualized_return"] is not None:
        earned = f"{100 * summary['annualized_return']:+.1f}% a year{_t(summary['factor_return_tstat'])}"
        told.append(f"High less low earned {earned}, before costs.")
    return _signed(" ".join(told))


def _direction(ic: float, sign: int) -> str:
    agrees = (ic > 0) == (sign > 0)
    return "The sign is the published one." if agrees else "The sign is not the published one."


def _luck(own: Mapping[str, Any] | None) -> str:
    if own is None:
        return f"Not tested: {HOW_TO_MAKE.format(table='factor_evidence')}"
    told = []
    if own["rank_ic_pvalue"] is not None:
        told.append(f"p {own['rank_ic_pvalue']:.2g} alone")
    if own["holm_pvalue"] is not None:
        told.append(f"{own['holm_pvalue']:.2g} after Holm over {own['n_trials']:,} trials")
    if own["deflated_sharpe_ratio"] is not None:
        told.append(f"deflated Sharpe ratio {own['deflated_sharpe_ratio']:.3f}")
    return f"{', '.join(told)}." if told else f"Not known: {own['reason'] or 'no test could be computed'}."


def _new(own: Mapping[str, Any] | None) -> str:
    if own is None or own["closest_factor"] is None or own["closest_correlation"] is None:
        return "Not known: it was compared with no other factor."
    return _signed(f"Closest is {own['closest_factor']}, rank correlation {own['closest_correlation']:+.2f}.")


def _cost(summary: Mapping[str, Any], own: Mapping[str, Any] | None) -> str:
    told = []
    if summary["mean_turnover"] is not None:
        told.append(f"Turnover {100 * summary['mean_turnover']:.1f}% a session")
    if own is not None and own["median_capacity"] is not None:
        told.append(f"median capacity {own['median_capacity'] / 1e6:,.1f} million")
    return f"{', '.join(told)}." if told else "Not known."


def _t(tstat: float | None) -> str:
    return "" if tstat is None else f" (t {tstat:.2f})"


def _sessions(n: int) -> str:
    return f"{n:,} session" if n == 1 else f"{n:,} sessions"


def _signed(text: str) -> str:
    """Minus signs before digits as such."""
    return re.sub(r"(?<![\w.])-(?=[\d.])", "\u2212", text)
