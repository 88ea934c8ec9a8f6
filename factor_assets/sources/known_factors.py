"""A file of known factors' daily returns, such as those of Fama and French -> dates and one array a factor.

Two kinds of files are taken, and told apart by their first lines:

- Parquet, or CSV whose first line names the columns: a column `date` (dates, ISO text, or whole numbers YYYYMMDD) and
  number columns, fractions per session;
- the daily CSV files of Kenneth French's data library as they come (also inside their .zip): lines of text, a header
  that starts with a comma, dates YYYYMMDD, percent, -99.99 or -999 for missing, and text below. Of several tables in
  one file the first is read.

The column `rf`, the riskless rate, is no factor and is left out. What does not belong here: what is regressed on them
(`evaluation/spanning_evidence.py`).

References
----------
Kenneth R. French, Data Library, https://mba.tuck.dartmouth.edu/pages/faculty/ken.french/data_library.html.
"""

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from factor_assets.calendar import Dates
from factor_assets.errors import MalformedDataError, SourceError

RISK_FREE = "rf"
MISSING_PERCENT = (-99.99, -999.0)

_HIGHEST_MEDIAN = 0.05  # nothing that moves 5% on a usual day is a factor: the numbers are percent
_MOST_DAYS = 4.0  # between neighbouring dates of daily returns: a weekend and a holiday


@dataclass(frozen=True, eq=False)
class KnownFactors:
    """Returns of known factors.

    Parameters
    ----------
    dates
        datetime64[D] of shape (n_dates,), increasing.
    returns
        Name, as the file spells it -> float64 of shape (n_dates,), fraction per session. NaN means missing.
    """

    dates: Dates
    returns: Mapping[str, npt.NDArray[np.float64]]


def read_known_factors(path: str | Path) -> KnownFactors:
    """Read a file of known factors.

    Raises
    ------
    SourceError
        If there is no such file.
    MalformedDataError
        If it cannot be read, has no date column, no number column, a column that is neither, a date that repeats or is
        missing, dates that are not daily, or numbers that look like percent where fractions are wanted.
    """
    file = Path(path).expanduser()
    data = _bytes(file)
    try:
        if data[:4] == b"PAR1":
            dates, columns = _from_table(pq.read_table(pa.BufferReader(data)), file)
        else:
            dates, columns = _from_text(data, file)
    except (pa.ArrowException, OSError, csv.Error) as error:
        raise MalformedDataError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    return _checked(dates, columns, file)


def known_factors_version(path: str | Path) -> str:
    """Return a text that changes with the file's content; empty where there is no file."""
    file = Path(path).expanduser()
    return sha256(file.read_bytes()).hexdigest()[:8] if str(path) and file.is_file() else ""


def _bytes(file: Path) -> bytes:
    if not file.is_file():
        raise SourceError(
            f"evaluation.known_factors is {file}, which is not a file; set it to a file of daily returns."
        )
    data = file.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise MalformedDataError(f"{file} holds {len(names)} files, wanted one; unpack it and name the file.")
        return archive.read(names[0])


def _from_text(data: bytes, file: Path) -> tuple[Dates, dict[str, npt.NDArray[np.float64]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedDataError(f"{file} is neither Parquet nor UTF-8 text: {error.reason}.") from error
    lines = text.splitlines()
    first = next(csv.reader([line for line in lines if line.strip()][:1]), [])
    if any(cell.strip().lower() == "date" for cell in first):
        return _from_table(pyarrow.csv.read_csv(pa.BufferReader(data)), file)
    for i, line in enumerate(lines[:-1]):
        # The first line that leaves the date's name out and is followed by a date.
        if line.lstrip().startswith(",") and re.match(r"\s*\d{4,8}\s*,", lines[i + 1]):
            return _from_french(lines[i:], file)
    raise MalformedDataError(
        f"{file} has no column `date` in its first line ({', '.join(cell.strip() for cell in first[:8]) or 'empty'}),"
        " nor the header of Kenneth French's files, which starts with a comma. Name the column of dates `date`."
    )


def _from_french(lines: Sequence[str], file: Path) -> tuple[Dates, dict[str, npt.NDArray[np.float64]]]:
    """Read the first table; `lines` start with its header."""
    names = [cell.strip() for cell in next(csv.reader(lines[:1]))[1:]]
    dates, rows = [], []
    for cells in csv.reader(lines[1:]):
        day = cells[0].strip() if cells else ""
        if not day.isdigit():
            break
        if len(day) != 8:
            raise MalformedDataError(f"{file} has the date {day}, wanted daily returns (YYYYMMDD). Use the daily file.")
        try:
            dates.append(_day(day))
            rows.append([float(cell) for cell in cells[1:]])
        except ValueError as error:
            raise MalformedDataError(
                f"{file} has a line that cannot be read: {','.join(cells)!r} ({error})."
            ) from error
        if len(rows[-1]) != len(names):
            raise MalformedDataError(
                f"{file} has a line of {len(rows[-1])} numbers, its header names {len(names)}: {','.join(cells)!r}."
            )
    _refuse_repeated(names, file)
    values = np.array(rows)
    values[np.isin(values, MISSING_PERCENT)] = np.nan
    return np.array(dates, "datetime64[D]"), dict(zip(names, (values / 100.0).T, strict=True))


def _from_table(rows: pa.Table, file: Path) -> tuple[Dates, dict[str, npt.NDArray[np.float64]]]:
    _refuse_repeated([name.strip() for name in rows.column_names], file)
    named = [name for name in rows.column_names if name.strip().lower() == "date"]
    if len(named) != 1:
        raise MalformedDataError(
            f"{file} has {len(named)} columns `date`, wanted one; its columns are {', '.join(rows.column_names)}."
        )
    columns = {}
    for name in rows.column_names:
        kind = rows.schema.field(name).type
        if name == named[0]:
            continue
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise MalformedDataError(
                f"{file} has a column {name!r} of {kind}, wanted numbers. Leave it out of the file."
            )
        columns[name.strip()] = rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False).copy()
    _refuse_percent(columns, file)
    return _dates(rows[named[0]], file), columns


def _dates(column: pa.ChunkedArray, file: Path) -> Dates:
    if column.null_count:
        raise MalformedDataError(f"{file} has {column.null_count} rows without a date.")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.date32(), safe=False)
    if pa.types.is_date(column.type):
        days: Dates = column.cast(pa.date32()).to_numpy().astype("datetime64[D]")
        return days
    text = column.cast(pa.string())
    for day in pc.unique(text).to_pylist():
        if re.fullmatch(r"\d{6}", day):
            raise MalformedDataError(f"{file} has the date {day}, wanted daily returns (YYYYMMDD or YYYY-MM-DD).")
    try:
        return np.array([_day(day) for day in text.to_pylist()], "datetime64[D]")
    except ValueError as error:
        raise MalformedDataError(f"{file} has a date that cannot be read: {error}.") from error


def _day(text: str) -> np.datetime64:
    return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 else text, "D")


def _refuse_repeated(names: Sequence[str], file: Path) -> None:
    repeated = sorted(name for name, n in Counter(names).items() if n > 1)
    if repeated or "" in names:
        raise MalformedDataError(f"{file} wants distinct names of columns; repeated or empty are {repeated or ['']}.")


def _refuse_percent(columns: Mapping[str, npt.NDArray[np.float64]], file: Path) -> None:
    for name, values in columns.items():
        size = np.abs(values[np.isfinite(values)])
        if len(size) and (size.max() > 1.0 or np.median(size) > _HIGHEST_MEDIAN):
            raise MalformedDataError(
                f"{file} wants fractions per session (0.01 is one percent), but column {name!r} has a median of"
                f" {np.median(size):.3g} and a highest of {size.max():.3g} in absolute value. Divide percent by 100."
            )


def _checked(dates: Dates, columns: dict[str, npt.NDArray[np.float64]], file: Path) -> KnownFactors:
    returns = {name: values for name, values in columns.items() if name.lower() != RISK_FREE}
    if not returns:
        raise MalformedDataError(
            f"{file} has no number column beside `date` and `{RISK_FREE}`; wanted a factor's return."
        )
    if not len(dates):
        raise MalformedDataError(f"{file} has a header but no rows.")
    order = np.argsort(dates, kind="stable")
    days = dates[order]
    gaps = np.diff(days).astype(np.int64)
    if (gaps == 0).any():
        raise MalformedDataError(
            f"{file} has {np.count_nonzero(gaps == 0)} dates that repeat, such as {days[1:][gaps == 0][0]}; wanted one"
            " row a date."
        )
    if len(gaps) and np.median(gaps) > _MOST_DAYS:
        raise MalformedDataError(
            f"{file} has a row every {np.median(gaps):.0f} days, wanted daily returns. Use the daily file."
        )
    for name, values in returns.items():
        values[~np.isfinite(values)] = np.nan
        returns[name] = values[order]
    return KnownFactors(dates=days, returns=returns)
