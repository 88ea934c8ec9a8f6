"""Assets from filed numbers to fundamentals: facts by ticker, fundamentals by date. They exist once a contact is set.

What does not belong here: fetching (`sec.py`), what was known when (`panel/facts.py`, `panel/fundamentals.py`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.automation import STAGE_TAG
from factor_assets.defs.materialization import on_all, replace_parts, table_asset
from factor_assets.defs.partitions import TICKERS, dates, earlier, slice_of, whole_partitions
from factor_assets.defs.sec import FILINGS, SEC, SEC_DOCUMENTS
from factor_assets.errors import DocumentNotFoundError, MalformedDataError
from factor_assets.panel.facts import known_facts
from factor_assets.panel.fundamentals import fundamentals, split_factors, used_facts, without_books
from factor_assets.panel.known_books import FACT_COLUMNS
from factor_assets.settings import version_of
from factor_assets.sources.edgar import LABEL, latest
from factor_assets.sources.edgar_facts import facts_from_companyfacts
from factor_assets.storage.slice import Slice
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

FACTS, FUNDAMENTALS = dg.AssetKey("facts"), dg.AssetKey("fundamentals")
PRICES = dg.AssetKey("prices")
GROUP = "fundamentals"

_SHOWN = 50
_BATCH = 25
"""Companies whose facts are in memory together: 25,000 rows each."""

_SESSIONS_A_COMMIT = 252

_MIN_COVERED = 0.8
# Funds and foreign shares are priced and file no books.


def fundamental_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file; none without a contact."""
    return [_facts(workspace), _fundamentals(workspace)] if workspace.settings.sec.contact else []


def _facts(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(code=f"1-{settings.data.calendar}")

    @dg.multi_asset(
        name="facts",
        specs=[
            table_asset(
                TABLES["facts"],
                group=GROUP,
                code_version=code_version,
                partitions=TICKERS,
                deps=[dg.AssetDep(SEC_DOCUMENTS), dg.AssetDep(FILINGS)],
                tags={STAGE_TAG: SEC},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec("every_document_reads", asset=FACTS, description="All company facts could be read.")
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def facts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        dropped: Counter[str] = Counter()
        without: list[str] = []
        unread: dict[str, str] = {}

        def parts() -> Iterator[tuple[Slice, pa.Table]]:
            for tickers in _batches(sorted(part.tickers or ()), _BATCH):
                rows = [TABLES["facts"].schema.empty_table()]
                for ticker in tickers:
                    try:
                        rows.append(_facts_of(workspace, ticker, dropped))
                    except DocumentNotFoundError:
                        without.append(ticker)
                    except MalformedDataError as error:
                        # What is stored of it stays: an answer that cannot be read tells nothing.
                        unread[ticker] = str(error)
                        rows.append(workspace.store.read("facts", Slice(tickers=frozenset({ticker}))))
                        context.log.warning(f"{ticker}: {error}")
                told["dropped"], told["without_facts"] = dict(dropped), without[:_SHOWN]
                yield Slice(tickers=frozenset(tickers)), pa.concat_tables(rows)

        told: dict[str, Any] = {"dropped": {}}
        yield replace_parts(
            context,
            workspace,
            "facts",
            part,
            parts(),
            asset_key=FACTS,
            code_version=code_version,
            inputs=("filings",),
            metadata=told,
            source=LABEL,
        )
        yield dg.AssetCheckResult(
            check_name="every_document_reads",
            asset_key=FACTS,
            passed=not unread,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(list(unread.values())[:3]) or None,
            metadata={"n_unread": len(unread), "examples": sorted(unread)[:_SHOWN], "n_without": len(without)},
        )

    return facts


def _facts_of(workspace: Workspace, ticker: str, dropped: Counter[str]) -> pa.Table:
    found = facts_from_companyfacts(latest(workspace.documents, "companyfacts", ticker), ticker=ticker, source=LABEL)
    dropped.update(found.dropped)
    filings = workspace.store.read(
        "filings", Slice(tickers=frozenset({ticker})), columns=["ticker", "accession", "accepted_at"]
    )
    return known_facts(found.rows, calendar=workspace.settings.data.calendar, filings=filings)


def _fundamentals(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    max_age_days = settings.sec.max_age_days
    code_version = version_of(code=f"1-{settings.data.calendar}-{max_age_days}")

    @dg.multi_asset(
        name="fundamentals",
        specs=[
            table_asset(
                TABLES["fundamentals"],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=[
                    *on_all(FACTS),
                    # Splits since the day that the number of shares is told for.
                    dg.AssetDep(PRICES, partition_mapping=earlier(settings, max_age_days)),
                ],
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "companies_have_books",
                asset=FUNDAMENTALS,
                description=f"At least {_MIN_COVERED:.0%} of the tickers with a price have total assets.",
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def fundamentals_by_date(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        prices = workspace.store.read("prices", Slice(end=part.end), columns=["date", "ticker", "split_factor"])
        splits = split_factors(prices)
        known = _used_facts(workspace, sorted(splits))
        sessions = workspace.sessions(part)
        told: dict[str, Any] = {"dropped": {}}
        newest = TABLES["fundamentals"].schema.empty_table()

        def parts() -> Iterator[tuple[Slice, pa.Table]]:
            nonlocal newest
            for piece in whole_partitions(settings, part, sessions, at_most=_SESSIONS_A_COMMIT):
                made = fundamentals(
                    known, sessions=workspace.sessions(piece), split_factor=splits, max_age_days=max_age_days
                )
                newest = made.rows
                told["dropped"], told["currencies"] = dict(made.dropped), _currencies(newest)
                yield piece, made.rows

        yield replace_parts(
            context,
            workspace,
            "fundamentals",
            part,
            parts(),
            asset_key=FUNDAMENTALS,
            code_version=code_version,
            inputs=("facts", "prices"),
            metadata=told,
            source=LABEL,
        )
        missing, n_priced = without_books(newest, prices)
        yield dg.AssetCheckResult(
            check_name="companies_have_books",
            asset_key=FUNDAMENTALS,
            passed=len(missing) <= (1 - _MIN_COVERED) * n_priced,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(missing)} of {n_priced} tickers with a price have no total assets on the last session",
            metadata={"n_missing": len(missing), "n_tickers": n_priced, "examples": missing[:_SHOWN]},
        )

    return fundamentals_by_date


def _currencies(rows: pa.Table) -> dict[str, int]:
    """Return currency of the books -> companies on the last session of the rows."""
    if rows.num_rows == 0:
        return {}
    last = rows.filter(pc.equal(rows["date"], pc.max(rows["date"])))
    return dict(sorted(Counter(c or "unknown" for c in last["reporting_currency"].to_pylist()).items()))


def _used_facts(workspace: Workspace, tickers: list[str]) -> pa.Table:
    """Read the facts that fundamentals are made of, some companies at a time: they are a tenth of all."""
    kept = [TABLES["facts"].schema.empty_table().select(list(FACT_COLUMNS))]
    for some in _batches(tickers, 4 * _BATCH):
        rows = workspace.store.read("facts", Slice(tickers=frozenset(some)), columns=list(FACT_COLUMNS))
        kept.append(used_facts(rows))
    return pa.concat_tables(kept)


def _batches(tickers: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(tickers), size):
        yield tickers[at : at + size]
