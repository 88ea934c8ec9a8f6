"""The whole graph: every asset, check, job, schedule and sensor, in the order data moves."""

from collections.abc import Sequence

import dagster as dg

from factor_assets.defs.automation import followers, maintenance_job, schedules, stage_jobs, with_freshness
from factor_assets.defs.buckets import bucket_resources
from factor_assets.defs.document_schedules import document_schedules
from factor_assets.defs.document_scores import document_score_assets
from factor_assets.defs.evaluation import evaluation_assets
from factor_assets.defs.evidence import evidence_assets
from factor_assets.defs.factors import factor_assets
from factor_assets.defs.filing_texts import filing_text_assets
from factor_assets.defs.fundamentals import fundamental_assets
from factor_assets.defs.libraries import library_assets
from factor_assets.defs.maintenance import maintenance_assets
from factor_assets.defs.materialization import TABLE_KIND
from factor_assets.defs.news import news_assets
from factor_assets.defs.novelty import novelty_assets
from factor_assets.defs.prices import price_assets
from factor_assets.defs.promotion import promotion_assets
from factor_assets.defs.regressions import regression_assets
from factor_assets.defs.report import report_assets
from factor_assets.defs.report_sensor import report_sensors
from factor_assets.defs.reports import report_document_assets
from factor_assets.defs.score_sensor import score_jobs, score_sensors
from factor_assets.defs.sec import sec_assets
from factor_assets.defs.sec_sensor import sec_sensors
from factor_assets.defs.selection import selection_assets
from factor_assets.defs.styles import style_assets
from factor_assets.defs.variants import variant_assets
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions that the settings ask for."""
    workspace = Workspace(settings)
    assets = [
        *price_assets(workspace),
        *sec_assets(workspace),
        *filing_text_assets(workspace),
        *fundamental_assets(workspace),
        *report_document_assets(workspace),
        *news_assets(workspace),
        *document_score_assets(workspace),
        *factor_assets(workspace),
        *library_assets(workspace),
        *evaluation_assets(workspace),
        *novelty_assets(workspace),
        *evidence_assets(workspace),
        *regression_assets(workspace),
        *selection_assets(workspace),
        *variant_assets(workspace),
        *style_assets(workspace),
        *promotion_assets(workspace),
        *report_assets(workspace),
        *maintenance_assets(workspace),
    ]
    jobs = stage_jobs(assets)
    executor = dg.in_process_executor if settings.run.executor == "in_process" else _multiprocess_executor()
    return dg.Definitions(
        assets=with_places(with_freshness(assets, settings), settings),
        jobs=[*jobs.values(), *score_jobs(workspace), maintenance_job()],
        schedules=[*schedules(workspace), *document_schedules(workspace, jobs)],
        sensors=[
            *followers(workspace, jobs),
            *sec_sensors(workspace),
            *report_sensors(workspace),
            *score_sensors(workspace),
        ],
        executor=executor,
        resources=bucket_resources(settings),
    )


def with_places(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """Show on every table where it is: ClickHouse, or Delta Lake in a folder or in S3."""
    lake = {"delta", "s3"} if "://" in settings.lake_path else {"delta"}
    kinds = lake if settings.store_kind == "lake" else {"clickhouse"}

    def placed(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(kinds=kinds) if TABLE_KIND in spec.kinds else spec

    return [definition.map_asset_specs(placed) for definition in assets]


def _multiprocess_executor() -> dg.ExecutorDefinition:
    """One process a step, from a server that has imported everything once: a step starts in a fraction of the time."""
    preload = {"forkserver": {"preload_modules": [__name__]}}
    return dg.multiprocess_executor.configured({"start_method": preload}, name="multiprocess")
