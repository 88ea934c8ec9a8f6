"""The source `files`: a user's own prices in Parquet or CSV, so that any vendor can be used.

`files.path` is a file, a folder of files or a glob. A long file has a column with the ticker; otherwise there is one
file a ticker, named after it (a `/` in a ticker is written `%2F`). Column names are mapped as `price_files.py` says,
cells are read as `delivered_rows.py` says. Three kinds of prices are taken:

- close as traded, with dividends and splits where the file has them;
- close and adjusted close without events: the adjusted close is kept beside the close;
- adjusted close only: it stands for the close, and events are left out, since it already holds them.

With `files.prices = "split_adjusted"`, prices and volumes as traded are rebuilt where the file has splits; without
splits they cannot be, and stay as they are. A split of 1 and a dividend of 0 mean none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import time_zone
from factor_assets.errors import SourceError, did_you_mean
from factor_assets.settings import Settings
from factor_assets.sources.as_traded import undo_splits
from factor_assets.sources.delivered_rows import Zones, clip_dates, issue_remarks, place_rows, sort_rows
from factor_assets.sources.price_files import (
    CSV_SUFFIXES,
    PARQUET_SUFFIXES,
    SYNONYMS,
    PriceFile,
    explained,
    file_stem,
    is_price_file,
    open_price_file,
)
from factor_assets.sources.price_source import NO_DATE, NO_TICKER, Delivery, price_source

LABEL = "files"
BAD_LINE = "wrong number of cells"
ALWAYS_EXPECTED = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """What the files hold.

    Parameters
    ----------
    places
        Ticker -> the files that have rows of it, each with the ticker as it is spelled there; None where the file is
        all about it.
    broken
        Name -> why that file cannot be read. The name stands in the list of tickers, so that the failure is reported.
    unplaced
        Reason -> number of rows that belong to no known ticker.
    """

    places: Mapping[str, list[tuple[PriceFile, list[str] | None]]]
    broken: Mapping[str, str]
    unplaced: Mapping[str, int]

    @cached_property
    def tickers(self) -> list[str]:
        return sorted({*self.places, *self.broken})


@dataclass
class _Gathered:
    """Rows and remarks about some tickers, filled file by file."""

    rows: list[pa.Table] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, dict[str, None]] = field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, ticker: str, reason: str, n: int) -> None:
        if n:
            counts = self.dropped.setdefault(ticker, {})
            counts[reason] = counts.get(reason, 0) + n


class FilesSource:
    """Price files as a source; `fetched_at` is the time at which the file was written."""

    label = LABEL
    synthetic = False
    batch_size = 200

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.files
        self._paths = find_files(settings.files.path)
        exchange = ZoneInfo(time_zone(settings.data.calendar))
        self._zones = Zones(exchange=exchange, naive=_zone(settings.files.timezone) or exchange)

    @property
    def has_events(self) -> bool:
        """Whether any file has a column of dividends, or of splits and no adjusted close to tell of dividends."""
        given = [set(file.columns) for file in self._opened[0]]
        return any("dividend" in names or ("split" in names and "adjusted_close" not in names) for names in given)

    def tickers(self) -> list[str]:
        """Return every ticker in the files, and the name of each file that cannot be read."""
        return list(self._survey.tickers)

    def version(self) -> str:
        """Return the hash of the names, sizes and times of the files."""
        facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in self._paths]
        return sha256(repr((facts, self._settings)).encode()).hexdigest()[:16]

    def fetch(
        self,
        tickers: Sequence[str],
        *,
        start: date,
        end: date | None,
        stored: Callable[[str], pa.Table],  # noqa: ARG002 - the files have the whole history
    ) -> Iterator[Delivery]:
        """Deliver the tickers' rows from `start` to `end`; the files are read once for every `batch_size` tickers."""
        today = datetime.now(self._zones.exchange).date()
        for first in range(0, len(tickers), self.batch_size):
            batch = tickers[first : first + self.batch_size]
            gathered = self._gather([ticker for ticker in batch if ticker in self._survey.places])
            slices = _slices(gathered.rows)
            for ticker in batch:
                reason = self._unknown(ticker) or gathered.failed.get(ticker)
                if reason:
                    yield Delivery(ticker=ticker, outcome="failed", reason=reason)
                    continue
                for why, n in self._survey.unplaced.items():
                    gathered.count(ticker, why, n if ticker == self._survey.tickers[0] else 0)
                yield self._deliver(ticker, slices.get(ticker), gathered, start=start, end=end, today=today)

    def _unknown(self, ticker: str) -> str | None:
        if ticker in self._survey.broken:
            return self._survey.broken[ticker]
        if ticker not in self._survey.places:
            return f"no file has {ticker!r}; {did_you_mean(ticker, self._survey.tickers)}"
        return None

    def _deliver(
        self, ticker: str, rows: pa.Table | None, gathered: _Gathered, *, start: date, end: date | None, today: date
    ) -> Delivery:
        kept: pa.Table | None = None
        clipped: dict[str, int] = {}
        if rows is not None:
            rows = undo_splits(rows) if self._settings.prices == "split_adjusted" else rows
            kept, clipped = clip_dates(rows, start=start, end=end, today=today)
        dropped = {**gathered.dropped.get(ticker, {}), **clipped}
        if kept is None or not kept.num_rows:
            counts = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "the file has none"
            return Delivery(ticker=ticker, outcome="failed", reason=f"no usable row: {counts}", dropped=dropped)
        remarks = [*issue_remarks(kept), *gathered.remarks.get(ticker, {})]
        if not self._per_ticker:
            remarks += [f"perhaps incomplete: {why}" for why in self._survey.broken.values()]
        return Delivery(ticker=ticker, outcome="loaded", reason="; ".join(remarks), rows=kept, dropped=dropped)

    def _gather(self, tickers: Sequence[str]) -> _Gathered:
        """Read every file that has rows of the tickers, once."""
        gathered = _Gathered()
        wanted: dict[Path, tuple[PriceFile, dict[str, list[str] | None]]] = {}
        for ticker in tickers:
            for file, spellings in self._survey.places[ticker]:
                wanted.setdefault(file.path, (file, {}))[1][ticker] = spellings
        for file, owners in wanted.values():
            try:
                with explained(file.path):
                    self._gather_file(file, owners, gathered)
            except SourceError as error:
                gathered.failed.update(dict.fromkeys(owners, str(error)))
        return gathered

    def _gather_file(self, file: PriceFile, owners: Mapping[str, list[str] | None], gathered: _Gathered) -> None:
        names = [name for name in SYNONYMS if name != "ticker" or not self._per_ticker]
        if self._per_ticker:
            (ticker,) = owners
            cells, bad_lines = file.read(names)
            gathered.count(ticker, BAD_LINE, bad_lines)
            cells = cells.append_column("ticker", pa.repeat(pa.scalar(ticker), cells.num_rows))
        else:
            spellings = [spelling for known in owners.values() for spelling in known or ()]
            cells, _ = file.read(names, spellings=spellings)
            cells = cells.set_column(cells.column_names.index("ticker"), "ticker", _tickers(cells))
        if "close" not in cells.column_names:
            cells = cells.append_column("close", cells["adjusted_close"])
            cells = cells.select([name for name in cells.column_names if name not in ("dividend", "split")])
        rows, undated = place_rows(
            cells,
            zones=self._zones,
            label=LABEL,
            fetched_at=file.written_at,
            zero_is_no_split=file.zero_is_no_split,
        )
        gathered.rows.append(rows)
        absent = [name for name in ALWAYS_EXPECTED if name not in cells.column_names]
        for ticker in owners:
            gathered.count(ticker, NO_DATE, undated.get(ticker, 0))
            if absent:
                gathered.remarks.setdefault(ticker, {})[f"{file.path.name} has no column for {', '.join(absent)}"] = (
                    None
                )

    @property
    def _per_ticker(self) -> bool:
        return self._layout == "file_per_ticker"

    @cached_property
    def _opened(self) -> tuple[list[PriceFile], dict[Path, str]]:
        files, broken = [], {}
        for path in self._paths:
            try:
                files.append(open_price_file(path, mapping=self._settings.columns))
            except SourceError as error:
                broken[path] = str(error)
        if not files:
            raise SourceError("No price file can be read:\n  " + "\n  ".join(list(broken.values())[:5]))
        return files, broken

    @cached_property
    def _layout(self) -> str:
        if self._settings.layout != "auto":
            return self._settings.layout
        return "long" if self._opened[0][0].has_tickers else "file_per_ticker"

    @cached_property
    def _survey(self) -> _Survey:
        files, unreadable = self._opened
        places: dict[str, list[tuple[PriceFile, list[str] | None]]] = {}
        broken = dict(unreadable)
        unplaced: dict[str, int] = {}
        for file in files:
            if self._per_ticker:
                ticker = unquote(file.stem)
                if ticker in places:
                    broken[file.path] = f"{file.path} is a second file of {ticker}, after {places[ticker][0][0].path}."
                else:
                    places[ticker] = [(file, None)]
                continue
            try:
                with explained(file.path):
                    spelled, lost = _spellings(file)
            except SourceError as error:
                broken[file.path] = str(error)
                continue
            for ticker, spellings in spelled.items():
                places.setdefault(ticker, []).append((file, spellings))
            for reason, n in lost.items():
                unplaced[reason] = unplaced.get(reason, 0) + n
        if not places:
            raise SourceError("No price file can be read:\n  " + "\n  ".join(list(broken.values())[:5]))
        names = {path: unquote(file_stem(path)) for path in broken}
        return _Survey(
            places=places,
            broken={path.name if names[path] in places else names[path]: why for path, why in broken.items()},
            unplaced=unplaced,
        )


def find_files(setting: str) -> list[Path]:
    """Return the price files that `files.path` means, sorted.

    Raises
    ------
    SourceError
        If there is none.
    """
    known = ", ".join((*PARQUET_SUFFIXES, *CSV_SUFFIXES))
    path = Path(setting).expanduser()
    if path.is_file():
        if not is_price_file(path):
            raise SourceError(f"files.path is {path}, which is not a price file; its name must end in {known}.")
        return [path]
    if path.is_dir():
        found = sorted(entry for entry in path.iterdir() if entry.is_file() and is_price_file(entry))
    elif any(sign in setting for sign in "*?["):
        whole = path.absolute()
        matches = Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))
        found = sorted(match for match in matches if match.is_file() and is_price_file(match))
    else:
        raise SourceError(f"files.path is {path}, which does not exist; set it to your price files.")
    if not found:
        raise SourceError(f"files.path is {path}, where no file ends in {known}; set it to your price files.")
    return found


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SourceError(
            f"files.timezone is {name!r}, which is not a time zone; use a name such as 'America/New_York' or 'UTC'."
        ) from error


def _tickers(cells: pa.Table) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(cells["ticker"].cast(pa.string()))


def _spellings(file: PriceFile) -> tuple[dict[str, list[str] | None], dict[str, int]]:
    """Return ticker -> how a long file spells it, and the number of rows without a ticker or with a wrong length."""
    if not file.has_tickers:
        raise SourceError(
            f"{file.path} has no column for ticker; set files.columns.ticker, or files.layout = 'file_per_ticker'."
        )
    cells, bad_lines = file.read(["ticker"])
    spelled: dict[str, list[str] | None] = {}
    lost = 0
    for entry in pc.value_counts(cells["ticker"].cast(pa.string())).to_pylist():
        ticker = (entry["values"] or "").strip()
        if ticker:
            spellings = spelled.setdefault(ticker, [])
            spellings.append(entry["values"])  # type: ignore[union-attr] # this function only puts lists there
        else:
            lost += entry["counts"]
    return spelled, {reason: n for reason, n in ((NO_TICKER, lost), (BAD_LINE, bad_lines)) if n}


def _slices(parts: Sequence[pa.Table]) -> dict[str, pa.Table]:
    """Cut rows of several files into one sorted table a ticker."""
    if not parts:
        return {}
    rows = sort_rows(pa.concat_tables(parts)) if len(parts) > 1 else parts[0]
    runs = pc.run_end_encode(rows["ticker"].combine_chunks())
    chunks = runs.chunks if isinstance(runs, pa.ChunkedArray) else [runs]
    out: dict[str, pa.Table] = {}
    start = 0
    for chunk in chunks:
        for ticker, stop in zip(chunk.values.to_pylist(), chunk.run_ends.to_pylist(), strict=True):
            out[ticker] = rows.slice(start, stop - start)
            start = stop
    return out


@price_source("files")
def open_files(settings: Settings) -> FilesSource:
    """Open the price files that the settings name."""
    return FilesSource(settings)
