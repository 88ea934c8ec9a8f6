"""Kernels of the cross-sectional operators: each date on its own, over the universe's members that have a value.

`out` may be the first operand: a row is read before it is written. Sums run over tickers in stored order, so that
names outside the universe do not change a bit of the result. What is computed by group is in `groups.py`.

Ranks, a few dates at a time so that everything stays in cache:

1. Cut the range of a date's values into buckets, and make 32-bit keys: the bucket above, the ticker's position below.
   A larger value never has a lower bucket. They are of equal width, or of equal ratio where few values are far out.
2. Sort the keys by numpy's vectorised sort, which is several times faster than an indirect sort of the values.
3. Where no bucket holds two values, the place in the order is the rank. Otherwise put the values of each shared bucket
   in order, and let equal ones share their average rank.
4. A date on which many different values share a bucket is done again with 64-bit keys: the bits of the value itself, of
   which the position takes only the lowest.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import boolean, float64, int64, njit, types, uint32, void

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
ShortKeys = npt.NDArray[np.uint32]

_SOURCE = types.Array(float64, 2, "C", readonly=True)
_MEMBERS = types.Array(boolean, 2, "C", readonly=True)
_BITS = types.Array(int64, 2, "C", readonly=True)
_RESULT = types.Array(float64, 2, "C")
_SHORT_KEYS = types.Array(uint32, 2, "C")
_KEYS = types.Array(int64, 2, "C")
_VALUE_ROW = types.Array(float64, 1, "C", readonly=True)
_MEMBER_ROW = types.Array(boolean, 1, "C", readonly=True)
_VALUES = types.Array(float64, 1, "C")
_COUNTS = types.Array(int64, 1, "C")

_NOT_SIGN = 0x7FFFFFFFFFFFFFFF  # all bits but the sign
_BITS_OF_INFINITY = 0x7FF0000000000000  # those of NaN, without the sign, are larger
_BITS_OF_MINUS_ZERO = np.iinfo(np.int64).min

_CHUNK_CELLS = 32_768
_MAX_SHORT_KEY_TICKERS = 16_384
_MAX_INSERTIONS = 16
_LOOK_AHEAD = 64
_SAMPLED = 32
_FAR = 64.0
_OCTAVES = 64 << 52  # in bits: a 2e19th of the largest value is next to 0


@njit(void(_SOURCE, _MEMBERS, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _standardize(xs: Array, members: Mask, statistic: int, out: Array) -> None:
    """Mean for all tickers (statistic 0), distance from it (1), or that distance in standard deviations (2).

    Everything is measured from the first value, so that equal values give exactly 0 and almost equal ones do not
    drown in the rounding of their mean.
    """
    n_rows, n_tickers = xs.shape
    for i in range(n_rows):
        x, member, result = xs[i], members[i], out[i]
        start = 0
        while start < n_tickers and not (member[start] and x[start] == x[start]):
            start += 1
        first = x[start] if start < n_tickers else np.nan
        count, total = 0, 0.0
        for j in range(start, n_tickers):
            here = member[j] & (x[j] == x[j])
            total += x[j] - first if here else 0.0
            count += 1 if here else 0
        shift = total / count
        if statistic == 0:
            mean = first + shift
            result[:] = mean if abs(mean) < np.inf else np.nan
            continue
        scale = 1.0
        if statistic == 2:
            squares = 0.0
            for j in range(start, n_tickers):
                d = (x[j] - first) - shift if member[j] & (x[j] == x[j]) else 0.0
                squares += d * d
            scale = np.sqrt(squares / (count - 1)) if 0.0 < squares < np.inf else np.nan
        for j in range(n_tickers):
            v = ((x[j] - first) - shift) / scale
            result[j] = v if member[j] & (abs(v) < np.inf) else np.nan


@njit(boolean(_VALUE_ROW, _MEMBER_ROW, float64, float64), cache=True, nogil=True, error_model="numpy")
def _is_far_flung(x: Array, member: Mask, low: float, high: float) -> bool:
    """Whether a few values are so far from the others that most of these would share few buckets of equal width."""
    n_wanted = min(_SAMPLED, x.size)
    count, total, spread = 0, 0.0, 0.0
    for k in range(n_wanted):
        j = k * x.size // n_wanted
        if member[j] and not np.isnan(x[j]):
            count += 1
            total += x[j]
    for k in range(n_wanted):
        j = k * x.size // n_wanted
        if member[j] and not np.isnan(x[j]):
            spread += abs(x[j] - total / count)
    return count > 0 and high - low > _FAR * (spread / count)


@njit(int64(int64, int64), cache=True, nogil=True, error_model="numpy")
def _above(ordered: np.int64, floor: np.int64) -> np.int64:
    """Count from the floor of either sign, so that no bucket is spent on what is next to 0; -0.0 is 0.0."""
    return ordered - min(max(ordered, -floor), floor)


@njit(void(_SOURCE, _BITS, _MEMBERS, int64, _COUNTS, _SHORT_KEYS), cache=True, nogil=True, error_model="numpy")
def _pack_short(xs: Array, bits: Integers, members: Mask, low_bits: int, counts: Integers, keys: ShortKeys) -> None:
    """Write 32-bit keys, and how many values a row has."""
    n_buckets = (np.int64(1) << (32 - low_bits)) - 1  # the last number is that of absent values
    shift, absent = np.uint32(low_bits), np.uint32(0xFFFFFFFF)
    limits = np.empty(2, np.int64)
    for i in range(xs.shape[0]):
        x, bit, member, key = xs[i], bits[i], members[i], keys[i]
        lowest, highest, count = np.int64(_NOT_SIGN), np.int64(-_NOT_SIGN), np.int64(0)
        for j in range(x.size):  # on bits, since smallest and largest of floats do not vectorise
            b = bit[j]
            here = member[j] & ((b & _NOT_SIGN) <= _BITS_OF_INFINITY)
            ordered = b ^ ((b >> 63) & _NOT_SIGN)  # the bits of negative numbers run backwards
            p = ordered if here else np.int64(_NOT_SIGN)
            q = ordered if here else np.int64(-_NOT_SIGN)
            lowest = p if p < lowest else lowest
            highest = q if q > highest else highest
            count += np.int64(1) if here else np.int64(0)
        counts[i] = count
        limits[0] = lowest ^ ((lowest >> 63) & _NOT_SIGN)
        limits[1] = highest ^ ((highest >> 63) & _NOT_SIGN)
        low, high = limits.view(np.float64)
        width = (n_buckets - 1) / (high - low) if high > low else 0.0
        if abs(high - low) < np.inf and width < np.inf and not _is_far_flung(x, member, low, high):
            for j in range(x.size):
                here = member[j] & ((bit[j] & _NOT_SIGN) <= _BITS_OF_INFINITY)
                packed = (np.uint32(np.int32((x[j] - low) * width)) << shift) | np.uint32(j)
                key[j] = packed if here else absent
        else:
            floor = max(np.int64(1), max(highest, -1 - lowest) - _OCTAVES)
            lowest = _above(lowest, floor)
            n_wanted, drop = _above(highest, floor) - lowest, np.int64(0)
            while n_wanted >> drop >= n_buckets:
                drop += 1
            for j in range(x.size):
                b = bit[j]
                here = member[j] & ((b & _NOT_SIGN) <= _BITS_OF_INFINITY)
                bucket = (_above(b ^ ((b >> 63) & _NOT_SIGN), floor) - lowest) >> drop
                packed = (np.uint32(bucket) << shift) | np.uint32(j)
                key[j] = packed if here else absent


@njit(void(_VALUES, _COUNTS), cache=True, nogil=True, error_model="numpy")
def _insertion_sort(value: Array, ticker: Integers) -> None:
    for k in range(1, value.size):
        v, j, p = value[k], ticker[k], k
        while p > 0 and value[p - 1] > v:
            value[p], ticker[p] = value[p - 1], ticker[p - 1]
            p -= 1
        value[p], ticker[p] = v, j


@njit(void(_SOURCE, _SHORT_KEYS, int64, _COUNTS, _RESULT), cache=True, nogil=True, error_model="numpy")
def _ranks_of_short(xs: Array, keys: ShortKeys, low_bits: int, counts: Integers, out: Array) -> None:
    """Write average ranks over the count from sorted keys; the count of a row that needs longer ones becomes -1."""
    n_rows, n_tickers = xs.shape
    shift, low = np.uint32(low_bits), np.uint32((1 << low_bits) - 1)
    x, place, number = np.empty(n_tickers), np.empty(n_tickers), np.arange(1.0, n_tickers + 1.0)
    value, ticker = np.empty(n_tickers), np.empty(n_tickers, np.int64)
    n_placed = np.int64(0)
    for i in range(n_rows):
        count, key, ranks = counts[i], keys[i], out[i]
        if count != n_placed:
            for k in range(count):
                place[k] = number[k] / count
            n_placed = count
        n_shared = np.int64(0)
        for k in range(1, count):
            n_shared += np.int64(1) if key[k] >> shift == key[k - 1] >> shift else np.int64(0)
        if n_shared > 0:
            x[:] = xs[i]
        ranks[:] = np.nan
        for k in range(count):
            ranks[key[k] & low] = place[k]
        k = 1 if n_shared > 0 else count
        while k < count:
            end = min(k + _LOOK_AHEAD, count)
            n_shared = np.int64(0)
            for p in range(k, end):
                n_shared += np.int64(1) if key[p] >> shift == key[p - 1] >> shift else np.int64(0)
            if n_shared == 0:
                k = end
                continue
            while k < end:
                if key[k] >> shift != key[k - 1] >> shift:
                    k += 1
                    continue
                start, stop = k - 1, k + 1
                while stop < count and key[stop] >> shift == key[start] >> shift:
                    stop += 1
                k = stop + 1
                n, varied = stop - start, False
                for p in range(n):
                    ticker[p] = key[start + p] & low
                    value[p] = x[ticker[p]]
                    varied |= value[p] != value[0]
                if not varied:
                    for p in range(n):
                        ranks[ticker[p]] = 0.5 * (start + 1 + stop) / count
                    continue
                if n > _MAX_INSERTIONS:
                    counts[i], k = -1, count
                    break
                _insertion_sort(value[:n], ticker[:n])
                first = 0
                while first < n:
                    last = first + 1
                    while last < n and value[last] == value[first]:
                        last += 1
                    for p in range(first, last):
                        ranks[ticker[p]] = 0.5 * (2 * start + first + 1 + last) / count
                    first = last
        if counts[i] < 0:
            ranks[:] = x  # which may be the same array, and is to be read again


@njit(void(_BITS, _MEMBERS, int64, _COUNTS, _KEYS), cache=True, nogil=True, error_model="numpy")
def _pack(bits: Integers, members: Mask, low_bits: int, counts: Integers, keys: Integers) -> None:
    """Write 64-bit keys, and how many values a row has."""
    n_rows, n_tickers = bits.shape
    low = (np.int64(1) << low_bits) - 1
    for i in range(n_rows):
        count = 0
        for j in range(n_tickers):
            b = np.int64(0) if bits[i, j] == _BITS_OF_MINUS_ZERO else bits[i, j]
            ordered = b ^ ((b >> 63) & _NOT_SIGN)
            here = members[i, j] and (b & _NOT_SIGN) <= _BITS_OF_INFINITY
            keys[i, j] = (ordered & ~low) | j if here else _NOT_SIGN
            count += 1 if here else 0
        counts[i] = count


@njit(void(_BITS, _KEYS, int64, _COUNTS, _RESULT), cache=True, nogil=True, error_model="numpy")
def _ranks(bits: Integers, keys: Integers, low_bits: int, counts: Integers, out: Array) -> None:
    """Write average ranks over the count from sorted keys, which it uses up."""
    n_rows = bits.shape[0]
    low = (np.int64(1) << low_bits) - 1
    for i in range(n_rows):
        out[i, :] = np.nan
        count, row = counts[i], keys[i]
        start = 0
        while start < count:
            high = row[start] & ~low
            stop = start + 1
            while stop < count and (row[stop] & ~low) == high:
                stop += 1
            if stop > start + 1:  # put values that differ at most in the replaced bits in the order of those
                for k in range(start, stop):
                    position = row[k] & low
                    b = np.int64(0) if bits[i, position] == _BITS_OF_MINUS_ZERO else bits[i, position]
                    row[k] = (((b ^ ((b >> 63) & _NOT_SIGN)) & low) << low_bits) | position
                row[start:stop].sort()
            while start < stop:
                after = start + 1
                while after < stop and row[after] >> low_bits == row[start] >> low_bits:
                    after += 1
                for k in range(start, after):
                    out[i, row[k] & low] = 0.5 * (start + 1 + after) / count
                start = after


@njit(void(int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _buckets(n_buckets: int, ranks: Array) -> None:
    """Replace average ranks over the count by buckets, in whole numbers so that no rounding moves a name."""
    n_rows, n_tickers = ranks.shape
    for i in range(n_rows):
        count = 0
        for j in range(n_tickers):
            count += not np.isnan(ranks[i, j])
        for j in range(n_tickers):
            if not np.isnan(ranks[i, j]):
                twice_the_rank = int(ranks[i, j] * (2 * count) + 0.5)
                ranks[i, j] = (twice_the_rank * n_buckets + 2 * count - 1) // (2 * count)


@njit(void(_SOURCE, _MEMBERS, _RESULT), cache=True, nogil=True, error_model="numpy")
def _present(x: Array, members: Mask, values: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            values[i, j] = x[i, j] if members[i, j] else np.nan


@njit(float64(float64, float64, float64), cache=True, nogil=True, error_model="numpy")
def _between(x: float, y: float, part: float) -> float:
    """Go the part of the way from x to y."""
    return x if part == 0.0 or x == y else x * (1.0 - part) + y * part


@njit(void(_SOURCE, _MEMBERS, _SOURCE, float64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _winsorize(x: Array, members: Mask, values: Array, limit: float, out: Array) -> None:
    """Limit x to quantiles of the sorted values, NaN last."""
    n_rows, n_tickers = x.shape
    for i in range(n_rows):
        count = n_tickers
        while count > 0 and np.isnan(values[i, count - 1]):
            count -= 1
        place = limit * (count - 1)
        k = int(place)
        part = place - k
        after, last = min(k + 1, max(count - 1, 0)), max(count - 1, 0)
        lower = _between(values[i, k], values[i, after], part)
        upper = _between(values[i, last - k], values[i, last - after], part)
        for j in range(n_tickers):
            v = x[i, j]
            v = lower if v < lower else (upper if v > upper else v)
            out[i, j] = v if members[i, j] and abs(v) < np.inf else np.nan


@njit(void(_SOURCE, _MEMBERS, float64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _scale(x: Array, members: Mask, to: float, out: Array) -> None:
    n_rows, n_tickers = x.shape
    for i in range(n_rows):
        total = 0.0
        for j in range(n_tickers):
            v = x[i, j]
            total += abs(v) if members[i, j] and not np.isnan(v) else 0.0
        total = total if 0.0 < total < np.inf else np.nan
        for j in range(n_tickers):
            out[i, j] = x[i, j] / total * to if members[i, j] else np.nan


def _standardized(statistic: int) -> Callable[..., None]:
    def compute(out: Array, members: Mask, x: Array) -> None:
        _standardize(x, members, statistic, out)

    return compute


def _rank(out: Array, members: Mask, x: Array) -> None:
    n_rows, n_tickers = x.shape
    low_bits = max(1, (n_tickers - 1).bit_length())
    height = max(1, _CHUNK_CELLS // max(1, n_tickers))
    keys, counts = np.empty((min(height, n_rows), n_tickers), np.uint32), np.empty(height, np.int64)
    for top in range(0, n_rows, height):
        rows = slice(top, min(top + height, n_rows))
        values, inside, n = x[rows], members[rows], rows.stop - top
        if n_tickers > _MAX_SHORT_KEY_TICKERS:
            counts[:n] = -1
        else:
            _pack_short(values, values.view(np.int64), inside, low_bits, counts, keys[:n])
            keys[:n].sort(axis=1)
            _ranks_of_short(values, keys[:n], low_bits, counts, out[rows])
        again = np.flatnonzero(counts[:n] < 0)
        if len(again):
            out[top + again] = _ranks_by_long_keys(values[again], inside[again], low_bits)


def _ranks_by_long_keys(x: Array, members: Mask, low_bits: int) -> Array:
    keys, counts, out = np.empty(x.shape, np.int64), np.empty(len(x), np.int64), np.empty(x.shape)
    _pack(x.view(np.int64), members, low_bits, counts, keys)
    keys.sort(axis=1)
    _ranks(x.view(np.int64), keys, low_bits, counts, out)
    return out


def _bucket(out: Array, members: Mask, x: Array, *, n_buckets: int) -> None:
    _rank(out, members, x)
    _buckets(n_buckets, out)


def _winsorized(out: Array, members: Mask, x: Array, *, limit: float) -> None:
    n_rows, n_tickers = x.shape
    if not n_tickers:
        return
    height = max(1, _CHUNK_CELLS // n_tickers)
    sorted_values = np.empty((min(height, n_rows), n_tickers))
    for top in range(0, n_rows, height):
        rows = slice(top, min(top + height, n_rows))
        values = sorted_values[: rows.stop - top]
        _present(x[rows], members[rows], values)
        values.sort(axis=1)
        _winsorize(x[rows], members[rows], values, limit, out[rows])


def _scaled(out: Array, members: Mask, x: Array, *, to: float) -> None:
    _scale(x, members, to, out)


COMPUTE: Mapping[str, Callable[..., None]] = {
    "cross_mean": _standardized(0),
    "demean": _standardized(1),
    "zscore": _standardized(2),
    "rank": _rank,
    "winsorize": _winsorized,
    "scale": _scaled,
    "bucket": _bucket,
}
