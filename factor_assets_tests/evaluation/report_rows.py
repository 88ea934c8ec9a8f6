"""All evidence tables for the tests of the pages: the rows of `evidence.py` and the new tables beside them, seeded."""

from typing import Any

import numpy as np
import pyarrow as pa

from factor_assets.evaluation.evidence_tables import EvidenceTables
from factor_assets.tables import TABLES
from factor_assets_tests.evaluation.evidence import FACTORS, FIRST_DATE, LAST_DATE, NULL_FACTOR, evidence

HORIZONS = (1, 5, 21)
REASON = "p 0.62 after Holm is above 0.05; closest <factor> & co"


def report_tables(*, has_holdout: bool = False) -> EvidenceTables:
    """Four factors, one of them without any number and one with a hostile name, with every table."""
    rng = np.random.default_rng(11)
    four = evidence()
    days = sorted(set(four["timeseries"]["date"].to_pylist()))
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("information", "trading", "evidence", "promoted")}
    for i, (name, family) in enumerate(FACTORS):
        own = {"factor_name": name, "factor_type": family, "universe": "all", "source": "sample"}
        known = name != NULL_FACTOR
        ic = rng.normal(0.02, 0.1, (len(days), len(HORIZONS)))
        for d, day in enumerate(days):
            rows["trading"].append(
                own
                | {"date": day, "rank_autocorrelation": 0.9 if known else None, "turnover": 0.1 if known else None}
                | {"capacity": 2.5e6 if known else None}
            )
            rows["information"] += [
                own | {"date": day, "horizon": h, "ic": None, "rank_ic": ic[d, k] if known else None, "n_pairs": 30}
                for k, h in enumerate(HORIZONS)
            ]
        rows["evidence"] += [
            evidence_row(own, horizon=h, ic=0.03 / (k + 1) if known else None, tstat=3.0 - k, has_holdout=has_holdout)
            for k, h in enumerate(HORIZONS)
        ]
        rows["promoted"].append(promoted_row(own, promoted=i == 0))
    new = {name: pa.Table.from_pylist(part, schema=_schema(name)) for name, part in rows.items()}
    return EvidenceTables(**four, **new, **_robustness(), correlations=correlations(list(FACTORS), rng))


def _robustness() -> dict[str, pa.Table]:
    """Variants, spanning regressions and curves of every factor, and the choice among them."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("variant_evidence", "factor_spanning", "factor_event_curves", "factor_selection")
    }
    market = {"universe": "all", "source": "sample"}
    for name, family in FACTORS:
        own = {"factor_name": name, "factor_type": family, **market}
        known = name != NULL_FACTOR
        for variant in ("equal", "sector_neutral"):
            reason = None if known else "<sector> unknown"
            rows["variant_evidence"].append(
                own
                | {"variant": variant, "n_sessions": 280 if known else 0, "reason": reason}
                | {"mean_variant_return": 0.0004 if known else None, "variant_return_tstat": 2.4 if known else None}
            )
        for coefficient, loading in (("alpha", 0.0002), ("market", -0.31)):
            rows["factor_spanning"].append(
                own
                | {"benchmark": "market", "coefficient": coefficient, "loading": loading if known else None}
                | {"loading_tstat": 2.2 if known else None, "spanning_rsquared": 0.2 if known else None}
                | {"n_sessions": 280 if known else 0, "reason": None if known else "too few observations"}
            )
        rows["factor_event_curves"] += [
            own | {"offset": k, "top_curve": 0.001 * k if known else None, "bottom_curve": None, "n_sorts": 100}
            for k in range(-5, 6)
        ]
    for scope in ("Momentum", "all"):
        rows["factor_selection"].append(
            {"scope": scope, "n_factors": 3, "n_sessions": 280, "best_factor": "Momentum/ret_12_1", **market}
            | {"best_sharpe_ratio": 0.05, "overfitting_probability": 0.42, "n_trials": 150}
            | {"reason": None if scope == "all" else "too <few> factors"}
        )
    made = {name: pa.Table.from_pylist(part, schema=TABLES[name].schema) for name, part in rows.items()}
    return {
        "variants": made["variant_evidence"],
        "spanning": made["factor_spanning"],
        "event_curves": made["factor_event_curves"],
        "selection": made["factor_selection"],
    }


def many_factors(n_factors: int, *, n_tickers: int = 100) -> EvidenceTables:
    """As many factors as asked for in ten families, for the comparison: no session, every other table."""
    rng = np.random.default_rng(3)
    keys = [(f"factor_{i:03d}", f"family_{i % 10}") for i in range(n_factors)]
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in ("summary", "details", "evidence", "promoted")}
    template = evidence(n_sessions=50)["summary"].to_pylist()[0]
    for i, (name, family) in enumerate(keys):
        own = {"factor_name": name, "factor_type": family, "universe": "all", "source": "sample"}
        tstat = float(rng.normal(0, 1.5))
        numbers = {"avg_beta": rng.normal(0, 0.4), "avg_tstat": rng.normal(0, 2), "avg_rsquared": rng.uniform(0, 0.3)}
        parts["summary"].append(template | own | numbers | {"factor_return_tstat": tstat, "mean_rank_ic": tstat / 100})
        beta = rng.normal(0.2, 0.5, n_tickers)
        parts["details"] += [
            own
            | {"ticker": f"T{k:03d}", "test_date": LAST_DATE, "start_date": FIRST_DATE, "end_date": LAST_DATE}
            | {"alpha": 0.0, "beta": b, "tstat": 8 * b, "pvalue": 0.1, "rsquared": min(0.9, b * b)}
            | {"conf_int_lower": b - 0.1, "conf_int_upper": b + 0.1, "n_observations": 300}
            for k, b in enumerate(beta.tolist())
        ]
        parts["evidence"] += [
            evidence_row(own, horizon=h, ic=tstat / 100 / h**0.5, tstat=tstat) for h in (1, 5, 10, 21, 63)
        ]
        parts["promoted"].append(promoted_row(own, promoted=i % 20 == 0))
    made = {name: pa.Table.from_pylist(rows, schema=_schema(name)) for name, rows in parts.items()}
    empty = {name: _schema(name).empty_table() for name in ("timeseries", "quantiles", "information", "trading")}
    return EvidenceTables(**made, **empty, correlations=correlations(keys, rng))


def evidence_row(
    own: dict[str, Any], *, horizon: int, ic: float | None, tstat: float, has_holdout: bool = False
) -> dict[str, Any]:
    """One row of `factor_evidence`; without an IC every number is null, with the reason."""
    numbers = {
        "mean_ic": ic,
        "mean_rank_ic": ic,
        "icir": 0.2,
        "mean_rank_ic_tstat": tstat,
        "rank_ic_pvalue": 0.003,
        "bonferroni_pvalue": 0.62,
        "holm_pvalue": 0.6,
        "fdr_pvalue": 0.3,
        "fdr_any_pvalue": 0.9,
        "hit_rate": 0.55,
        "monotonicity_pvalue": 0.04,
        "deflated_sharpe_ratio": 0.31,
        "median_capacity": 2.5e6,
        "mean_coverage": 0.75,
        "random_portfolio_pvalue": 0.02,
        "marginal_rank_ic": 0.011,
        "marginal_rank_ic_tstat": 1.4,
        "closest_factor": "Momentum/ret_12_1",
        "closest_correlation": -0.42,
        "fama_macbeth_premium": 1e-4,
        "fama_macbeth_tstat": 1.2,
    }
    known = ic is not None
    return (
        own
        | {column: value if known else None for column, value in numbers.items()}
        | {"horizon": horizon, "test_date": LAST_DATE, "start_date": FIRST_DATE, "end_date": LAST_DATE}
        | {"has_holdout": has_holdout, "n_sessions": 280 if known else 0, "n_trials": 150}
        | {"neutralised_on": "Value/be_me", "reason": None if known else "no session has a rank IC"}
    )


def promoted_row(own: dict[str, Any], *, promoted: bool) -> dict[str, Any]:
    """One row of `promoted_factors`."""
    return own | {"promoted": promoted, "reasons": "" if promoted else REASON, "test_date": LAST_DATE, "n_trials": 150}


def correlations(keys: list[tuple[str, str]], rng: np.random.Generator) -> pa.Table:
    """Rows of `factor_correlations`: every ordered pair of (name, family)."""
    n = len(keys)
    loads = rng.normal(0, 1, (n, 6)) + 2 * np.eye(6)[np.arange(n) % 6]
    ranks = np.corrcoef(loads)
    place = np.argsort(np.argsort(np.arange(n) % 6, kind="stable"))
    first, second = (part.ravel() for part in np.indices((n, n)))
    keep = first != second
    first, second = first[keep], second[keep]
    names, families = np.array([name for name, _ in keys]), np.array([family for _, family in keys])
    columns = {
        "factor_name": names[first],
        "factor_type": families[first],
        "other_name": names[second],
        "other_type": families[second],
        "return_correlation": ranks[first, second] / 2,
        "rank_correlation": ranks[first, second],
        "cluster": first % 6,
        "place": place[first],
        "universe": np.full(len(first), "all"),
        "source": np.full(len(first), "sample"),
    }
    schema = _schema("correlations")
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)


def _schema(name: str) -> pa.Schema:
    return TABLES["promoted_factors" if name == "promoted" else f"factor_{name}"].schema
