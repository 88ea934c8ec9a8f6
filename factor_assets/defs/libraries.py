"""One asset a library of factors: a table with a column for each, made and written a few partitions at a time.

Every library is in the graph; those that the settings name are made every day and evaluated, the others on demand.
What does not belong here: single factors (`factors.py`).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from factor_assets.column import library_column
from factor_assets.defs.automation import ON_DEMAND
from factor_assets.defs.checks import over_columns, value_results, value_specs
from factor_assets.defs.factors import JUDGED_BEFORE, has_scale, warm_rows
from factor_assets.defs.materialization import replace_parts, table_asset
from factor_assets.defs.partitions import dates, earlier, slice_of, whole_partitions
from factor_assets.evaluation.value_quality import ValueStatistics, judge, value_statistics
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import RegisteredLibrary, all_libraries
from factor_assets.panel.panel import Panel
from factor_assets.storage.slice import Slice
from factor_assets.tables import Table, library_table
from factor_assets.workspace import Workspace

GROUP = "libraries"

MAX_VALUES = 20_000_000
"""Values of a part, 160 MB: five months of 360 columns and 500 tickers.

Writing a part takes several times its size: 1.5 GB above an idle process; parts of 50 million took 2.6 GB, and a tenth
less time.
"""


def library_key(name: str) -> dg.AssetKey:
    """Return the asset key of a library: libraries / name."""
    return dg.AssetKey(["libraries", name])


def library_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return one asset a library."""
    return [_library(workspace, library) for _, library in sorted(all_libraries().items())]


def declared_table(library: RegisteredLibrary) -> Table:
    """Declare the table of a library, every column with its meaning, formula and unit."""
    return library_table(
        library.name,
        (
            library_column(
                name,
                unit=factor.factor.unit,
                meaning=" ".join(filter(None, (factor.factor.description, f"Formula: `{factor.expression}`."))),
            )
            for name, factor in library.factors.items()
        ),
    )


def _library(workspace: Workspace, library: RegisteredLibrary) -> dg.AssetsDefinition:
    settings = workspace.settings
    key, code_version, lookback = library_key(library.name), library.code_version, library.lookback
    reaches_back = earlier(settings, lookback)
    declaration = library.library

    @dg.multi_asset(
        name=f"{library.name}_library",
        specs=[
            table_asset(
                declared_table(library),
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=[dg.AssetDep(name, partition_mapping=reaches_back) for name in workspace.panel_tables()],
                description=f"{declaration.description}\n\n{declaration.cite}",
                metadata={
                    "citation": declaration.cite,
                    "n_columns": len(library.factors),
                    "lookback_sessions": lookback,
                },
                tags={} if library.name in workspace.libraries else ON_DEMAND,
            )
        ],
        check_specs=value_specs(key),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def library_factors(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        panel = workspace.panel(part, history=lookback + JUDGED_BEFORE)
        run = _Run(workspace, library, panel, part)
        yield replace_parts(
            context,
            workspace,
            f"libraries/{library.name}",
            part,
            run.parts(),
            asset_key=key,
            code_version=code_version,
            inputs=workspace.panel_tables(),
            metadata={"n_columns": len(library.factors)},
        )
        yield from value_results(run.judgements(), key)

    return library_factors


class _Run:
    """One run over some partitions: rows, and on the way what the checks need.

    1. Cut the run's sessions into parts of whole partitions that are small enough (`MAX_VALUES`).
    2. Evaluate each part with its lookback, column by column; the first also the sessions that checks compare with.
    3. Keep of each column its rows until the part is written, and its statistics until the end.
    """

    def __init__(self, workspace: Workspace, library: RegisteredLibrary, panel: Panel, part: Slice) -> None:
        self._workspace = workspace
        self._library = library
        self._panel = panel
        self._sessions = workspace.sessions(part)
        self._start = len(panel.dates) - len(self._sessions)
        self._first = max(0, self._start - JUDGED_BEFORE)
        self._statistics: dict[str, list[ValueStatistics]] = {name: [] for name in library.factors}
        at_most = MAX_VALUES // max(1, len(library.factors) * len(panel.tickers))
        self._slices = whole_partitions(workspace.settings, part, self._sessions, at_most=at_most)

    def parts(self) -> Iterator[tuple[Slice, pa.Table]]:
        """Yield slice after slice with its rows."""
        start = self._start
        for piece in self._slices:
            stop = start + len(self._workspace.sessions(piece))
            yield piece, self._rows(start, stop)
            start = stop

    def _rows(self, start: int, stop: int) -> pa.Table:
        """Return the rows of the panel's sessions `start` to `stop` (exclusive)."""
        # The session before the first one judged is there for the correlation of its ranks.
        judged = self._first if start == self._start else start - 1
        begin = max(0, judged - self._library.lookback)
        panel = self._panel.rows(begin, stop)
        members = panel.in_universe[judged - begin :]
        priced = ~np.isnan(panel["raw_close"][start - begin :])
        columns: dict[str, pa.Array] = {}
        expressions = {name: factor.expression for name, factor in self._library.factors.items()}
        for name, values in evaluate(expressions, panel):
            found = value_statistics(
                values[judged - begin :], members, has_scale=has_scale(self._library.factors[name])
            )
            self._statistics[name].append(found if start == self._start else found.rows(1))
            kept = values[start - begin :][priced]
            columns[name] = pa.array(kept, mask=~np.isfinite(kept))
        keys = panel.gather(panel["raw_close"][start - begin :], start=start - begin).select(["date", "ticker"])
        source = pa.repeat(self._workspace.source.label, keys.num_rows)
        return pa.table({**dict(zip(keys.column_names, keys.columns, strict=True)), **columns, "source": source})

    def judgements(self) -> Iterator[Any]:
        """Yield one judgement a check, over all columns."""
        first = self._first
        yield from over_columns(
            {
                name: judge(
                    ValueStatistics.joined(self._statistics[name]),
                    self._panel.dates[first:],
                    start=self._start - first,
                    warm=warm_rows(self._workspace, self._panel, factor) - first,
                )
                for name, factor in self._library.factors.items()
            }
        )
