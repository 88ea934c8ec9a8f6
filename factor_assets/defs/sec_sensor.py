"""The sensor `new_filings`: a run for each new filing that carries facts.

1. Ask for the submissions of a few tickers a tick, in rotation; with the validators of the last answer, so that most
   answers are "unchanged".
2. New is a filing with facts that the cursor does not hold; the first time that a ticker is seen, all are old.
3. The cursor of a ticker moves only together with the runs that are requested for it. A ticker that failed stays where
   it was and has its turn in the next rotation; a tick that is cut short returns nothing and moves nothing.

The cursor holds, of each ticker, the newest time of acceptance and the filings accepted in the `REACH` before it, for
EDGAR lists some late and corrects times afterwards. A run's key is accession number and ticker (two share classes have
the same filings), so that Dagster itself would refuse a second run for it.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

import dagster as dg

from factor_assets.defs.partitions import TICKERS
from factor_assets.defs.sec import ACCESSION_TAG, SEC
from factor_assets.errors import MalformedDataError, ServiceError
from factor_assets.settings import SecSettings, Settings
from factor_assets.sources.edgar import EdgarClient
from factor_assets.sources.edgar_filings import fact_filings
from factor_assets.workspace import Workspace

NEW_FILINGS = "new_filings"
POLL_EVERY_S = 60
TICKERS_A_TICK = 50
"""Dagster ends a tick after 60 seconds; 50 tickers take about ten at the default rate."""

LONGEST_TICK_S = 30.0
LONGEST_REQUEST_S = 5.0
MOST_FAILURES = 3
REACH = timedelta(days=180)
"""How far behind the newest a filing may be accepted and still be new: filings of half a year are few, so the cursor
stays small; what is later still is found by the daily run."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of one ticker.

    Parameters
    ----------
    newest
        Newest time of acceptance, as EDGAR writes it.
    accessions
        Accession numbers of the filings that were accepted within `REACH` before it.
    """

    newest: str
    accessions: Sequence[str]
    validators: Mapping[str, str]


@dataclass(slots=True)
class _Cursor:
    """What is known of every ticker, and which was asked last."""

    after: str = ""
    seen: dict[str, _Seen] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> "_Cursor":
        if not text:
            return cls()
        held = json.loads(text)
        return cls(held["after"], {ticker: _Seen(**entry) for ticker, entry in held["seen"].items()})

    def write(self) -> str:
        return json.dumps({"after": self.after, "seen": {t: asdict(s) for t, s in self.seen.items()}})


def sec_sensors(workspace: Workspace) -> list[dg.SensorDefinition]:
    """Return the sensor of this file; none without a contact."""
    return [_new_filings(workspace.settings)] if workspace.settings.sec.contact else []


def _new_filings(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name=NEW_FILINGS,
        job_name=SEC,
        minimum_interval_seconds=POLL_EVERY_S,
        description="Starts a run for each new filing that carries facts. What was filed before a ticker is first seen"
        " is left to the daily run.",
    )
    def new_filings(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        # The code server lives for weeks: a new workspace sees the tickers that the source holds today.
        workspace = Workspace(settings)
        cursor = _Cursor.read(context.cursor)
        tickers = sorted(set(workspace.wanted_tickers()))
        cursor.seen = {ticker: cursor.seen[ticker] for ticker in tickers if ticker in cursor.seen}
        new, problems = _ask(workspace, cursor, _turn(tickers, cursor.after))
        return _result(context, cursor, new, problems)

    return new_filings


def _ask(workspace: Workspace, cursor: _Cursor, tickers: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Ask for the tickers and move the cursor; return the new filings as ticker and accession number, and problems."""
    began, in_a_row = monotonic(), 0
    new: list[tuple[str, str]] = []
    problems: list[str] = []
    settings = workspace.settings
    hasty = EdgarClient(_hasty(settings.sec), workspace.documents, home=settings.home, patience=LONGEST_REQUEST_S)
    with closing(hasty) as client:
        for ticker in tickers:
            if in_a_row >= MOST_FAILURES or monotonic() - began > LONGEST_TICK_S:
                break
            cursor.after = ticker
            try:
                looked = _look(client, ticker, cursor.seen.get(ticker))
            except (ServiceError, MalformedDataError) as error:
                in_a_row += 1
                problems.append(f"{ticker}: {error}")
                continue
            in_a_row = 0
            if looked is not None:
                cursor.seen[ticker], found = looked
                new += [(ticker, accession) for accession in found]
    return new, problems


def _look(client: EdgarClient, ticker: str, before: _Seen | None) -> tuple[_Seen, list[str]] | None:
    """Return what is known of a ticker now, and the accession numbers that are new, in order of acceptance.

    None if there is nothing to know: unchanged, or the SEC has no filings of such a company.
    """
    answer = client.poll(ticker, before.validators if before else {})
    if answer is None or answer.outcome != "new":
        return None
    filings = [(accepted, number) for accepted, number in fact_filings(answer.content, ticker=ticker) if accepted]
    # Without any filing it starts from now: a list that was empty for a moment must not make a history new.
    start = before.newest if before else "" if filings else datetime.now(UTC).isoformat()
    newest = max([accepted for accepted, _ in filings] + [start])
    reached = [accession for accepted, accession in filings if _near(accepted, newest)]
    kept = _Seen(newest, sorted(reached), dict(answer.validators))
    if before is None:
        return kept, []
    known = set(before.accessions)
    return kept, [number for accepted, number in filings if number not in known and _near(accepted, before.newest)]


def _near(accepted: str, newest: str) -> bool:
    """Whether a filing was accepted after the reach of the newest began."""
    return datetime.fromisoformat(accepted) > datetime.fromisoformat(newest) - REACH


def _turn(tickers: Sequence[str], after: str) -> list[str]:
    """Return the tickers of this tick: those after the last that was asked, then from the start."""
    later = [ticker for ticker in tickers if ticker > after]
    return [*later, *(ticker for ticker in tickers if ticker <= after)][:TICKERS_A_TICK]


def _hasty(settings: SecSettings) -> SecSettings:
    """Do not wait within a tick: the next one asks again."""
    return settings.model_copy(update={"retries": 0, "timeout": min(settings.timeout, LONGEST_REQUEST_S)})


def _result(
    context: dg.SensorEvaluationContext, cursor: _Cursor, new: Sequence[tuple[str, str]], problems: Sequence[str]
) -> dg.SensorResult:
    for problem in problems:
        context.log.warning(problem)
    if not new:
        reason = "; ".join(problems[:3]) or "no new filing"
        return dg.SensorResult(skip_reason=reason, cursor=cursor.write())
    known = set(context.instance.get_dynamic_partitions(str(TICKERS.name)))
    missing = sorted({ticker for ticker, _ in new} - known)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{accession}-{ticker}", partition_key=ticker, tags={ACCESSION_TAG: accession})
            for ticker, accession in new
        ],
        dynamic_partitions_requests=[TICKERS.build_add_request(missing)] if missing else [],
        cursor=cursor.write(),
    )
