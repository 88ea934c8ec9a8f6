"""The factor language: `rank(-delta(close, 5))` in Python or in text, evaluated on a panel.

    from factor_assets.expressions import close, delay, parse

    momentum = delay(close, 21) / delay(close, 252) - 1
    momentum == parse("delay(close, 21) / delay(close, 252) - 1")

`evaluate` and `warm_up` are in `expressions.engine`, which loads Numba; everything here is light.
"""

from factor_assets.expressions.derived import code_version, fields, is_cross_sectional, lookback
from factor_assets.expressions.expression import (
    OPERATORS,
    Call,
    Constant,
    Expression,
    Field,
    register_field,
)
from factor_assets.expressions.names import (
    close,
    dollar_volume,
    high,
    low,
    market_cap,
    open,  # noqa: A004
    raw_close,
    raw_high,
    raw_low,
    raw_open,
    raw_volume,
    returns,
    shares_outstanding,
    split_close,
    volume,
)
from factor_assets.expressions.operators import (
    abs,  # noqa: A004
    beta,
    clip,
    corr,
    count,
    cov,
    cross_mean,
    delay,
    delta,
    demean,
    equal,
    exp,
    fill,
    is_missing,
    log,
    max,  # noqa: A004
    maximum,
    mean,
    min,  # noqa: A004
    minimum,
    product,
    rank,
    sign,
    sqrt,
    std,
    sum,  # noqa: A004
    var,
    where,
    zscore,
)
from factor_assets.expressions.parser import parse

__all__ = [
    "OPERATORS",
    "Call",
    "Constant",
    "Expression",
    "Field",
    "abs",
    "beta",
    "clip",
    "close",
    "code_version",
    "corr",
    "count",
    "cov",
    "cross_mean",
    "delay",
    "delta",
    "demean",
    "dollar_volume",
    "equal",
    "exp",
    "fields",
    "fill",
    "high",
    "is_cross_sectional",
    "is_missing",
    "log",
    "lookback",
    "low",
    "market_cap",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "open",
    "parse",
    "product",
    "rank",
    "raw_close",
    "raw_high",
    "raw_low",
    "raw_open",
    "raw_volume",
    "register_field",
    "returns",
    "shares_outstanding",
    "sign",
    "split_close",
    "sqrt",
    "std",
    "sum",
    "var",
    "volume",
    "where",
    "zscore",
]
