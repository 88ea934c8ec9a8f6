"""One price file on disk, Parquet or CSV -> its cells under our column names; whose prices they are is `files.py`'s.

The column of each of our names is, in this order: the one that the settings name (`files.columns`), one of the same
name, or one of a name that vendors use for it (`SYNONYMS`); case, spaces, dots and hyphens do not matter.
"""

import csv
import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TextIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from factor_assets.errors import MalformedDataError, SourceError, did_you_mean

PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".txt")
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "ticker": ("symbol", "name", "code", "instrument"),
    "date": ("timestamp", "datetime", "time", "day", "session", "trade_date"),
    "open": ("open_price",),
    "high": ("high_price",),
    "low": ("low_price",),
    "close": ("close_price", "last", "price"),
    "adjusted_close": ("adj_close", "adjclose", "close_adj", "adjusted"),
    "volume": ("vol", "shares_traded"),
    "dividend": ("dividends", "dividend_amount", "div", "divcash"),
    "split": ("splits", "stock_splits", "split_ratio", "split_factor", "splitfactor", "split_coefficient"),
    "shares_outstanding": ("shares",),
    "sector": ("gics_sector",),
}
_UNEVEN = "CSV parse error: Expected"
ZERO_IS_NO_SPLIT = "stock_splits"  # Yahoo's name for the column, in which it writes 0 where there is no split


@dataclass(frozen=True, kw_only=True)
class PriceFile:
    """A readable file and where our columns are in it.

    Parameters
    ----------
    columns
        Our name = the file's name, for the columns that are there.
    """

    path: Path
    columns: Mapping[str, str]
    separator: str = ","

    @property
    def stem(self) -> str:
        """Name of the file without its suffix."""
        return file_stem(self.path)

    @property
    def has_tickers(self) -> bool:
        """Whether rows say whose they are."""
        return "ticker" in self.columns

    @property
    def zero_is_no_split(self) -> bool:
        """Whether a split of 0 marks a row without one."""
        return _plain(self.columns.get("split", "")) == ZERO_IS_NO_SPLIT

    @property
    def written_at(self) -> pa.Scalar:
        """Time at which the file was last written, UTC."""
        return pa.scalar(datetime.fromtimestamp(self.path.stat().st_mtime, UTC), pa.timestamp("us", tz="UTC"))

    def read(self, names: Sequence[str], *, spellings: Sequence[str] | None = None) -> tuple[pa.Table, int]:
        """Read the cells of our columns, those of CSV files as text.

        Parameters
        ----------
        names
            Our names wanted; those that the file has not are left out.
        spellings
            The only tickers wanted, as the file spells them; None for every row.

        Returns
        -------
        The cells, in the file's order, and the number of lines that do not have as many cells as the header.

        Raises
        ------
        MalformedDataError
            If the file cannot be read.
        """
        wanted = {name: self.columns[name] for name in names if name in self.columns}
        columns, refused = list(wanted.values()), 0
        with explained(self.path):
            try:
                parts = [self._only(batch, spellings) for batch in self._batches(columns)]
            except pa.ArrowInvalid as error:
                if _UNEVEN not in str(error):
                    raise
                # Arrow could skip such lines by a callback, but a Python callback in its threads aborts the process
                # now and then when that ends (pyarrow 26).
                lines, refused = _even_lines(self.path, self.separator)
                parts = [self._only(batch, spellings) for batch in self._csv_batches(lines, columns)]
            if not parts:
                raise MalformedDataError(f"{self.path} has a header but no rows.")
            return pa.Table.from_batches(parts).select(columns).rename_columns(list(wanted)), refused

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if _suffix(self.path) in PARQUET_SUFFIXES:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(columns=columns)
        else:
            with pa.input_stream(self.path, compression="detect") as stream:
                yield from self._csv_batches(stream, columns)

    def _csv_batches(self, stream: pa.NativeFile, columns: list[str]) -> pyarrow.csv.CSVStreamingReader:
        return pyarrow.csv.open_csv(
            stream,
            parse_options=pyarrow.csv.ParseOptions(delimiter=self.separator),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), include_columns=columns
            ),
        )

    def _only(self, batch: pa.RecordBatch, spellings: Sequence[str] | None) -> pa.RecordBatch:
        if spellings is None:
            return batch
        wanted = pa.array(spellings, pa.string())
        return batch.filter(pc.is_in(batch[self.columns["ticker"]].cast(pa.string()), value_set=wanted))


def open_price_file(path: Path, *, mapping: Mapping[str, str]) -> PriceFile:
    """Look at a file's columns.

    Parameters
    ----------
    mapping
        Our name = the file's name, from the settings.

    Raises
    ------
    MalformedDataError
        If the file is empty, unreadable, or has no column for the date or for a close.
    """
    with explained(path):
        if path.stat().st_size == 0:
            raise MalformedDataError(f"{path} is empty (0 bytes).")
        if _suffix(path) in PARQUET_SUFFIXES:
            with pq.ParquetFile(path) as file:
                header, separator = file.schema_arrow.names, ","
        else:
            header, separator = csv_header(path)
    return PriceFile(path=path, columns=map_columns(header, mapping=mapping, path=path), separator=separator)


def map_columns(header: Sequence[str], *, mapping: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return our name = the file's name for every column of ours that the file has.

    Raises
    ------
    SourceError
        If the settings name a column that is not ours.
    MalformedDataError
        If a column that the settings name is not there, there is no column for the date or a close, or two would do.
    """
    for ours in mapping:
        if ours not in SYNONYMS:
            raise SourceError(
                f"files.columns names {ours!r}, which is not a price column; {did_you_mean(ours, SYNONYMS)}"
            )
    found: dict[str, str] = {}
    for ours in SYNONYMS:
        column = _mapped(ours, header, mapping, path) if ours in mapping else _like(ours, header, mapping, path)
        if column is not None:
            found[ours] = column
    for ours, instead in (("date", ()), ("close", ("adjusted_close",))):
        if ours not in found and not any(name in found for name in instead):
            raise MalformedDataError(
                f"{path} has no column for {ours}; it has {', '.join(map(repr, header)) or 'none'}"
                f" ({did_you_mean(ours, header)}). Set files.columns.{ours} to the right one."
            )
    return found


def _mapped(ours: str, header: Sequence[str], mapping: Mapping[str, str], path: Path) -> str:
    if mapping[ours] not in header:
        raise MalformedDataError(
            f"{path} has no column {mapping[ours]!r}, which files.columns gives for {ours};"
            f" {did_you_mean(mapping[ours], header)}"
        )
    return mapping[ours]


def _like(ours: str, header: Sequence[str], mapping: Mapping[str, str], path: Path) -> str | None:
    for name in (ours, *SYNONYMS[ours]):
        same = [column for column in header if _plain(column) == name and column not in mapping.values()]
        if len(same) > 1:
            raise MalformedDataError(
                f"{path} has several columns for {ours}: {', '.join(map(repr, same))}. Set files.columns.{ours}."
            )
        if same:
            return same[0]
    return None


def file_stem(path: Path) -> str:
    """Return a file's name without its suffix."""
    return path.name[: -len(_suffix(path))] if _suffix(path) else path.stem


def is_price_file(path: Path) -> bool:
    """Whether a file's suffix is one that can be read."""
    return bool(_suffix(path)) and not path.name.startswith(".")


def _suffix(path: Path) -> str:
    known = (suffix for suffix in (*PARQUET_SUFFIXES, *CSV_SUFFIXES) if path.name.lower().endswith(suffix))
    return next(known, "")


def _plain(name: str) -> str:
    return re.sub(r"[ .\-]+", "_", name.strip().lower())


def csv_header(path: Path) -> tuple[list[str], str]:
    """Return the names in the first line, and the separator that occurs most often in it."""
    with _text(path) as file:
        line = file.readline()
    separator = max((",", ";", "\t", "|"), key=line.count)
    return next(csv.reader([line], delimiter=separator), []), separator


def _even_lines(path: Path, separator: str) -> tuple[pa.BufferReader, int]:
    """Return the lines that have as many cells as the header, and the number of those that have not."""
    even, refused = StringIO(newline=""), 0
    write = csv.writer(even, delimiter=separator).writerow
    with _text(path) as file:
        cells = csv.reader(file, delimiter=separator)
        header = next(cells)
        write(header)
        for line in cells:
            if len(line) == len(header):
                write(line)
            elif line:
                refused += 1
    return pa.BufferReader(even.getvalue().encode()), refused


def _text(path: Path) -> TextIO:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return cast(TextIO, opened(path, "rt", encoding="utf-8-sig", newline=""))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what libraries raise on a bad file into one error that names the file.

    Raises
    ------
    MalformedDataError
        Instead of theirs.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise MalformedDataError(f"{path} is not UTF-8 text: {error.reason}. Save it as UTF-8.") from error
    except (pa.ArrowException, EOFError, OSError, csv.Error) as error:
        kind = "Parquet" if _suffix(path) in PARQUET_SUFFIXES else "CSV"
        raise MalformedDataError(f"{path} cannot be read as {kind}: {str(error).splitlines()[0]}") from error
