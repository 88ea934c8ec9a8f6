"""Functions of the element-wise operators.

A result that is not a finite number is NaN: division by zero, overflow, the logarithm of 0. Conditions are 1 or 0, and
NaN where an operand is. Operands of two arguments go through one compiled kernel, which checks the result while it is
in a register; the others are NumPy.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import boolean, float64, int64, njit, types, void

Array = npt.NDArray[np.float64]

_OPERAND = types.Array(float64, 1, "C", readonly=True)
_RESULT = types.Array(float64, 1, "C")
_CHUNK = 1024

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE, _LESS, _LESS_EQUAL, _EQUAL, _BOTH, _EITHER, _FILL = range(10)


@njit(
    void(int64, _OPERAND, boolean, _OPERAND, boolean, _RESULT),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _binary(code: int, xs: Array, x_fixed: bool, ys: Array, y_fixed: bool, out: Array) -> None:
    """Go by chunks; a fixed operand is one chunk that serves for all, so that no loop has a stride of 0."""
    nan, inf = math.nan, math.inf
    for start in range(0, out.size, _CHUNK):
        r = out[start : start + _CHUNK]
        m = r.size
        x = xs[:m] if x_fixed else xs[start : start + m]
        y = ys[:m] if y_fixed else ys[start : start + m]
        if code == _ADD:
            for i in range(m):
                v = x[i] + y[i]
                r[i] = v if abs(v) < inf else nan
        elif code == _SUBTRACT:
            for i in range(m):
                v = x[i] - y[i]
                r[i] = v if abs(v) < inf else nan
        elif code == _MULTIPLY:
            for i in range(m):
                v = x[i] * y[i]
                r[i] = v if abs(v) < inf else nan
        elif code == _DIVIDE:
            for i in range(m):
                v = x[i] / y[i]
                r[i] = v if abs(v) < inf else nan
        elif code == _LESS:
            for i in range(m):
                v = 1.0 if x[i] < y[i] else 0.0
                r[i] = nan if math.isnan(x[i]) or math.isnan(y[i]) else v
        elif code == _LESS_EQUAL:
            for i in range(m):
                v = 1.0 if x[i] <= y[i] else 0.0
                r[i] = nan if math.isnan(x[i]) or math.isnan(y[i]) else v
        elif code == _EQUAL:
            for i in range(m):
                v = 1.0 if x[i] == y[i] else 0.0
                r[i] = nan if math.isnan(x[i]) or math.isnan(y[i]) else v
        elif code == _BOTH:
            for i in range(m):
                v = 1.0 if x[i] != 0.0 and y[i] != 0.0 else 0.0
                r[i] = nan if math.isnan(x[i]) or math.isnan(y[i]) else v
        elif code == _EITHER:
            for i in range(m):
                v = 1.0 if x[i] != 0.0 or y[i] != 0.0 else 0.0
                r[i] = nan if math.isnan(x[i]) or math.isnan(y[i]) else v
        else:
            for i in range(m):
                r[i] = y[i] if math.isnan(x[i]) else x[i]


def _flat(operand: Array | float) -> Array:
    return operand.reshape(-1) if isinstance(operand, np.ndarray) else np.full(_CHUNK, operand)


def _binary_of(code: int) -> Callable[..., None]:
    def compute(x: Array | float, y: Array | float, out: Array) -> None:
        x_fixed, y_fixed = not isinstance(x, np.ndarray), not isinstance(y, np.ndarray)
        _binary(code, _flat(x), x_fixed, _flat(y), y_fixed, out.reshape(-1))

    return compute


def _swapped(compute: Callable[..., None]) -> Callable[..., None]:
    return lambda x, y, out: compute(y, x, out=out)


def _power(x: Any, y: Any, out: Array) -> None:
    np.power(x, y, out=out)
    # IEEE has 1 ** NaN = NaN ** 0 = 1; here an unknown operand makes an unknown result
    np.copyto(out, np.nan, where=np.isnan(x) | np.isnan(y) | np.isinf(out))


def _signed_power(x: Any, y: Any, out: Array) -> None:
    np.power(np.abs(x), y, out=out)
    np.copysign(out, x, out=out)
    # |x| ** 0 = 1 has no sign where x has none
    np.copyto(out, 0.0, where=np.equal(x, 0.0) & np.isfinite(out))
    np.copyto(out, np.nan, where=np.isnan(x) | np.isnan(y) | np.isinf(out))


def _then_finite(function: Callable[..., Any]) -> Callable[..., None]:
    """Return the NumPy function with NaN for what it makes infinite."""

    def compute(x: Any, out: Array) -> None:
        function(x, out=out)
        np.copyto(out, np.nan, where=np.isinf(out))

    return compute


def _negation(x: Any, out: Array) -> None:
    np.equal(x, 0.0, out=out)
    np.copyto(out, np.nan, where=np.isnan(x))


def _clip(x: Any, lower: Any, upper: Any, out: Array) -> None:
    np.maximum(x, lower, out=out)
    np.minimum(out, upper, out=out)


def _where(condition: Any, x: Any, y: Any, out: Array) -> None:
    np.copyto(out, y)
    np.copyto(out, x, where=np.not_equal(condition, 0.0))
    np.copyto(out, np.nan, where=np.isnan(condition))


COMPUTE: Mapping[str, Callable[..., Any]] = {
    "add": _binary_of(_ADD),
    "subtract": _binary_of(_SUBTRACT),
    "multiply": _binary_of(_MULTIPLY),
    "divide": _binary_of(_DIVIDE),
    "power": _power,
    "signed_power": _signed_power,
    "negate": np.negative,
    "less": _binary_of(_LESS),
    "less_equal": _binary_of(_LESS_EQUAL),
    "greater": _swapped(_binary_of(_LESS)),
    "greater_equal": _swapped(_binary_of(_LESS_EQUAL)),
    "equal": _binary_of(_EQUAL),
    "both": _binary_of(_BOTH),
    "either": _binary_of(_EITHER),
    "negation": _negation,
    "abs": np.absolute,
    "sign": np.sign,
    "log": _then_finite(np.log),
    "exp": _then_finite(np.exp),
    "sqrt": np.sqrt,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clip": _clip,
    "where": _where,
    "is_missing": np.isnan,
    "fill": _binary_of(_FILL),
}
