"""Random panels and random expressions."""

import numpy as np
from hypothesis import strategies as st

from factor_assets.expressions import Call, Constant, Expression, Field
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.panel.panel import Panel

FIELDS = ("close", "open", "volume")
SECTOR = st.just(Field("sector"))


def random_panel(seed: int, *, n_dates: int, n_tickers: int, first_row: int = 0) -> Panel:
    """A panel with runs of NaN, constants, ties, zeros, negative values, late listings and changing members."""
    rng = np.random.default_rng(seed)
    shape = (n_dates, n_tickers)
    fields = {}
    for name in FIELDS:
        values = rng.normal(rng.choice([0.0, 50.0]), 2.0, shape)
        for j in range(n_tickers):
            kind = rng.integers(6)
            if kind == 0:
                values[:, j] = rng.choice([0.0, 3.7, -1.1])
            elif kind == 1:
                values[:, j] = np.round(values[:, j])
            elif kind == 2:
                values[: rng.integers(n_dates + 1), j] = np.nan
            elif kind == 3:
                start = rng.integers(n_dates)
                values[start : start + rng.integers(1, 6), j] = np.nan
                values[start + 6 : start + 12, j] = 5.3
        values[rng.random(shape) < rng.choice([0.0, 0.2])] = np.nan
        fields[name] = values
    fields["sector"] = rng.choice([0.0, 1.0, 2.0, np.nan], shape)
    return Panel(
        dates=np.arange(n_dates).astype("datetime64[D]"),
        tickers=tuple(f"T{j:03d}" for j in range(n_tickers)),
        fields=fields,
        in_universe=rng.random(shape) < 0.8,
        first_row=first_row,
    )


panels = st.builds(
    random_panel,
    st.integers(0, 2**32 - 1),
    n_dates=st.integers(1, 40),
    n_tickers=st.integers(1, 6),
    first_row=st.integers(0, 50),
)


def _calls(operands: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    @st.composite
    def call(draw: st.DrawFn) -> Expression:
        spec = OPERATORS[draw(st.sampled_from(sorted(OPERATORS)))]
        names = [*spec.args, *[spec.args[-1]] * draw(st.integers(0, 2))] if spec.variadic else spec.args
        args = tuple(draw(operands | SECTOR if name in spec.labels else operands) for name in names)
        params: dict[str, float] = {}
        for name, kind in spec.params.items():
            if name in spec.defaults and draw(st.booleans()):
                continue
            if name == "n":
                params[name] = draw(st.integers(spec.smallest, 7))
            elif name == "min_periods":
                params[name] = draw(st.integers(1, max(1, min(7, spec.lookback(**params) + 1))))
            else:
                low, high = spec.limits[name]
                numbers = st.integers if kind is int else st.floats
                params[name] = draw(numbers(low, min(high, 4)))
        return Call(spec.name, args, tuple(params.items()))

    return call()


expressions = st.recursive(
    st.sampled_from([Field(name) for name in FIELDS])
    | st.floats(allow_nan=False, allow_infinity=False).map(Constant)
    | st.integers(-3, 300).map(Constant),
    _calls,
    max_leaves=8,
)


def same_bits(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays are equal to the bit; NaN equals NaN."""
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    equal = (x.view(np.int64) == y.view(np.int64)) | (np.isnan(x) & np.isnan(y))
    return x.shape == y.shape and bool(equal.all())
