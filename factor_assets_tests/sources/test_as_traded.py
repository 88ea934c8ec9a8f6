"""Undoing a vendor's split adjustment."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.sources.as_traded import undo_splits
from factor_assets.tables import TABLES

SCHEMA = TABLES["price_history"].schema


def history(
    days: list[int], splits: list[float | None], close: list[float | None], volume: list[float | None]
) -> pa.Table:
    given = {
        "ticker": ["A"] * len(days),
        "date": [date(2020, 1, day) for day in days],
        "close": close,
        "open": close,
        "high": close,
        "low": close,
        "dividend": close,
        "volume": volume,
        "split": splits,
        "source": ["t"] * len(days),
        "adjusted_close": close,
        "fetched_at": [datetime(2024, 1, 1, tzinfo=UTC)] * len(days),
    }
    return pa.table([pa.array(given.get(f.name, [None] * len(days)), f.type) for f in SCHEMA], schema=SCHEMA)


class TestAgainstTheDefinition:
    @given(st.lists(st.sampled_from([None, None, 2.0, 4.0, 0.5, 0.25]), min_size=1, max_size=12))
    def test_every_price_times_the_later_splits(self, splits: list[float | None]) -> None:
        n = len(splits)
        rows = undo_splits(history(list(range(1, n + 1)), splits, [8.0] * n, [1024.0] * n))
        for t in range(n):
            factor = np.prod([s for s in splits[t + 1 :] if s is not None])
            for name in ("open", "high", "low", "close", "dividend"):
                assert rows[name][t].as_py() == 8.0 * factor
            assert rows["volume"][t].as_py() == round(1024.0 / factor)
            assert rows["adjusted_close"][t].as_py() == 8.0


class TestProperties:
    def test_without_splits_nothing_changes(self) -> None:
        rows = history([1, 2], [None, None], [1.5, None], [3.5, None])
        assert undo_splits(rows) is rows

    @pytest.mark.parametrize("ratio", [2.0, 0.1])
    def test_a_repeated_row_splits_once(self, ratio: float) -> None:
        rows = undo_splits(history([1, 2, 2, 3], [None, ratio, ratio, None], [1.0] * 4, [100.0] * 4))
        assert rows["close"].to_pylist() == [ratio, 1.0, 1.0, 1.0]

    def test_null_stays_null(self) -> None:
        rows = undo_splits(history([1, 2], [None, 2.0], [None, 1.0], [None, 1.0]))
        assert rows["close"].to_pylist() == [None, 1.0]
        assert rows["volume"].to_pylist() == [None, 1.0]
