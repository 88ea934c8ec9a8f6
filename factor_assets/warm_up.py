"""Compile every numeric kernel once; Numba keeps the result on disk, so that no later process waits for it."""

from importlib import import_module

from factor_assets.expressions.engine import warm_up

_KERNELS_OF_EVALUATION = (
    "event_study",
    "fama_macbeth",
    "hit_rate",
    "information",
    "newey_west",
    "overfitting",
    "portfolios",
    "quantile_portfolios",
    "quantile_weights",
    "quantiles",
    "random_portfolios",
    "ranking",
    "regressions",
    "rolling_regressions",
    "turnover",
)


def compile_kernels() -> None:
    """Compile the kernels of the expressions and of the evaluation; those have explicit signatures, so import does."""
    warm_up()
    for module in _KERNELS_OF_EVALUATION:
        import_module(f"factor_assets.evaluation.{module}")
