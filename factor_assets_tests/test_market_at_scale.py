"""The whole graph with its tables in ClickHouse gives what it gives in folders, by the multiprocess executor too."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from factor_assets.defs.automation import RANGE_END, RANGE_START, add_tickers
from factor_assets.defs.partitions import dates
from factor_assets_tests.defs.test_invariance import daily_job, details_job, load_prices_job, report_job
from factor_assets_tests.market import FEW_FACTORS, Graph, small_settings
from factor_assets_tests.servers.clickhouse import ClickHouseAt
from factor_assets_tests.servers.s3 import REGION, S3Server


class TestAgainstTheFolder:
    @pytest.mark.slow
    def test_every_table_has_the_same_checksum_and_a_second_run_changes_nothing(
        self, tmp_path: Path, clickhouse: ClickHouseAt, s3: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places: dict[str, Any] = {
            "profile": "scale",
            "clickhouse": {
                "host": clickhouse.host,
                "port": clickhouse.port,
                "user": clickhouse.user,
                "database": f"market_{uuid4().hex[:8]}",
            },
            "documents": {"path": f"s3://{s3.new_bucket()}/documents"},
            "s3": {"endpoint": s3.url, "region": REGION},
        }
        folder = Graph(small_settings(tmp_path / "folder"))
        folder.run()
        scale = Graph(small_settings(tmp_path / "scale", run={"executor": "multiprocess"}, **places))
        # The steps' processes load the definitions anew, from the environment.
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", clickhouse.password)
        for name, value in {
            "HOME": str(tmp_path / "scale"),
            "PROFILE": "scale",
            "DATA__START": "2023-01-03",
            "DATA__END": "2023-04-28",
            "SAMPLE__TICKERS": "12",
            "FACTORS__FAMILIES": json.dumps(FEW_FACTORS),
            "EVALUATION__BETA_WINDOW": str(scale.settings.evaluation.beta_window),
            "RUN__EXECUTOR": "multiprocess",
            **{f"{s.upper()}__{k.upper()}": str(v) for s in places if s != "profile" for k, v in places[s].items()},
        }.items():
            monkeypatch.setenv(f"FACTOR_ASSETS_{name}", value)
        tickers = add_tickers(scale.instance, scale.workspace)
        months = dates(scale.settings).get_partition_keys()
        by_ticker = {RANGE_START: tickers[0], RANGE_END: tickers[-1]}
        for job, tags in (
            (load_prices_job, by_ticker),
            (daily_job, {RANGE_START: months[0], RANGE_END: months[-1]}),
            (details_job, by_ticker),
            (report_job, {}),
        ):
            with dg.execute_job(dg.reconstructable(job), instance=scale.instance, tags=tags) as result:
                assert result.success, job
        found = scale.checksums()
        assert found == folder.checksums()
        assert len(found) > 20
        store = scale.workspace.store
        versions = {table: store.versions(table)[0].id for table in found}
        scale.run()
        assert scale.checksums() == found
        assert {table: store.versions(table)[0].id for table in found} == versions
        assert not (tmp_path / "scale" / "lake").exists()
        scale.instance.dispose()
