"""The source `sample`: a seeded synthetic market that is known to hold one premium. Not data about any real company.

What is planted, and nothing else: names whose close location (close - low) / (high - low) was in the top third of the
session before earn `planted_spread / 2` more per session, those in the bottom third as much less. So the expected
return of the factor close_location, high minus low third, is `planted_spread`; that of open_location is zero.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.calendar import sessions as exchange_sessions
from factor_assets.errors import CalendarError, SourceError, did_you_mean
from factor_assets.settings import Settings
from factor_assets.sources.price_source import OUTSIDE_RANGE, Delivery, price_source
from factor_assets.tables import TABLES

LABEL = "sample (synthetic)"
SECTORS = ("Energy", "Financials", "Health Care", "Industrials", "Materials", "Technology", "Utilities")
TICK = 1e-4  # prices have four decimals

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleMarket:
    """The synthetic market as arrays.

    Parameters
    ----------
    tickers
        n_tickers names, sorted.
    sectors
        Sector of each ticker.
    listed
        bool of shape (n_dates, n_tickers): whether there is a row.
    open, high, low, close
        float64 of shape (n_dates, n_tickers), as traded, four decimals, low <= open, close <= high. Meaningless where
        not listed, as are the arrays below.
    volume, shares_outstanding
        Likewise, whole shares, as of the session.
    dividend, split
        Likewise; NaN where there is none.
    premium
        Likewise; the planted part of the session's return: plus or minus half the spread, or 0.
    """

    tickers: tuple[str, ...]
    sectors: tuple[str, ...]
    listed: Flags
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    dividend: Array
    split: Array
    shares_outstanding: Array
    premium: Array


def simulate_market(n_dates: int, *, seed: int, n_tickers: int, planted_spread: float) -> SampleMarket:
    """Draw the market.

    1. Draw what stays: beta, sector, volatility, price, shares, the listing's first and last session, split, dividend.
    2. Draw two persistent latent numbers a session and name, x[t] = 0.98 x[t-1] + noise. The rank of the first among
       the listed names is the close location, that of the second the open location.
    3. Premium of session t from the close location of t-1: top and bottom k = max(1, n // 3) of the n names with a row.
    4. Total return = beta x market + sector + own noise + premium. The market has fat tails and clustered volatility.
    5. Close as traded = the close before x (1 + return), less the dividend, over the split. The range of the session
       is laid around it so that close and open sit at their locations.

    Every quantity has its own random stream that is drawn session by session, and no step looks at later sessions: a
    longer market begins with the shorter one. Only exactly rounded arithmetic is used on the draws (no exp or matrix
    product), so that the bits do not depend on the processor.

    Parameters
    ----------
    n_dates
        Number of sessions.
    planted_spread
        Extra return per session of the top over the bottom third of the close location.
    """
    streams = iter([np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(7)])
    names = _draw_names(next(streams), n_tickers)
    listed = _listed(names, n_dates)
    count = listed.sum(axis=1)
    close_rank, open_rank = _persistent_ranks(next(streams), listed)

    third = np.maximum(1, count // 3)[:, None]
    position = np.where(close_rank >= count[:, None] - third, 1.0, np.where(close_rank < third, -1.0, 0.0))
    premium = np.zeros((n_dates, n_tickers))
    premium[1:] = position[:-1] * listed[:-1] * (planted_spread / 2)

    market, market_volatility = _market_returns(next(streams), n_dates)
    sector = 0.004 * next(streams).standard_normal((n_dates, len(SECTORS)))[:, names.sector]
    jumps = 1.0 + 2.0 * (next(streams).random((n_dates, n_tickers)) < 0.02)
    # 0.9285 = 1 / sqrt(0.98 + 0.02 * 9): rare tripled noise leaves the variance as it was.
    own = next(streams).standard_normal((n_dates, n_tickers)) * jumps * (0.9285 * names.volatility)
    total_return = np.maximum(names.beta * market[:, None] + sector + own + premium, -0.6)

    split, dividend_yield = _events(names, listed)
    ratio = np.where(np.isnan(split), 1.0, split)
    growth = (1.0 + total_return) * (1.0 - dividend_yield) / ratio
    before_first = np.arange(n_dates)[:, None] <= names.first
    close_ticks = np.rint(np.multiply.accumulate(np.where(before_first, 1.0, growth), axis=0) * (names.price / TICK))
    close_ticks = np.maximum(close_ticks, 2.0)

    activity = next(streams).random((n_dates, n_tickers))
    spread = (0.5 + activity) * names.volatility + 0.7 * np.abs(total_return)
    # At least two ticks a listed name, so that rounding to ticks never swaps two locations; the low stays above zero.
    width = np.minimum(np.maximum(np.rint(close_ticks * spread), 2.0 * n_tickers), close_ticks - 1.0)
    low_ticks = close_ticks - np.rint((close_rank + 0.5) / count[:, None] * width)
    open_ticks = low_ticks + np.rint((open_rank + 0.5) / count[:, None] * width)

    shares = names.shares * np.multiply.accumulate(np.where(listed, ratio, 1.0), axis=0)
    busy = 0.5 + activity + np.abs(total_return) / names.volatility
    volume = np.rint(shares * names.turnover * busy * (0.5 + 50.0 * market_volatility[:, None]))
    close = close_ticks / 1e4
    return SampleMarket(
        tickers=tuple(f"SYN{i:0{max(3, len(str(n_tickers - 1)))}d}" for i in range(n_tickers)),
        sectors=tuple(SECTORS[i] for i in names.sector),
        listed=listed,
        open=open_ticks / 1e4,
        high=(low_ticks + width) / 1e4,
        low=low_ticks / 1e4,
        close=close,
        volume=volume,
        dividend=np.where(
            dividend_yield > 0, np.rint(close * dividend_yield / (1.0 - dividend_yield) * 1e4) / 1e4, np.nan
        ),
        split=split,
        shares_outstanding=np.rint(shares),
        premium=premium,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Names:
    """What stays of each name; arrays of shape (n_tickers,)."""

    beta: Array
    volatility: Array  # own, per session
    price: Array
    shares: Array
    turnover: Array  # fraction of the shares traded in a usual session
    dividend_yield: Array  # per payment; 0 for names that never pay
    sector: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]  # ordinal of the first session with a row
    last: npt.NDArray[np.int64]
    split_session: npt.NDArray[np.int64]
    split_ratio: Array
    dividend_phase: npt.NDArray[np.int64]


def _draw_names(stream: np.random.Generator, n: int) -> _Names:
    draw = stream.random((8, n))
    sector = stream.integers(0, len(SECTORS), n)
    listing, payers = stream.permutation(n), stream.permutation(n)
    n_late, n_gone, n_split = max(1, round(0.1 * n)), max(1, round(0.08 * n)), max(3, round(0.1 * n))
    first, last, split_session = np.zeros(n, np.int64), np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
    first[listing[:n_late]] = stream.integers(60, 1200, n_late)
    last[listing[n_late : n_late + n_gone]] = stream.integers(500, 1900, n_gone)
    splitters = listing[-n_split:]
    split_session[splitters] = stream.integers(100, 1900, n_split)
    split_ratio = np.full(n, np.nan)
    split_ratio[splitters] = np.resize([2.0, 3.0, 0.1], n_split)
    pays = np.zeros(n)
    pays[payers[: round(0.6 * n)]] = 1.0
    return _Names(
        beta=0.5 + 1.1 * draw[0],
        volatility=0.010 + 0.015 * draw[1],
        price=np.rint((20.0 + 130.0 * draw[2]) * 100) / 100,
        shares=np.rint(50.0 + 1950.0 * draw[3] * draw[4]) * 1e6,
        turnover=0.002 + 0.006 * draw[5],
        dividend_yield=pays * (0.0025 + 0.0075 * draw[6]),
        sector=sector,
        first=first,
        last=last,
        split_session=split_session,
        split_ratio=split_ratio,
        dividend_phase=(63 * draw[7]).astype(np.int64),
    )


def _listed(names: _Names, n_dates: int) -> Flags:
    session = np.arange(n_dates)[:, None]
    return np.asarray((session >= names.first) & (session <= names.last))


def _persistent_ranks(stream: np.random.Generator, listed: Flags) -> tuple[Array, Array]:
    """Rank 0, 1, ... among the listed names of two independent AR(1) numbers; unlisted names come last."""
    n_dates, n_tickers = listed.shape
    latent = stream.standard_normal((n_dates, 2, n_tickers))
    persistence = 0.98
    latent[1:] *= np.sqrt(1.0 - persistence**2)
    for t in range(1, n_dates):
        latent[t] += persistence * latent[t - 1]
    latent[~np.broadcast_to(listed[:, None, :], latent.shape)] = np.inf
    order = np.argsort(latent, axis=2)
    ranks = np.empty_like(latent)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(n_tickers, dtype=np.float64), latent.shape), axis=2)
    return ranks[:, 0], ranks[:, 1]


def _market_returns(stream: np.random.Generator, n_dates: int) -> tuple[Array, Array]:
    """Draw GARCH(1,1) returns with Student-t noise (5 degrees of freedom), and their volatility."""
    normal = stream.standard_normal((n_dates, 6))
    squares = normal[:, 1:] ** 2
    chi_squared = squares[:, 0] + squares[:, 1] + squares[:, 2] + squares[:, 3] + squares[:, 4]
    noise = (normal[:, 0] / np.sqrt(chi_squared / 5.0) * np.sqrt(3.0 / 5.0)).tolist()
    typical = 0.009**2
    variance, shock = typical, 0.0
    variances = []
    for z in noise:
        variance = 0.03 * typical + 0.07 * shock * shock + 0.90 * variance
        variances.append(variance)
        shock = z * variance**0.5
    volatility = np.sqrt(np.array(variances))
    return 0.0003 + volatility * np.array(noise), volatility


def _events(names: _Names, listed: Flags) -> tuple[Array, Array]:
    """Split ratios (NaN where none) and dividend yields (0 where none); never both on one session."""
    session = np.arange(len(listed))[:, None]
    later = listed & (session > names.first)
    splits = later & (session == names.split_session)
    pays = later & ~splits & (session % 63 == names.dividend_phase)
    return np.where(splits, names.split_ratio, np.nan), np.where(pays, names.dividend_yield, 0.0)


class SampleSource:
    """The synthetic market as a source.

    It begins at `data.start`: another start gives another market, a later `data.end` the same one continued.
    `fetched_at` is 22:00 UTC of the session, so that a row is the same whenever it is made.
    """

    label = LABEL
    synthetic = True
    has_events = True
    batch_size = 1000

    def __init__(self, settings: Settings) -> None:
        if settings.end is None:
            raise SourceError("The sample market wants an end; set data.end.")
        self._parameters = settings.sample
        self._calendar, self._start, self._end = settings.data.calendar, settings.start, settings.end
        self._opened: tuple[npt.NDArray[np.datetime64], SampleMarket] | None = None

    def tickers(self) -> list[str]:
        """Return every ticker that is listed by the end."""
        market = self._market()[1]
        return [market.tickers[i] for i in np.flatnonzero(market.listed.any(axis=0))]

    def version(self) -> str:
        """Return the hash of this file and of the parameters."""
        what = f"{self._parameters!r} {self._calendar} {self._start} {self._end}"
        return sha256(Path(__file__).read_bytes() + what.encode()).hexdigest()[:16]

    def fetch(
        self,
        tickers: Sequence[str],
        *,
        start: date,
        end: date | None,
        stored: Callable[[str], pa.Table],  # noqa: ARG002 - the market is made anew in no time
    ) -> Iterator[Delivery]:
        """Deliver the tickers' rows from `start` to `end`."""
        dates, market = self._market()
        wanted = (dates >= np.datetime64(start)) & (dates <= np.datetime64(end or date.max))
        column = {ticker: i for i, ticker in enumerate(market.tickers)}
        for ticker in tickers:
            if ticker not in column:
                reason = f"the sample market has no {ticker!r}; {did_you_mean(ticker, self.tickers())}"
                yield Delivery(ticker=ticker, outcome="failed", reason=reason)
                continue
            listed = market.listed[:, column[ticker]]
            rows = listed & wanted
            outside = int((listed & ~wanted).sum())
            dropped = {OUTSIDE_RANGE: outside} if outside else {}
            if not rows.any():
                reason = "no session of its listing is in the date range"
                yield Delivery(ticker=ticker, outcome="failed", reason=reason, dropped=dropped)
                continue
            table = market_rows(market, dates, column[ticker], rows)
            yield Delivery(ticker=ticker, outcome="loaded", rows=table, dropped=dropped)

    def _market(self) -> tuple[npt.NDArray[np.datetime64], SampleMarket]:
        if self._opened is None:
            dates = exchange_sessions(self._calendar, self._start, self._end)
            if not len(dates):
                raise CalendarError(
                    f"{self._calendar} has no session from {self._start} to {self._end}; change data.start or data.end."
                )
            sample = self._parameters
            market = simulate_market(
                len(dates), seed=sample.seed, n_tickers=sample.tickers, planted_spread=sample.planted_spread
            )
            self._opened = dates, market
        return self._opened


def market_rows(market: SampleMarket, dates: npt.NDArray[np.datetime64], column: int, rows: Flags) -> pa.Table:
    """Return the chosen sessions of one ticker as rows of `price_history`.

    Parameters
    ----------
    dates
        datetime64[D] of shape (n_dates,).
    column
        Position of the ticker.
    rows
        bool of shape (n_dates,): the sessions wanted.
    """
    n, days = int(rows.sum()), dates[rows]
    fetched = days.astype("datetime64[us]") + np.timedelta64(22, "h")
    given: dict[str, pa.Array] = {
        "ticker": pa.array([market.tickers[column]] * n, pa.string()),
        "date": pa.array(days, pa.date32()),
        "sector": pa.array([market.sectors[column]] * n, pa.string()),
        "fetched_at": pa.array(fetched, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        "source": pa.array([LABEL] * n, pa.string()),
    }
    for name in ("open", "high", "low", "close", "volume", "dividend", "split", "shares_outstanding"):
        given[name] = pa.array(getattr(market, name)[rows, column], pa.float64(), from_pandas=True)
    schema = TABLES["price_history"].schema
    return pa.table([given.get(f.name, pa.nulls(n, f.type)) for f in schema], schema=schema)


@price_source("sample")
def open_sample(settings: Settings) -> SampleSource:
    """Open the synthetic market that the settings describe."""
    return SampleSource(settings)
