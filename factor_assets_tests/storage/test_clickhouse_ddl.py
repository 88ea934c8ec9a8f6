"""The SQL of ClickHouse's tables and views, beside golden texts, which `python -m` of this file writes anew."""

from pathlib import Path

import pytest

from factor_assets.column import library_column
from factor_assets.storage.clickhouse_ddl import (
    add_columns,
    create_commits,
    create_database,
    create_rows,
    create_view,
    quoted,
    stored,
)
from factor_assets.tables import TABLES, factor_table, library_table, table

GOLDEN = Path(__file__).with_name("golden")
NAMES = (*sorted(TABLES), "factors/momentum/ret_12_1", "libraries/mine")
ODD = "a`b\\'c"


def script(cluster: str) -> str:
    """Everything that is made for all tables."""
    statements = [create_database("factor_assets", cluster=cluster), *create_commits("factor_assets", cluster=cluster)]
    for name in NAMES:
        place = stored(table(name))
        statements += create_rows(place, "factor_assets", cluster=cluster)
        statements.append(create_view(place, [c.name for c in place.columns], "factor_assets", cluster=cluster))
    first = library_column("first", unit="", meaning="")
    place = stored(library_table("mine", [first]))
    statements += add_columns(place, ["first"], "factor_assets", cluster=cluster)
    return ";\n\n".join(statements) + ";\n"


class TestAgainstGolden:
    @pytest.mark.parametrize("cluster", ["", "prod"])
    def test_statements_are_those_that_were_looked_at(self, cluster: str) -> None:
        golden = GOLDEN / f"clickhouse_{'cluster' if cluster else 'server'}.sql"
        assert script(cluster) == golden.read_text(), "if it is meant, run this file with python -m"


class TestProperties:
    def test_factors_share_a_table_under_the_name_that_dashboards_know(self) -> None:
        place = stored(factor_table("value", "be_me"))
        assert (place.name, place.rows) == ("factor_values", "rows_factor_values")
        assert place.key == ("factor_type", "factor_name", "date", "ticker")
        assert place.fixed == {"factor_type": "value", "factor_name": "be_me"}
        assert stored(factor_table("momentum", "ret_12_1")).columns == place.columns

    def test_columns_of_the_tables_that_dashboards_know(self) -> None:
        wanted = {
            "factors/a/b": "factor_type factor_name ticker date value",
            "factor_timeseries": "factor_name factor_type date factor_value high_portfolio_return low_portfolio_return",
            "factor_details": "factor_name factor_type test_date ticker beta tstat pvalue rsquared conf_int_lower"
            " conf_int_upper",
            "factor_summary": "factor_name factor_type test_date start_date end_date avg_beta avg_tstat avg_rsquared"
            " annualized_return annualized_volatility sharpe_ratio max_drawdown significant_stocks total_stocks"
            " description",
        }
        for name, columns in wanted.items():
            place = stored(table(name))
            assert set(columns.split()) <= {c.name for c in place.columns}
            view = create_view(place, [c.name for c in place.columns], "d")
            assert "AS update_time" in view
            assert view.startswith(f"CREATE OR REPLACE VIEW `d`.`{'factor_values' if '/' in name else name}` AS")

    def test_places_of_all_tables_differ(self) -> None:
        places = [stored(table(name)) for name in (*NAMES, "libraries/rows_mine", "libraries/mine_local")]
        names = [name for place in places for name in (place.name, place.rows, place.local)]
        assert len(set(names)) == len(names)

    def test_a_cluster_has_a_table_a_shard_and_one_over_them(self) -> None:
        local, over = create_rows(stored(table("prices")), "d", cluster="prod")
        assert "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')" in local
        assert over.endswith("ENGINE = Distributed(`prod`, `d`, `local_rows_prices`, cityHash64(`ticker`))")


class TestErrors:
    def test_odd_names_stay_names(self) -> None:
        assert quoted(ODD) == "`a\\`b\\\\'c`"
        assert "`library_a\\`b\\\\'c`" in create_view(stored(library_table(ODD)), ["date", "ticker", "source"], "d")
        assert "table_name = 'libraries/a`b\\\\\\'c'" in create_view(stored(library_table(ODD)), ["date"], "d")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for chosen in ("", "prod"):
        (GOLDEN / f"clickhouse_{'cluster' if chosen else 'server'}.sql").write_text(script(chosen))
