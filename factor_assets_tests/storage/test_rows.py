"""The stored form of rows, and their checksum."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.errors import SchemaMismatchError
from factor_assets.storage.rows import checksum, conform, sort_rows
from factor_assets.tables import TABLES, factor_table
from factor_assets_tests.storage.market_rows import factor_rows

ROWS = pa.table(
    {
        "number": pa.array([1.0, None, 0.0, float("inf")]),
        "text": pa.array(["x", None, "", "ü"]),
        "day": pa.array([date(2020, 1, 1), None, date(1970, 1, 1), date(1960, 1, 1)]),
        "flag": pa.array([True, None, False, False]),
        "count": pa.array([1, None, 0, -3]),
        "time": pa.array([datetime(2020, 1, 1, tzinfo=UTC), None, None, None], pa.timestamp("us", "UTC")),
        "nothing": pa.nulls(4, pa.float64()),
    }
)


def with_column(name: str, values: pa.Array) -> pa.Table:
    return ROWS.set_column(ROWS.column_names.index(name), name, values)


class TestAgainstSorted:
    @given(
        st.lists(
            st.tuples(
                st.one_of(st.none(), st.integers(-(2**60), 2**60)), st.text("aAé'z", max_size=2), st.integers(0, 3)
            ),
            max_size=40,
        )
    )
    def test_order_is_that_of_python_and_stable(self, rows: list) -> None:
        table = pa.table(
            {
                "when": pa.array([r[0] for r in rows], pa.int64()),
                "ticker": pa.array([r[1] for r in rows], pa.string()),
                "n": pa.array([r[2] for r in rows], pa.int64()),
                "arrival": pa.array(range(len(rows)), pa.int64()),
            }
        )
        wanted = sorted(
            [(*row, n) for n, row in enumerate(rows)], key=lambda r: (r[0] is None, r[0] or 0, r[1].encode(), r[2])
        )
        got = sort_rows(table, ("when", "ticker", "n"))
        assert list(zip(*got.to_pydict().values(), strict=True)) == wanted


class TestProperties:
    def test_checksum_does_not_see_encodings(self) -> None:
        text = ROWS["text"]
        for other in (
            with_column("text", text.dictionary_encode()),
            with_column("text", text.cast(pa.large_string())),
            with_column("text", text.cast(pa.string_view())),
            with_column("number", pa.array([1.0, float("nan"), -0.0, float("inf")])),
            pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1, 0), ROWS.slice(1)]),
            pa.concat_tables([ROWS, ROWS]).slice(4),
        ):
            assert checksum(other) == checksum(ROWS)

    @pytest.mark.parametrize(
        "other",
        [
            with_column("text", pa.array(["x", "", "", "ü"])),
            with_column("text", pa.array(["x", None, "ü", ""])),
            with_column("number", pa.array([1.0, 0.0, 0.0, float("inf")])),
            with_column("number", pa.array([np.nextafter(1.0, 2.0), None, 0.0, float("inf")])),
            with_column("flag", pa.array([True, False, False, False])),
            with_column("count", pa.array([1.0, None, 0.0, -3.0])),
            with_column("nothing", pa.array([None, None, None, 0.0])),
            ROWS.take([1, 0, 2, 3]),
            ROWS.slice(0, 3),
            ROWS.rename_columns([*ROWS.column_names[:-1], "other"]),
        ],
    )
    def test_checksum_sees_every_value(self, other: pa.Table) -> None:
        assert checksum(other) != checksum(ROWS)

    def test_checksum_is_the_same_for_ever(self) -> None:
        assert checksum(ROWS)[:16] == "c50539ec1bd98850"

    def test_conform_takes_dictionaries_float32_and_nan(self) -> None:
        rows = factor_rows({(date(2020, 1, 2), "B"): 1.0, (date(2020, 1, 1), "A"): 2.0})
        rows = rows.set_column(1, "ticker", rows["ticker"].dictionary_encode())
        rows = rows.set_column(2, "value", pa.array([np.float32(0.5), np.float32("nan")]))
        stored = conform(factor_table("f", "g"), rows)
        assert stored.schema == factor_table("f", "g").schema
        assert stored["ticker"].to_pylist() == ["A", "B"]
        assert stored["value"].to_pylist() == [None, 0.5]

    def test_a_missing_count_given_as_nan(self) -> None:
        name = "factor_quantiles"
        row = {key: ["x"] for key in TABLES[name].column_names} | {
            "date": pa.array([date(2020, 1, 1)]),
            "quantile": [1],
            "quantile_return": [0.1],
            "n_tickers": [float("nan")],
        }
        assert conform(TABLES[name], pa.table(row))["n_tickers"].to_pylist() == [None]


class TestErrors:
    def test_a_fraction_in_a_count(self) -> None:
        name = "factor_quantiles"
        row = {key: ["x"] for key in TABLES[name].column_names} | {
            "date": pa.array([date(2020, 1, 1)]),
            "quantile": [1],
            "quantile_return": [0.1],
            "n_tickers": [2.5],
        }
        with pytest.raises(SchemaMismatchError, match="'n_tickers' is stored as int64, got double that cannot be cast"):
            conform(TABLES[name], pa.table(row))

    def test_a_column_given_twice(self) -> None:
        rows = factor_rows({(date(2020, 1, 1), "A"): 1.0})
        with pytest.raises(SchemaMismatchError, match="given twice: value"):
            conform(TABLES["universe"], rows.append_column("value", rows["value"]))
