"""`Workspace`: one object that turns settings into the store, the source, the calendar and a panel.

It is what a notebook, the command line and the Dagster assets share; it knows nothing of Dagster.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets import calendar
from factor_assets.calendar import Dates
from factor_assets.errors import SettingsError, UniverseError
from factor_assets.factors.registry import (
    RegisteredFactor,
    RegisteredLibrary,
    all_factors,
    all_libraries,
    select_factors,
    select_libraries,
)
from factor_assets.factors.user import user_factors
from factor_assets.panel.fields import (
    FUNDAMENTALS,
    LABELS,
    PRICE_FIELDS,
    SCORES,
    columns_of,
    price_columns_of,
    tables_of,
)
from factor_assets.panel.panel import Array, Panel
from factor_assets.panel.prices import clean_prices, first_difference
from factor_assets.panel.universe import MEMBERSHIPS, Membership, match_spelling, universe_tickers
from factor_assets.settings import Settings
from factor_assets.sources.price_source import PriceSource, open_source
from factor_assets.storage.documents import Documents
from factor_assets.storage.opening import open_store, s3_options
from factor_assets.storage.rows import conform
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Store
from factor_assets.tables import table

PRICE_CURRENCY = "USD"
"""Of the prices of whoever files with the SEC."""

_HOW_TO_HAVE = {
    FUNDAMENTALS: "set sec.contact",
    SCORES: "set news.source, reports.path, or sec.contact with sec.filing_texts",
}


@dataclass(frozen=True)
class Workspace:
    """Everything that the settings name, opened on first use.

    Parameters
    ----------
    settings
        As `load_settings` returns them.
    """

    settings: Settings

    @cached_property
    def store(self) -> Store:
        """The store of all tables."""
        return open_store(self.settings)

    def location(self, table: str) -> str:
        """Return where a table is: a folder, a URI, or server, database and table."""
        return self.store.location(table)

    @cached_property
    def documents(self) -> Documents:
        """The raw documents: answers of services, filings, reports, answers of the language model."""
        return Documents(self.settings.documents_path, options=s3_options(self.settings.s3))

    @cached_property
    def source(self) -> PriceSource:
        """The source of prices."""
        return open_source(self.settings)

    @cached_property
    def factors(self) -> Mapping[str, RegisteredFactor]:
        """Factors that are assets: those of the package that the settings choose, then the user's own.

        Where the settings choose none by name, those that read filings, reports or news are left out unless the
        settings ask for these.

        Raises
        ------
        SettingsError
            If the settings choose what does not exist, or by name what reads tables that they do not ask for.
        UserFactorError
            If a file of the user's cannot be read.
        """
        own = user_factors(self.settings.factors.paths)
        chosen = self.settings.chosen_factors
        known = all_factors() if chosen else {n: f for n, f in all_factors().items() if not self._lacks(f)}
        found = select_factors(known, chosen, own=own)
        for factor in found.values():
            if lacking := self._lacks(factor):
                raise SettingsError(
                    f"The factor {factor.family}/{factor.name} reads {lacking}, which these settings do not ask for;"
                    f" {_HOW_TO_HAVE[lacking]}, or choose other factors."
                )
        return MappingProxyType(found)

    def _lacks(self, factor: RegisteredFactor) -> str:
        """Return the first table that the factor needs and the settings do not ask for; "" if there is none."""
        return next((table for table in factor.document_tables if table not in self.document_tables), "")

    @cached_property
    def libraries(self) -> Mapping[str, RegisteredLibrary]:
        """Libraries that the daily job makes.

        Raises
        ------
        SettingsError
            If the settings name one that does not exist.
        """
        return MappingProxyType(select_libraries(all_libraries(), self.settings.factors.libraries))

    @property
    def first_session(self) -> date:
        """First session of the data."""
        return _day(calendar.sessions(self.settings.data.calendar, self.settings.start, self._last_day)[0])

    @property
    def last_session(self) -> date:
        """Last session whose close has passed, within the settings' range."""
        return _day(calendar.sessions(self.settings.data.calendar, self.settings.start, self._last_day)[-1])

    @property
    def _last_day(self) -> date:
        completed = calendar.last_completed_session(self.settings.data.calendar, datetime.now(UTC))
        return min(self.settings.last_date, completed)

    def sessions(self, part: Slice, *, history: int = 0) -> Dates:
        """Completed sessions of the slice, preceded by up to `history` earlier ones; datetime64[D].

        Sessions before the settings' start do not exist for the platform.
        """
        every = calendar.sessions(self.settings.data.calendar, self.settings.start, self._last_day)
        start = 0 if part.start is None else int(np.searchsorted(every, np.datetime64(part.start, "D")))
        stop = len(every) if part.end is None else int(np.searchsorted(every, np.datetime64(part.end, "D")))
        return every[max(0, start - history) : stop]

    @cached_property
    def document_tables(self) -> frozenset[str]:
        """Tables of fields that are not from prices, of those that the settings ask for."""
        settings = self.settings
        held = {FUNDAMENTALS} if settings.sec.contact else set()
        if settings.news.source or settings.reports.path or (settings.sec.contact and settings.sec.filing_texts):
            held.add(SCORES)
        return frozenset(held)

    def panel_tables(self, fields: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the tables that a panel with some fields is read from; by default the fields of prices."""
        return ("prices", "universe", *tables_of(fields, held=self.document_tables))

    def panel(
        self,
        part: Slice = EVERYTHING,
        *,
        history: int = 0,
        tickers: Iterable[str] | None = None,
        fields: Iterable[str] | None = None,
    ) -> Panel:
        """Read the panel of a slice, preceded by up to `history` sessions.

        Books in another currency than US dollars are left out: a ratio of them and prices would mix two currencies.

        Parameters
        ----------
        part
            Dates, and tickers where only some are wanted.
        history
            Sessions before the slice, for lookbacks.
        fields
            Those that are wanted, so that no other column is read; by default all that are made of prices, and the
            sector. `raw_close` is always there: it tells the priced cells.
        """
        wanted = {*PRICE_FIELDS, *LABELS} if fields is None else {"raw_close", *fields}
        sessions = self.sessions(part, history=history)
        if len(sessions) == 0:
            return Panel(dates=sessions, tickers=(), fields={}, in_universe=np.zeros((0, 0), dtype=bool))
        wide = Slice(start=_day(sessions[0]), end=_day(sessions[-1]) + timedelta(days=1), tickers=part.tickers)
        others = tables_of(wanted, held=self.document_tables)
        # A table waits for the disk or the network while another is decoded.
        with ThreadPoolExecutor() as pool:
            keys, labels = ["date", "ticker"], [name for name in LABELS if name in wanted]
            prices = pool.submit(self.store.read, "prices", wide, columns=[*keys, *price_columns_of(wanted)])
            universe = pool.submit(self.store.read, "universe", wide, columns=[*keys, *labels])
            rows = [
                pool.submit(self._document_rows, table, wide, [*keys, *columns_of(table, wanted)]) for table in others
            ]
        return Panel.from_tables(
            prices=prices.result(),
            universe=universe.result(),
            sessions=sessions,
            first_row=calendar.session_ordinal(self.settings.data.calendar, _day(sessions[0])),
            tickers=None if tickers is None else sorted(tickers),
            others=[read.result() for read in rows],
        )

    def _document_rows(self, table: str, part: Slice, columns: list[str]) -> pa.Table:
        if table != FUNDAMENTALS:
            return self.store.read(table, part, columns=columns)
        rows = self.store.read(table, part, columns=[*columns, "reporting_currency"])
        # Without a currency there are no amounts, only shares.
        in_dollars = pc.fill_null(pc.equal(rows["reporting_currency"], PRICE_CURRENCY), fill_value=True)
        return rows.filter(in_dollars).select(columns)

    def factor_values(self, family: str, name: str, panel: Panel) -> Array:
        """Read one stored factor onto the panel's dates and tickers; missing rows are NaN."""
        part = Slice(start=_day(panel.dates[0]), end=_day(panel.dates[-1]) + timedelta(days=1))
        rows = self.store.read(f"factors/{family}/{name}", part, columns=["date", "ticker", "value"])
        return panel.scatter(rows, "value")

    def first_date_to_make(self) -> date | None:
        """First date on which the stored prices are not what the price history gives now; None if there is none.

        It is the first new session, or an earlier one: where a ticker was late or is no longer wanted, or the vendor
        revised its history. From there on everything must be made again, for adjustment factors accumulate.
        """
        clean = clean_prices(
            self.price_history(), sessions=self.sessions(EVERYTHING), has_events=self.source.has_events
        )
        return first_difference(self.store.read("prices"), conform(table("prices"), clean.prices))

    @property
    def tear_sheet_path(self) -> Path:
        """Where the page over all factors is written; those of the factors are in folders beside it."""
        return self.settings.reports_path / "tear_sheet.html"

    def wanted_tickers(self) -> list[str]:
        """Tickers to load: those of the universe that the source can deliver, sorted.

        Raises
        ------
        UniverseError
            If the universe is all that the source holds, and the source can fetch any.
        """
        named, held = universe_tickers(self.settings), self.source.tickers()
        if named is None and held is None:
            raise UniverseError(
                f"Universe {self.settings.universe_name!r} means every ticker of the source, but"
                f" {self.source.label} has no list of its own. Set universe.name to an index, list or file."
            )
        if named is None:
            return sorted(held or ())
        return sorted(named) if held is None else match_spelling(named, held)

    def price_history(self, part: Slice = EVERYTHING, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the rows of `price_history` that count: those of wanted tickers.

        Tickers of earlier settings stay stored, since their source may not deliver them again, but nothing is made of
        them: the other tables are those of a new home with today's settings.

        Parameters
        ----------
        columns
            Columns wanted, among them ticker; all by default.

        Raises
        ------
        UniverseError
            As `wanted_tickers`.
        """
        rows = self.store.read("price_history", part, columns=columns)
        wanted = self.wanted_tickers()
        if not self._unused(rows, wanted):
            return rows
        return rows.filter(pc.is_in(rows["ticker"], value_set=pa.array(wanted, pa.string())))

    def evidence(self, name: str, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table that evidence is made of; of a table by date only the dates of the settings.

        Earlier settings may have had a longer range: rows of its other dates stay stored, but nothing is made of them,
        least of all of those after the end.
        """
        has_range = table(name).slices == "date"
        part = Slice(start=self.settings.start, end=self._last_day + timedelta(days=1)) if has_range else EVERYTHING
        return self.store.read(name, part, columns=columns)

    def unused_tickers(self, table: str = "price_history") -> list[str]:
        """Return the tickers that a table holds and the settings no longer want, sorted.

        Raises
        ------
        UniverseError
            As `wanted_tickers`.
        """
        return self._unused(self.store.read(table, columns=["ticker"]), self.wanted_tickers())

    @staticmethod
    def _unused(rows: pa.Table, wanted: Iterable[str]) -> list[str]:
        held: set[str] = set(rows["ticker"].unique().to_pylist())
        return sorted(held.difference(wanted))

    def membership(self) -> Membership:
        """How the stored universe knew its members.

        Raises
        ------
        UniverseError
            If the universe was not made, or parts of it were made with different settings.
        """
        kinds = self.store.read("universe", columns=["membership"])["membership"].unique().to_pylist()
        for kind in MEMBERSHIPS:
            if kinds == [kind]:
                return kind
        raise UniverseError(
            f"The table universe holds members that were known in {len(kinds)} ways ({', '.join(kinds) or 'no rows'});"
            " wanted one. Make the asset `universe` for all dates."
        )


def _day(value: np.datetime64) -> date:
    day: date = value.astype("datetime64[D]").item()
    return day
