"""Kernels of the cross-sectional operators by group, and of the regression on other expressions and groups.

Equal codes are one group, and that is all a code says: results depend on no code's number, nor on the order of groups.
A name without a code is in no group. `out` may be the first operand: a row is read before it is written. Sums run over
the members in stored order, so that names outside the universe do not change a bit of the result.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import boolean, float64, int64, njit, types, void

from factor_assets.expressions import cross_section

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_SOURCE = types.Array(float64, 2, "C", readonly=True)
_MEMBERS = types.Array(boolean, 2, "C", readonly=True)
_CODES = types.Array(float64, 1, "C")
_NUMBERS = types.Array(int64, 1, "C")
_MATRIX = types.Array(float64, 2, "C")
_OPERANDS = types.Array(float64, 3, "C", readonly=True)

_CHUNK_CELLS = 32_768
_COLLINEAR = 1e-10  # share of a regressor's size below which what the others leave of it is rounding


@njit(int64(_CODES, _CODES, _NUMBERS, _CODES, _NUMBERS, int64), cache=True, nogil=True, error_model="numpy")
def _number_groups(
    codes: Array, last_codes: Array, groups: Integers, table_codes: Array, table: Integers, n_groups: int
) -> int:
    """Number the groups of one row, -1 for no code, and return how many numbers are in use.

    Numbers are given in order of appearance and kept from row to row, since a name rarely changes its group. The table
    is open-addressed, with room for two rows of nothing but new groups; `groups` and `last_codes` are those of the row
    before, which this one replaces.
    """
    size = table.size
    if n_groups + codes.size > size // 2:
        table[:] = -1
        last_codes[:] = np.nan
        n_groups = 0
    for j in range(codes.size):
        code = codes[j]
        if code == last_codes[j]:
            continue
        last_codes[j] = code
        if np.isnan(code):
            groups[j] = -1
            continue
        slot = hash(code) & (size - 1)
        while table[slot] >= 0 and table_codes[slot] != code:
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot], table_codes[slot] = n_groups, code
            n_groups += 1
        groups[j] = table[slot]
    return n_groups


@njit(void(_SOURCE, _SOURCE, _MEMBERS, int64, int64, _MATRIX), cache=True, nogil=True, error_model="numpy")
def _standardize(xs: Array, codes: Array, members: Mask, table_size: int, statistic: int, out: Array) -> None:
    """Mean (statistic 0), distance from it (1), or that distance in standard deviations (2), of the same group.

    Everything is measured from the group's first value, so that equal values give exactly 0.
    """
    n_rows, n_tickers = xs.shape
    code, last_codes = np.empty(n_tickers), np.full(n_tickers, np.nan)
    group, table, table_codes = np.full(n_tickers, -1), np.full(table_size, -1), np.empty(table_size)
    count, first = np.empty(table_size), np.empty(table_size)
    shift, squares = np.empty(table_size), np.empty(table_size)
    n_groups = 0
    for i in range(n_rows):
        x, member = xs[i], members[i]
        for j in range(n_tickers):
            code[j] = codes[i, j] if member[j] else np.nan
        n_groups = _number_groups(code, last_codes, group, table_codes, table, n_groups)
        count[:n_groups], shift[:n_groups], squares[:n_groups] = 0.0, 0.0, 0.0
        for j in range(n_tickers):
            g = group[j]
            if g >= 0 and not np.isnan(x[j]):
                if count[g] == 0.0:
                    first[g] = x[j]
                count[g] += 1.0
                shift[g] += x[j] - first[g]
        for g in range(n_groups):
            shift[g] = shift[g] / count[g]  # 0 / 0 is NaN
        if statistic == 2:
            for j in range(n_tickers):
                g = group[j]
                if g >= 0 and not np.isnan(x[j]):
                    d = (x[j] - first[g]) - shift[g]
                    squares[g] += d * d
            for g in range(n_groups):
                exists = 0.0 < squares[g] < np.inf
                squares[g] = np.sqrt(squares[g] / (count[g] - 1.0)) if exists else np.nan
        for j in range(n_tickers):
            g = group[j]
            v = np.nan
            if g >= 0 and statistic == 0:
                v = first[g] + shift[g]
            elif g >= 0:
                v = ((x[j] - first[g]) - shift[g]) / (squares[g] if statistic == 2 else 1.0)
            out[i, j] = v if abs(v) < np.inf else np.nan


@njit(void(_SOURCE, _MEMBERS, int64, _MATRIX), cache=True, nogil=True, error_model="numpy")
def _rank_within(codes: Array, members: Mask, table_size: int, ranks: Array) -> None:
    """Replace the members' ranks among all by those within their group.

    1. The average rank times twice the count is a whole number, the same for ties: chain the names that share it.
    2. Go through these numbers from the lowest; each group counts how many of its names have passed.
    """
    n_rows, n_tickers = ranks.shape
    code, last_codes = np.empty(n_tickers), np.full(n_tickers, np.nan)
    group, table, table_codes = np.full(n_tickers, -1), np.full(table_size, -1), np.empty(table_size)
    size, below, ties = np.empty(table_size), np.empty(table_size), np.empty(table_size)
    first_of, next_of = np.empty(2 * n_tickers + 1, np.int64), np.empty(n_tickers, np.int64)
    n_groups = 0
    for i in range(n_rows):
        rank = ranks[i]
        n_ranked = 0
        for j in range(n_tickers):
            n_ranked += not np.isnan(rank[j])
            code[j] = codes[i, j] if members[i, j] else np.nan
        n_groups = _number_groups(code, last_codes, group, table_codes, table, n_groups)
        size[:n_groups], below[:n_groups], ties[:n_groups] = 0.0, 0.0, 0.0
        first_of[: 2 * n_ranked + 1] = -1
        for j in range(n_tickers):
            if group[j] >= 0 and not np.isnan(rank[j]):
                place = int(rank[j] * (2 * n_ranked) + 0.5)
                next_of[j], first_of[place] = first_of[place], j
                size[group[j]] += 1.0
            else:
                rank[j] = np.nan
        for place in range(2, 2 * n_ranked + 1):
            j = first_of[place]
            while j >= 0:
                ties[group[j]] += 1.0
                j = next_of[j]
            j = first_of[place]
            while j >= 0:
                g = group[j]
                rank[j] = 0.5 * (2.0 * below[g] + 1.0 + ties[g]) / size[g]
                j = next_of[j]
            j = first_of[place]
            while j >= 0:
                below[group[j]] += ties[group[j]]
                ties[group[j]] = 0.0
                j = next_of[j]


@njit(void(_MATRIX, _NUMBERS, int64), cache=True, nogil=True, error_model="numpy")
def _demean_within(columns: Array, group: Integers, n_groups: int) -> None:
    """Subtract from every column the mean of each group; equal values become exactly 0."""
    count, shift, first = np.empty(n_groups), np.empty(n_groups), np.empty(n_groups)
    for k in range(len(columns)):
        column = columns[k]
        count[:], shift[:] = 0.0, 0.0
        for j in range(column.size):
            g = group[j]
            if count[g] == 0.0:
                first[g] = column[j]
            column[j] -= first[g]
            count[g] += 1.0
            shift[g] += column[j]
        for j in range(column.size):
            column[j] -= shift[group[j]] / count[group[j]]


@njit(float64(_CODES, _CODES), cache=True, nogil=True, error_model="numpy")
def _dot(x: Array, y: Array) -> float:
    total = 0.0
    for j in range(x.size):
        total += x[j] * y[j]
    return total


@njit(int64(_MATRIX, _CODES, _CODES), cache=True, nogil=True, error_model="numpy")
def _project_out(columns: Array, sizes: Array, y: Array) -> int:
    """Subtract from y its projection on the columns, which are used up; return how many are independent.

    Modified Gram-Schmidt, each time with the column of which most is left relative to its size, until the rest is
    rounding. Applied to y like this it is as accurate as Householder reflections (Björck 1967, BIT 7(1)).
    """
    n_columns = len(columns)
    used = np.zeros(n_columns, np.bool_)
    for rank in range(n_columns):
        best, left = -1, _COLLINEAR
        for k in range(n_columns):
            if not used[k]:
                norm = np.sqrt(_dot(columns[k], columns[k]))
                if norm > left * sizes[k]:
                    best, left = k, norm / sizes[k]
        if best < 0:
            return rank
        used[best] = True
        q = columns[best]
        q /= np.sqrt(_dot(q, q))
        for k in range(n_columns):
            if not used[k]:
                columns[k] -= _dot(q, columns[k]) * q
        y -= _dot(q, y) * q
    return n_columns


@njit(void(_OPERANDS, _OPERANDS, _MEMBERS, int64, _MATRIX), cache=True, nogil=True, error_model="numpy")
def _residualize(operands: Array, labels: Array, members: Mask, table_size: int, out: Array) -> None:
    """Residuals of operand 0 on a constant, the other operands and the labels, row by row.

    1. The observations are the members that have every operand and every label.
    2. The groups of the first label, or all observations where there is none, are absorbed by subtracting their means
       from everything (Frisch and Waugh 1933; Lovell 1963). Further labels become one dummy a group.
    3. What is left of x is projected off what is left of the regressors.
    """
    n_columns, n_rows, n_tickers = operands.shape
    n_labels = labels.shape[0]
    place, column_max = np.empty(n_tickers, np.int64), np.empty(n_columns)
    code, last_codes = np.empty(n_tickers), np.empty(n_tickers)
    groups, n_groups = np.zeros((max(n_labels, 1), n_tickers), np.int64), np.ones(max(n_labels, 1), np.int64)
    table, table_codes = np.empty(table_size, np.int64), np.empty(table_size)
    for i in range(n_rows):
        n = 0
        for j in range(n_tickers):
            here = members[i, j]
            for k in range(n_columns):
                here &= abs(operands[k, i, j]) < np.inf
            for k in range(n_labels):
                here &= not np.isnan(labels[k, i, j])
            if here:
                place[n] = j
                n += 1
        out[i, :] = np.nan
        if n < 2:
            continue
        n_dummies = 0
        for k in range(n_labels):
            for p in range(n):
                code[p] = labels[k, i, place[p]]
            table[:], last_codes[:] = -1, np.nan
            n_groups[k] = _number_groups(code[:n], last_codes[:n], groups[k, :n], table_codes, table, 0)
            n_dummies += n_groups[k] if k else 0
        if n <= n_groups[0]:
            continue
        columns, sizes = np.zeros((n_columns + n_dummies, n)), np.ones(n_columns + n_dummies)
        for k in range(n_columns):
            for p in range(n):
                columns[k, p] = operands[k, i, place[p]]
                column_max[k] = max(abs(columns[k, p]), column_max[k] if p else 0.0)
            if k and column_max[k] > 0.0:  # so that squares neither overflow nor vanish
                columns[k] /= column_max[k]
            sizes[k] = np.sqrt(_dot(columns[k], columns[k])) if k else 1.0
        above = n_columns
        for k in range(1, n_labels):
            for p in range(n):
                columns[above + groups[k, p], p] = 1.0
            above += n_groups[k]
        _demean_within(columns, groups[0, :n], n_groups[0])
        if n <= n_groups[0] + _project_out(columns[1:], sizes[1:], columns[0]):
            continue
        for p in range(n):
            out[i, place[p]] = columns[0, p] if abs(columns[0, p]) < np.inf else np.nan


def _table_size(n_tickers: int) -> int:
    """Return a power of two that is at most half full with the groups of two rows."""
    return 1 << (4 * n_tickers).bit_length()


def _standardized(statistic: int) -> Callable[..., None]:
    def compute(out: Array, members: Mask, x: Array, group: Array) -> None:
        _standardize(x, group, members, _table_size(x.shape[1]), statistic, out)

    return compute


def _group_rank(out: Array, members: Mask, x: Array, group: Array) -> None:
    if np.may_share_memory(out, group):  # x may be its own group
        group = group.copy()
    cross_section.COMPUTE["rank"](out, members, x)
    _rank_within(group, members, _table_size(x.shape[1]), out)


def _residualized(out: Array, members: Mask, x: Array, *on: Array, label_flags: tuple[bool, ...]) -> None:
    """Compute a chunk of rows at a time; `label_flags` says which of `on` name groups."""
    n_rows, n_tickers = x.shape
    regressors = [x, *(values for values, is_label in zip(on, label_flags, strict=True) if not is_label)]
    labels = [values for values, is_label in zip(on, label_flags, strict=True) if is_label]
    height = max(1, _CHUNK_CELLS // max(1, n_tickers))
    for top in range(0, n_rows, height):
        rows = slice(top, min(top + height, n_rows))
        shape = (len(labels), rows.stop - top, n_tickers)
        _residualize(
            np.stack([values[rows] for values in regressors]),
            np.stack([values[rows] for values in labels]) if labels else np.empty(shape),
            members[rows],
            _table_size(n_tickers),
            out[rows],
        )


COMPUTE: Mapping[str, Callable[..., None]] = {
    "group_mean": _standardized(0),
    "neutralize": _standardized(1),
    "group_zscore": _standardized(2),
    "group_rank": _group_rank,
    "residualize": _residualized,
}
