"""Members by session: index lists, intervals against the real S&P 500 file, spellings, sectors, and bad files."""

from collections import Counter
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.calendar import sessions
from factor_assets.errors import UniverseError
from factor_assets.panel import universe as module
from factor_assets.panel.universe import (
    UNIVERSES,
    members,
    missing_tickers,
    read_intervals,
    survivorship_note,
    universe_tickers,
)
from factor_assets.settings import Settings
from factor_assets.storage.rows import conform
from factor_assets.storage.slice import Slice
from factor_assets.tables import TABLES
from factor_assets_tests.panel.price_rows import DAYS, SESSIONS, history, real_history, series

REAL = SimpleNamespace(label="files", synthetic=False)
SYNTHETIC = SimpleNamespace(label="sample (synthetic)", synthetic=True)


def choose(name: str, **more) -> Settings:
    dates = {"start": date(2024, 1, 2), "end": date(2024, 1, 15)} | more.pop("data", {})
    return Settings.model_validate({"universe": {"name": name, **more}, "data": {"source": "yahoo", **dates}})


def cells(rows: pa.Table) -> list[tuple[date, str]]:
    return list(zip(rows["date"].to_pylist(), rows["ticker"].to_pylist(), strict=True))


def of_list(*tickers: str, rows: pa.Table | None = None) -> pa.Table:
    given_rows = history([]) if rows is None else rows
    return members(choose("list", tickers=tickers), sessions=SESSIONS, history=given_rows, source=REAL)


class TestAgainstRealMembership:
    @pytest.fixture
    def path(self, shared_data):
        return shared_data / "reference" / "sp500_membership_intervals.csv"

    def test_counts_of_the_sp500(self, path):
        days = sessions("XNYS", date(1996, 1, 2), date(2025, 11, 14))
        rows = members(choose("file", path=str(path)), sessions=days, history=history([]), source=REAL)
        counts = np.unique(rows["date"].to_numpy(), return_counts=True)[1]
        assert len(counts) == len(days)
        assert (counts[0], counts.min(), counts.max()) == (487, 487, 507)
        # 507 on the two days on which the file lets a member in before another is out.
        assert (counts > 506).sum() == 2
        assert set(rows["membership"].to_pylist()) == {"dated"}
        assert survivorship_note(rows) is None

    def test_against_a_naive_loop(self, path):
        lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
        days = [date(1999, 12, 31), date(2008, 9, 15), date(2020, 12, 21)]
        rows = members(
            choose("file", path=str(path)),
            sessions=np.array(days, dtype="datetime64[D]"),
            history=history([]),
            source=REAL,
        )
        for day in days:
            expected = {t for t, start, end in lines if start <= str(day) and (not end or str(day) < end)}
            assert {ticker for d, ticker in cells(rows) if d == day} == expected

    def test_members_of_the_real_prices(self, path, shared_data):
        rows = real_history(shared_data / "prices" / "us_large_daily_2010_2021.parquet")
        days = sessions("XNYS", date(2010, 1, 4), date(2021, 4, 21))
        settings = choose("file", path=str(path), data={"start": date(2010, 1, 4), "end": date(2021, 4, 21)})
        found = members(settings, sessions=days, history=rows, source=REAL)
        missing = missing_tickers(found, rows)
        assert "BF.B" in missing  # its download failed, says the README of the data
        held = set(rows["ticker"].unique().to_pylist())
        assert held <= set(found["ticker"].unique().to_pylist())
        assert set(universe_tickers(settings)) == held | set(missing)

    @pytest.mark.parametrize(("name", "n"), [("djia30", {30}), ("sp100", {100, 101, 102}), ("nasdaq100", {100, 101})])
    def test_index_lists(self, name, n):
        rows = members(choose(name), sessions=SESSIONS[:2], history=history([]), source=REAL)
        per_day = Counter(rows["date"].to_pylist())
        assert set(per_day) == set(DAYS[:2])
        assert set(per_day.values()) <= n
        assert set(rows["membership"].to_pylist()) == {"today_only"}
        assert "AAPL" in rows["ticker"].to_pylist()
        assert universe_tickers(choose(name)) == sorted(set(rows["ticker"].to_pylist()))

    def test_sp500_list(self):
        names = universe_tickers(choose("sp500"))
        assert 500 <= len(names) <= 506
        assert "BRK.B" in names


class TestProperties:
    def test_rows_conform_to_the_table(self):
        rows = of_list("B", "A/C", "O'D")
        assert conform(TABLES["universe"], rows).equals(rows)
        assert cells(rows) == [(d, t) for d in DAYS for t in ("A/C", "B", "O'D")]
        assert set(rows["source"].to_pylist()) == {"files"}
        assert set(rows["universe"].to_pylist()) == {"list"}

    def test_all_are_those_with_a_close_on_the_session(self):
        rows = history([*series("A", [1.0, None, 3.0]), *series("B", [0.0, 2.0]), series("A", [1.0])[0]])
        found = members(choose("all"), sessions=SESSIONS[:3], history=rows, source=REAL)
        assert cells(found) == [(DAYS[0], "A"), (DAYS[1], "B"), (DAYS[2], "A")]
        assert set(found["membership"].to_pylist()) == {"as_delivered"}
        assert universe_tickers(choose("all")) is None

    def test_all_of_the_synthetic_market_is_dated(self):
        found = members(choose("all"), sessions=SESSIONS, history=history(series("A", [1.0])), source=SYNTHETIC)
        assert set(found["membership"].to_pylist()) == {"dated"}
        assert set(found["source"].to_pylist()) == {"sample (synthetic)"}

    def test_intervals_of_a_file(self, tmp_path):
        file = tmp_path / "members.csv"
        # A byte order mark, blanks, another column, overlapping and touching lines.
        file.write_text(
            "\ufeffname, ticker ,start_date,end_date\n"
            "x, A ,2024-01-02,2024-01-04\nx,A,2024-01-03,2024-01-05\nx,A,2024-01-05,2024-01-08\n"
            "x,A,2024-01-10,\nx,B'/C,2023-01-01,2024-01-03\n"
        )
        found = members(choose("file", path=str(file)), sessions=SESSIONS, history=history([]), source=REAL)
        assert cells(found) == [
            (DAYS[0], "A"), (DAYS[0], "B'/C"), *((DAYS[i], "A") for i in (1, 2, 3, 6, 7, 8, 9)),
        ]  # fmt: skip
        assert universe_tickers(choose("file", path=str(file))) == ["A", "B'/C"]
        later = {"start": date(2024, 1, 3), "end": date(2024, 1, 9)}
        assert universe_tickers(choose("file", path=str(file), data=later)) == ["A"]

    @hypothesis_settings(deadline=None)
    @given(
        intervals=st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 12), st.integers(1, 9)), max_size=8),
    )
    def test_merged_intervals_hold_the_same_days(self, intervals):
        made = [
            module.Interval(t, DAYS[0] + timedelta(days=s), DAYS[0] + timedelta(days=s + n)) for t, s, n in intervals
        ]
        merged = module._merge(iter(made))

        def days(some):
            return [(i.ticker, i.start + timedelta(days=k)) for i in some for k in range((i.end - i.start).days)]

        assert sorted(set(days(made))) == sorted(days(merged))

    @pytest.mark.parametrize("spelled", ["BRK.B", "BRK-B", "BRK/B", "BRKB", "brk.b"])
    def test_share_classes_are_spelled_as_the_source_spells_them(self, spelled):
        rows = history([*series(spelled, [1.0, 2.0]), *series("A", [1.0])])
        found = of_list("BRK.B", rows=rows)
        assert set(found["ticker"].to_pylist()) == {spelled}
        assert missing_tickers(found, rows) == []

    def test_the_exact_name_is_right_from_its_first_row_on(self):
        rows = history([*series("BRK-B", [1.0]), series("BRK.B", [1.0, 1.0, 1.0])[2]])
        found = dict(cells(of_list("BRK.B", rows=rows)))
        assert [found[d] for d in DAYS[:4]] == ["BRK-B", "BRK-B", "BRK.B", "BRK.B"]

    def test_a_member_is_never_taken_for_another(self):
        rows = history(series("ABC", [1.0]))
        found = of_list("ABC", "AB.C", rows=rows)
        assert cells(found)[:2] == [(DAYS[0], "AB.C"), (DAYS[0], "ABC")]
        assert missing_tickers(found, rows) == ["AB.C"]

    def test_later_rows_change_no_earlier_member(self):
        late = [series("BRK-B", [1.0] * 6)[5], series("A", [1.0] * 6)[5] | {"sector": "Energy"}]
        whole = of_list("BRK.B", "A", rows=history(late))
        part = Slice(end=DAYS[5])
        early = of_list("BRK.B", "A", rows=history([]))
        assert whole.filter(part.mask(whole)).equals(early.filter(part.mask(early)))
        assert cells(whole)[-2:] == [(DAYS[9], "A"), (DAYS[9], "BRK-B")]

    def test_sector_is_the_newest_known_by_the_session(self):
        rows = series("A", [1.0] * 6)
        rows[1]["sector"], rows[4]["sector"] = "Energy", "Utilities"
        found = of_list("A", "Z", rows=history([*rows, *series("B", [1.0])]))
        sector = {d: s for d, t, s in zip(*(found[c].to_pylist() for c in ("date", "ticker", "sector"))) if t == "A"}  # noqa: B905
        assert [sector[d] for d in DAYS[:6]] == [None, "Energy", "Energy", "Energy", "Utilities", "Utilities"]
        assert {
            s for t, s in zip(found["ticker"].to_pylist(), found["sector"].to_pylist(), strict=True) if t == "Z"
        } == {None}

    def test_notes(self):
        assert "Today's members are used for all of the past" in survivorship_note(of_list("A"))
        rows = history(series("A", [1.0]))
        assert "price source holds" in survivorship_note(
            members(choose("all"), sessions=SESSIONS, history=rows, source=REAL)
        )
        assert survivorship_note(members(choose("all"), sessions=SESSIONS, history=rows, source=SYNTHETIC)) is None

    def test_no_sessions_and_no_history(self):
        for name in ("all", "djia30"):
            found = members(choose(name), sessions=SESSIONS[:0], history=history([]), source=REAL)
            assert found.num_rows == 0
            assert found.schema.equals(TABLES["universe"].schema)
            assert survivorship_note(found) is None
            assert missing_tickers(found, history([])) == []


class TestErrors:
    def test_unknown_universe(self):
        for ask in (universe_tickers, lambda s: members(s, sessions=SESSIONS, history=history([]), source=REAL)):
            with pytest.raises(
                UniverseError, match=r"universe.name is 'djia3', which is not a universe; did you mean 'djia30'"
            ):
                ask(choose("djia3"))
        assert set(UNIVERSES) == {"djia30", "sp100", "sp500", "nasdaq100", "all", "list", "file"}

    def test_only_blank_tickers(self):
        with pytest.raises(UniverseError, match=r"'list' has no ticker; name at least one in universe.tickers"):
            of_list(" ", "")

    def test_no_known_name(self):
        rows = history(series("AAPL", [1.0]))
        with pytest.raises(
            UniverseError, match=r"None of the 2 tickers of universe 'list' has a price, such as 'APPL'; did"
        ):
            missing_tickers(of_list("APPL", "Q"), rows)
        assert missing_tickers(of_list("AAPL", "Q"), rows) == ["Q"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "has no column 'ticker', only nothing; it wants ticker, start_date, end_date"),
            ("ticker,start,end_date\n", "has no column 'start_date', only ticker, start, end_date"),
            ("ticker,start_date,end_date\n", "has no lines below its header"),
            (
                "ticker,start_date,end_date\nA,01/02/2024,\n",
                "line 2: start_date wants a date like 2020-01-31, got '01/02/2024'",
            ),
            ("ticker,start_date,end_date\nA,2024-01-02,x\n", "line 2: end_date wants a date like 2020-01-31, got 'x'"),
            ("ticker,start_date,end_date\nA\n", "line 2: start_date wants a date like 2020-01-31, got ''"),
            ("ticker,start_date,end_date\nA,2024-01-02,\n,2024-01-02,\n", "line 3: the ticker is empty"),
            (
                "ticker,start_date,end_date\nA,2024-01-02,2024-01-02\n",
                "line 2: A wants start_date before end_date, got 2024-01-02 and 2024-01-02",
            ),
        ],
    )
    def test_malformed_file(self, tmp_path, text, message):
        file = tmp_path / "members.csv"
        file.write_text(text)
        with pytest.raises(UniverseError) as error:
            read_intervals(file)
        assert message in str(error.value)
        assert str(file) in str(error.value)

    def test_unreadable_files(self, tmp_path):
        with pytest.raises(
            UniverseError, match=r"none.csv cannot be read: No such file or directory. Set universe.path"
        ):
            read_intervals(tmp_path / "none.csv")
        with pytest.raises(UniverseError, match="cannot be read: Is a directory"):
            read_intervals(tmp_path)
        binary = tmp_path / "binary.csv"
        binary.write_bytes(b"\x89PNG\xff\xfe")
        with pytest.raises(UniverseError, match="cannot be read: 'utf-8' codec"):
            read_intervals(binary)

    def test_no_member_in_the_range(self, tmp_path):
        file = tmp_path / "members.csv"
        file.write_text("ticker,start_date,end_date\nA,2020-01-02,2021-01-01\n")
        with pytest.raises(
            UniverseError, match=r"has members from 2020-01-02 on, none of them from 2024-01-02 to 2024-01-15"
        ):
            universe_tickers(choose("file", path=str(file)))
