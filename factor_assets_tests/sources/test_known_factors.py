"""Files of known factors: Kenneth French's own, Parquet and CSV, and what is wrong with others."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factor_assets.errors import MalformedDataError, SourceError
from factor_assets.sources.known_factors import known_factors_version, read_known_factors

# As the library's daily files are: text, a header that begins with a comma, padded percent, a copyright.
FRENCH = """This file was created by CMPT_ME_BEME_RETS_DAILY using the 202407 CRSP database.
The Tbill return is the simple daily rate that, over the number of trading days
in the month, compounds to 1-month TBill rate from Ibbotson and Associates, Inc.

,Mkt-RF,SMB,HML,RF
19260701,    0.10,   -0.25,   -0.27,   0.009
19260702,    0.45,   -0.33,  -99.99,   0.009
19260706,    0.17,    0.30,    -999,   0.009

Copyright 2024 Kenneth R. French
"""

# As the momentum file: a blank name of padding, a longer text, a second table below.
MOMENTUM = """This file was created by CMPT_ME_PRIOR_RETS_DAILY, using the 202407 CRSP database.  It contains a momentum
factor, constructed from six value-weight portfolios formed using independent sorts on size and prior return.

Missing data are indicated by -99.99 or -999.


,Mom   
19261103,    0.56
19261104,   -0.50

  Annual Factors: January-December

,Mom
1927,  24.06

Copyright 2024 Kenneth R. French
"""  # noqa: W291 - as the file is

MONTHLY = FRENCH.replace("19260701", "192607").replace("19260702", "192608").replace("19260706", "192609")


def written(folder: Path, text: str | bytes, name: str = "factors.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def days(n: int) -> list[str]:
    return [str(day) for day in np.datetime64("2020-01-01") + np.arange(n)]


class TestAgainstRealFiles:
    @pytest.mark.parametrize("name", ["ff3_daily", "ff5_daily", "mom_daily", "st_reversal_daily", "lt_reversal_daily"])
    def test_parquet(self, shared_data: Path, name: str) -> None:
        path = shared_data / "factors" / f"{name}.parquet"
        rows = pq.read_table(path).to_pandas()
        got = read_known_factors(path)
        np.testing.assert_array_equal(got.dates, rows["date"].to_numpy().astype("datetime64[D]"))
        assert list(got.returns) == [column for column in rows.columns if column not in {"date", "rf"}]
        for column, values in got.returns.items():
            np.testing.assert_array_equal(values, rows[column])

    def test_written_as_french_does_it_is_the_same(self, shared_data: Path, tmp_path: Path) -> None:
        path = shared_data / "factors" / "ff3_daily.parquet"
        rows = pq.read_table(path).to_pandas().tail(2000)
        lines = [
            f"{row.date:%Y%m%d}," + ",".join(f"{100 * value:8.3f}" for value in (row.mkt_rf, row.smb, row.hml, row.rf))
            for row in rows.itertuples()
        ]
        text = "Some text.\n\n,Mkt-RF,SMB,HML,RF\n" + "\n".join(lines) + "\n\nCopyright\n"
        got = read_known_factors(written(tmp_path, text))
        for name, column in {"Mkt-RF": "mkt_rf", "SMB": "smb", "HML": "hml"}.items():
            np.testing.assert_allclose(got.returns[name], rows[column], atol=1e-12)

    def test_monthly_files_are_refused(self, shared_data: Path) -> None:
        with pytest.raises(MalformedDataError, match="has a row every 31 days, wanted daily returns"):
            read_known_factors(shared_data / "factors" / "ff3_monthly.parquet")


class TestProperties:
    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_french_three_factors(self, tmp_path: Path, ending: str) -> None:
        got = read_known_factors(written(tmp_path, FRENCH.replace("\n", ending)))
        assert got.dates.tolist() == [d.item() for d in np.array(["1926-07-01", "1926-07-02", "1926-07-06"], "M8[D]")]
        assert list(got.returns) == ["Mkt-RF", "SMB", "HML"]
        np.testing.assert_allclose(got.returns["Mkt-RF"], [0.0010, 0.0045, 0.0017], rtol=1e-12)
        np.testing.assert_allclose(got.returns["HML"], [-0.0027, np.nan, np.nan], rtol=1e-12)

    def test_french_momentum_stops_before_the_second_table(self, tmp_path: Path) -> None:
        got = read_known_factors(written(tmp_path, MOMENTUM))
        assert list(got.returns) == ["Mom"]
        np.testing.assert_allclose(got.returns["Mom"], [0.0056, -0.0050], rtol=1e-12)

    def test_french_zip(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "factors.zip", "w") as archive:
            archive.writestr("F-F_Research_Data_Factors_daily.CSV", FRENCH)
        assert list(read_known_factors(tmp_path / "factors.zip").returns) == ["Mkt-RF", "SMB", "HML"]

    @pytest.mark.parametrize("spelled", ["iso", "number", "timestamp", "date"])
    def test_parquet_and_csv_are_the_same(self, tmp_path: Path, spelled: str) -> None:
        random = np.random.default_rng(0)
        day = np.datetime64("2020-01-01") + np.arange(40)
        column = {
            "iso": pa.array(day.astype(str)),
            "number": pa.array([int(str(d).replace("-", "")) for d in day]),
            "timestamp": pa.array(day.astype("datetime64[ms]"), pa.timestamp("ms", tz="UTC")),
            "date": pa.array(day, pa.date32()),
        }[spelled]
        value = 0.01 * random.normal(size=40)
        value[3] = np.inf
        rows = pa.table({"Date": column, "value ": pa.array(value, mask=np.arange(40) == 7), "RF": np.full(40, 1e-4)})
        shuffled = rows.take(pa.array(random.permutation(40)))
        pq.write_table(shuffled, tmp_path / "f.parquet")
        shuffled.to_pandas().to_csv(tmp_path / "f.csv", index=False)
        value[[3, 7]] = np.nan
        for name in ("f.parquet", "f.csv"):
            got = read_known_factors(tmp_path / name)
            np.testing.assert_array_equal(got.dates, day)
            assert list(got.returns) == ["value"]
            np.testing.assert_allclose(got.returns["value"], value, rtol=1e-15)

    def test_the_version_follows_the_content(self, tmp_path: Path) -> None:
        path = written(tmp_path, FRENCH)
        before = known_factors_version(path)
        assert known_factors_version(path) == before != ""
        written(tmp_path, FRENCH.replace("0.45", "0.46"))
        assert known_factors_version(path) != before
        assert known_factors_version("") == known_factors_version(tmp_path / "none.csv") == ""


class TestErrors:
    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"evaluation\.known_factors is .*none\.csv, which is not a file"):
            read_known_factors(tmp_path / "none.csv")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no column `date` in its first line .empty."),
            ("day,smb\n2020-01-01,0.1\n", "no column `date` in its first line .day, smb."),
            ("date,rf\n2020-01-01,0.0001\n", "no number column beside `date` and `rf`"),
            ("date\n2020-01-01\n", "no number column beside `date`"),
            ("date,smb\n", "a header but no rows"),
            ("date,smb\n2020-01-01,0.01\n2020-01-01,0.02\n", "1 dates that repeat, such as 2020-01-01"),
            ("date,smb\n2020-01-01,much\n", "column 'smb' of string, wanted numbers"),
            ("date,smb,smb\n2020-01-01,0.01,0.02\n", r"distinct names of columns; repeated or empty are \['smb'\]"),
            ("date,DATE,smb\n2020-01-01,2020-01-01,0.02\n", "2 columns `date`, wanted one"),
            ("date,smb\nsoon,0.01\n", "a date that cannot be read"),
            ("date,smb\n,0.01\n2020-01-01,0.01\n", "1 rows without a date"),
            ("date,smb\n202001,0.01\n", "the date 202001, wanted daily returns"),
            ("date,smb\n2020-01-01,0.01,3\n", "cannot be read"),
            ("date,smb\n2020-01-01,1.2\n", "wants fractions per session.*column 'smb' has a median of 1.2"),
            (MONTHLY, "the date 192607, wanted daily returns"),
            (FRENCH.replace("0.45", "much"), "a line that cannot be read"),
            (FRENCH.replace("0.45,", ""), "a line of 3 numbers, its header names 4"),
            (FRENCH.replace("SMB", "HML"), r"repeated or empty are \['HML'\]"),
            (FRENCH.replace("19260702", "19260701"), "1 dates that repeat, such as 1926-07-01"),
            (FRENCH.replace("19260702", "19269902"), "a line that cannot be read"),
            (b"PAR1 and then nothing", "cannot be read"),
            (b"\xff\xfe\x00", "neither Parquet nor UTF-8 text"),
        ],
    )
    def test_a_file_that_is_not_one_of_factors(self, tmp_path: Path, text: str | bytes, message: str) -> None:
        with pytest.raises(MalformedDataError, match=message):
            read_known_factors(written(tmp_path, text))

    def test_percent_where_fractions_are_wanted(self, tmp_path: Path) -> None:
        size = 0.3 * np.random.default_rng(0).uniform(-1, 1, 50)
        pd.DataFrame({"date": days(50), "smb": size}).to_csv(tmp_path / "f.csv", index=False)
        with pytest.raises(MalformedDataError, match=r"column 'smb' has a median of 0\.\d+ .* Divide percent by 100"):
            read_known_factors(tmp_path / "f.csv")
        pd.DataFrame({"date": days(50), "smb": size / 100}).to_csv(tmp_path / "f.csv", index=False)
        assert np.isfinite(read_known_factors(tmp_path / "f.csv").returns["smb"]).all()

    def test_a_zip_of_two_files(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "factors.zip", "w") as archive:
            archive.writestr("a.csv", FRENCH)
            archive.writestr("b.csv", FRENCH)
        with pytest.raises(MalformedDataError, match="holds 2 files, wanted one"):
            read_known_factors(tmp_path / "factors.zip")
