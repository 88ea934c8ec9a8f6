"""Assets of the news by session: `news` and `news_sentiments`. They exist once `news.source` is set.

A paid request is one ticker and day, but an asset partition is one of the daily chain and covers every ticker: what was
paid is remembered by the kept answers, so that a re-run pays nothing, and no asset needs a partition a ticker and day.
(100 tickers and ten years would be 365,000 of them, at 15 ms each; Dagster advises at most 100,000.) A day is made by
hand as its partition, and a run asks for the days of its sessions that lack an answer.

A service that fails makes a check fail, not the run: what is kept stays in the table, nothing that follows from prices
waits, and the next run over the sessions asks again. What does not belong here: asking (`sources/tavily.py`), sessions
(`panel/news.py`), the numbers as fields (`document_scores.py`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from factor_assets import calendar
from factor_assets.defs.materialization import replace_parts, replace_slice, table_asset
from factor_assets.defs.partitions import dates, slice_of, whole_partitions
from factor_assets.panel.news import days_of_news, news_rows
from factor_assets.settings import Settings, version_of
from factor_assets.sources.headlines import headlines_version, read_headlines
from factor_assets.sources.tavily import OUTCOMES, Fetched, Kept, TavilyNews, kept_answers, read_answers
from factor_assets.storage.slice import Slice
from factor_assets.tables import TABLES
from factor_assets.text.language_model import Question, Tally, ask_all
from factor_assets.text.lexicon import model_name
from factor_assets.text.prompt import prompt_of
from factor_assets.text.sentiment import models_of, sentiment_questions, sentiment_rows
from factor_assets.workspace import Workspace

NEWS, NEWS_SENTIMENTS = dg.AssetKey("news"), dg.AssetKey("news_sentiments")
GROUP = "text"

SESSIONS_AT_ONCE = 63
"""Sessions whose articles are in memory together: a quarter of 500 tickers is some 100 MB."""

_TOLD, _SHOWN = 3, 50


def news_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file; none without a source of news."""
    return [_news(workspace), _news_sentiments(workspace)] if workspace.settings.news.source else []


def news_source(settings: Settings) -> str:
    """Return what the column `source` says of news; a store does not mix two in one table."""
    return f"news ({settings.news.source})"


@dataclass
class _Account:
    """What a run was given; filled part by part."""

    asked: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    waiting: str = ""
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, found: Fetched) -> None:
        self.asked[found.outcome] += 1
        if found.outcome == "failed":
            self.failures[f"{found.ticker} {found.day}"] = found.reason
        elif found.outcome == "waiting":
            self.waiting = found.reason


def _news(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    chosen = settings.news
    files = headlines_version(chosen) if chosen.source == "files" else ""
    code_version = version_of(code=f"1-{chosen.source}-{chosen.path}-{sorted(chosen.columns.items())}-{files}")

    @dg.multi_asset(
        # Not `news`: so the job is called, and Dagster wants other names for ops.
        name="read_news",
        specs=[
            table_asset(
                TABLES["news"],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                description=f"{TABLES['news'].meaning} Source: {chosen.source}.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "every_day_answered", asset=NEWS, description="The source answered for every ticker and day asked for."
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def read_news(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        account = _Account()
        told: dict[str, Any] = {}
        made = replace_parts(
            context,
            workspace,
            "news",
            part,
            _parts(workspace, part, account, told),
            asset_key=NEWS,
            code_version=code_version,
            metadata=told,
            source=news_source(settings),
        )
        for name, reason in list(account.failures.items())[:_TOLD]:
            context.log.warning(f"{name}: {reason}")
        if account.waiting:
            context.log.warning(f"{account.asked['waiting']} tickers and days wait: {account.waiting}")
        yield made
        yield _answer_check(account)

    return read_news


def _parts(
    workspace: Workspace, part: Slice, account: _Account, told: dict[str, Any]
) -> Iterator[tuple[Slice, pa.Table]]:
    """Yield slice after slice with its rows, and tell at the end what became of the rest."""
    settings = workspace.settings
    name = settings.data.calendar
    tickers = workspace.wanted_tickers()
    headlines = None
    kept: Kept = {}
    # One for the run: it counts the requests.
    client = TavilyNews(settings.news, workspace.documents, home=settings.home)
    every: list[date] = days_of_news(settings.data.calendar, workspace.sessions(part)).tolist()
    if settings.news.source == "tavily" and every:
        kept = kept_answers(workspace.documents, tickers, first=every[0], last=every[-1])
    elif settings.news.source == "files":
        headlines = read_headlines(settings.news, calendar=settings.data.calendar)
        told["unusable_in_file"] = dict(headlines.dropped)
    for piece in whole_partitions(settings, part, workspace.sessions(part), at_most=SESSIONS_AT_ONCE):
        sessions = workspace.sessions(piece)
        if headlines is None:
            days: list[date] = days_of_news(settings.data.calendar, sessions).tolist()
            last_close = calendar.close_time(name, calendar.last_completed_session(name, datetime.now(UTC)))
            for fetched in client.fetch(tickers, days, last_close=last_close, kept=kept):
                account.add(fetched)
            articles = read_answers(workspace.documents, tickers, days, kept=kept)
            account.dropped.update(articles.dropped)
        else:
            articles = headlines
        found = news_rows(
            articles.rows,
            calendar=settings.data.calendar,
            sessions=sessions,
            tickers=tickers,
            source=news_source(settings),
        )
        account.dropped.update(found.dropped)
        yield piece, found.rows
    told["left_out"] = dict(account.dropped)
    told["requests"] = {outcome: account.asked[outcome] for outcome in OUTCOMES}


def _answer_check(account: _Account) -> dg.AssetCheckResult:
    failures = list(account.failures.items())
    summary = ", ".join(f"{account.asked[outcome]} {outcome}" for outcome in OUTCOMES)
    if account.waiting:
        summary += f"; {account.waiting}"
    if failures:
        summary += ": " + "; ".join(f"{name}: {reason}" for name, reason in failures[:_TOLD])
        summary += "; ..." if len(failures) > _TOLD else ""
    return dg.AssetCheckResult(
        check_name="every_day_answered",
        asset_key=NEWS,
        passed=not failures and not account.waiting,
        severity=dg.AssetCheckSeverity.ERROR if failures else dg.AssetCheckSeverity.WARN,
        description=summary if account.asked else None,
        metadata={
            "n_failed": len(failures),
            "n_waiting": account.asked["waiting"],
            "failures": dg.MetadataValue.md(_as_markdown(dict(failures[:_SHOWN]))),
        },
    )


def _as_markdown(failures: Mapping[str, str]) -> str:
    rows = [f"| {name} | {reason} |" for name, reason in failures.items()]
    return "\n".join(["| ticker and day | reason |", "|---|---|", *rows])


def _news_sentiments(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    model = settings.language_model
    reader = model.model or model_name()
    code_version = version_of(code=f"1-{model.provider}-{reader}-{prompt_of('sentiment').version}")

    @dg.multi_asset(
        name="news_sentiments",
        specs=[
            table_asset(
                TABLES["news_sentiments"],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=[dg.AssetDep(NEWS)],
                description=f"{TABLES['news_sentiments'].meaning} By: {reader}.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "news_are_read",
                asset=NEWS_SENTIMENTS,
                description="The share of sessions and tickers with news but no number is at most"
                " language_model.max_failed_share.",
            ),
            dg.AssetCheckSpec(
                "one_reader",
                asset=NEWS_SENTIMENTS,
                description="All numbers of the table are of one model or lexicon.",
            ),
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def news_sentiments(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        tally, n_articles, left_out = Tally(), dict[tuple[date, str], int](), Counter[str]()

        def questions() -> Iterator[Question]:
            for piece in whole_partitions(settings, part, workspace.sessions(part), at_most=SESSIONS_AT_ONCE):
                for asked in sentiment_questions(workspace.store.read("news", piece)):
                    n_articles[asked.question.day, asked.question.ticker] = asked.n_articles
                    left_out["too long together"] += asked.n_left_out
                    yield asked.question

        # One call for all: budget and pace are those of the run.
        answers = ask_all(questions(), settings=model, documents=workspace.documents)
        rows = sentiment_rows(answers, n_articles, tally, source=news_source(settings))
        yield replace_slice(
            context,
            workspace,
            "news_sentiments",
            part,
            rows,
            asset_key=NEWS_SENTIMENTS,
            code_version=code_version,
            inputs=("news",),
            metadata={
                "questions": tally.counts(),
                "cost": tally.cost,
                "articles_left_out": dict(left_out),
                "models": dict(models_of(rows)),
            },
            source=news_source(settings),
        )
        yield _reading_check(rows, tally, at_most=model.max_failed_share)
        yield _reader_check(workspace)

    return news_sentiments


def _reading_check(rows: pa.Table, tally: Tally, *, at_most: float) -> dg.AssetCheckResult:
    reasons = Counter(reason for reason in rows["error"].to_pylist() if reason is not None)
    told = "; ".join(f"{n} times: {reason}" for reason, n in reasons.most_common(_TOLD))
    return dg.AssetCheckResult(
        check_name="news_are_read",
        asset_key=NEWS_SENTIMENTS,
        passed=tally.failed_share <= at_most,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{sum(reasons.values())} of {rows.num_rows} have no number: {told}" if reasons else None,
        metadata={"n_failed": sum(reasons.values()), "n_questions": rows.num_rows, "failed_share": tally.failed_share},
    )


def _reader_check(workspace: Workspace) -> dg.AssetCheckResult:
    found = models_of(workspace.store.read("news_sentiments", columns=["model"]))
    told = ", ".join(f"{model} ({n})" for model, n in found.most_common())
    return dg.AssetCheckResult(
        check_name="one_reader",
        asset_key=NEWS_SENTIMENTS,
        passed=len(found) <= 1,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(found)} readers: {told}. Make the other dates again with the present one."
        if len(found) > 1
        else None,
        metadata={"models": dict(found)},
    )
