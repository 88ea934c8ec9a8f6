"""Small PNG pictures of factors, for places that show no script, such as asset metadata.

Charts to work with are on the page of `tear_sheet`. Same rows give the same bytes under the same matplotlib.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import MisalignedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _DPI = 8.0, 3.5, 100
_PALETTE = 48
_POINTS = 480
_NAMED, _SHADES = 40, 41
_BAND = (0.05, 0.25, 0.5, 0.75, 0.95)
# Okabe and Ito's colours, which colour-blind readers tell apart; then again with dashes.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":")


def cumulative_spread_png(timeseries: pa.Table, *, factor_names: Sequence[str] = (), title: str = "") -> bytes:
    """Draw the growth of 1 in the high minus low portfolio of several factors.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`, of one universe. A session with a null `factor_value` is a gap; growth goes on from
        its last level. A factor without any return is named as such in the legend.
    factor_names
        Factors to draw, in this order; by default all, by name.
    title
        Text above the picture; say here that a market is synthetic.

    Returns
    -------
    PNG of 800 x 350 pixels.
    """
    names = list(factor_names) or sorted(timeseries["factor_name"].unique().to_pylist())
    figure, axes = _canvas(title)
    for i, name in enumerate(names):
        rows = timeseries.filter(pc.equal(timeseries["factor_name"], name)).sort_by("date")
        returns = rows["factor_value"].to_numpy()
        missing = np.isnan(returns)
        growth = np.where(missing, np.nan, np.cumprod(1 + np.where(missing, 0, returns)))
        axes.plot(
            rows["date"].to_numpy(),
            growth,
            color=_COLOURS[i % len(_COLOURS)],
            linestyle=_DASHES[i // len(_COLOURS) % len(_DASHES)],
            linewidth=1,
            label=f"{_plain(name)} (no return)" if missing.all() else _plain(name),
        )
    axes.axhline(1, color="#888888", linewidth=0.6)
    axes.set_ylabel("growth of 1, high \u2212 low")
    if names:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=7, handlelength=1.6)
    return _png(figure)


def value_band_png(values: pa.Table, *, title: str = "") -> bytes:
    """Draw how one factor's values are spread over tickers, and how many there are, by session.

    Parameters
    ----------
    values
        Rows of one factor's table: `date`, `ticker`, `value`. Null or infinite values count as missing.
    title
        Text above the picture.

    Returns
    -------
    PNG of 800 x 350 pixels: above, the median with the 25-75% and 5-95% bands; below, tickers with a value. Of long
    ranges every k-th session is drawn, so that there are no more points than pixels.
    """
    sessions = values["date"].unique().sort()
    if len(sessions) > _POINTS:
        drawn = sessions.take(pa.array(range(0, len(sessions), -(-len(sessions) // _POINTS))))
        values = values.filter(pc.is_in(values["date"], value_set=drawn))
    days, bands, counts = _bands(values)
    figure, (upper, lower) = _two_canvases(title)
    upper.fill_between(days, bands[0], bands[4], color="#0072b2", alpha=0.18, linewidth=0, label="5-95%")
    upper.fill_between(days, bands[1], bands[3], color="#0072b2", alpha=0.38, linewidth=0, label="25-75%")
    upper.plot(days, bands[2], color="#00324f", linewidth=1, label="median")
    upper.set_ylabel("value")
    upper.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=7, handlelength=1.6)
    lower.fill_between(days, 0, counts, step="mid", color="#888888", linewidth=0)
    lower.set_ylim(bottom=0)
    lower.set_ylabel("tickers")
    return _png(figure)


def correlation_heat_map_png(correlation: npt.NDArray[np.float64], *, names: Sequence[str], title: str = "") -> bytes:
    """Draw how alike every two factors are: blue where they rank names alike, orange where one is the other reversed.

    Parameters
    ----------
    correlation
        float64 of shape (n_factors, n_factors), in an order in which similar factors are neighbours. NaN is unknown
        and grey.
    names
        Of the factors, in the same order; shown where there is room for them (up to 40).
    title
        Text above the picture.

    Returns
    -------
    PNG of 800 x 700 pixels.

    Raises
    ------
    MisalignedError
        If the shape is not that of the names.
    """
    if correlation.shape != (len(names), len(names)):
        raise MisalignedError(
            f"A heat map of {len(names)} factors wants correlations of shape {(len(names),) * 2}, got"
            f" {correlation.shape}."
        )
    from matplotlib.colors import LinearSegmentedColormap

    figure = _figure(title)
    figure.set_size_inches(_WIDTH, _WIDTH * 7 / 8)
    shown = len(names) <= _NAMED
    figure.subplots_adjust(left=0.2 if shown else 0.06, right=0.92, top=0.94, bottom=0.2 if shown else 0.06)
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("alike", ("#d55e00", "#ffffff", "#0072b2"), N=_SHADES)
    shades = colours.with_extremes(bad="#c8c8c8")
    if names:
        drawn = axes.imshow(
            correlation,
            cmap=shades,
            vmin=-1,
            vmax=1,
            interpolation="nearest",
            aspect="auto",
        )
        bar = figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.02, label="rank correlation")
        bar.ax.tick_params(labelsize=8)
        bar.ax.yaxis.label.set_fontsize(8)
    else:
        axes.text(0.5, 0.5, "no two factors", transform=axes.transAxes, ha="center", fontsize=8)
    ticks = range(len(names)) if shown else ()
    axes.set_xticks(ticks, [_plain(name) for name in names] if shown else [], rotation=90, fontsize=7)
    axes.set_yticks(ticks, [_plain(name) for name in names] if shown else [], fontsize=7)
    axes.tick_params(length=0)
    return _png(figure, palette=256)


def _bands(
    values: pa.Table,
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Sessions of shape (n_dates,), quantiles of shape (5, n_dates), tickers with a value of shape (n_dates,)."""
    days, day_of_row = np.unique(values["date"].to_numpy(), return_inverse=True)
    numbers = np.asarray(values["value"].to_numpy(), dtype=np.float64)
    known = np.isfinite(numbers)
    order = np.lexsort((numbers[known], day_of_row[known]))
    ordered = numbers[known][order]
    counts = np.bincount(day_of_row[known], minlength=len(days))
    first = np.cumsum(counts) - counts
    bands = np.full((len(_BAND), len(days)), np.nan)
    some = counts > 0
    for k, share in enumerate(_BAND):
        # Linear between the two nearest values, as numpy.quantile does by default.
        position = first[some] + share * (counts[some] - 1)
        below = np.floor(position).astype(np.int64)
        above = np.ceil(position).astype(np.int64)
        bands[k, some] = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return days, bands, counts


def _canvas(title: str) -> tuple["Figure", "Axes"]:
    figure = _figure(title)
    axes = figure.add_subplot()
    _quiet(axes)
    return figure, axes


def _two_canvases(title: str) -> tuple["Figure", tuple["Axes", "Axes"]]:
    figure = _figure(title)
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1))
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    upper.xaxis.set_visible(False)
    for axes, n_ticks in ((upper, 5), (lower, 2)):
        axes.locator_params(axis="y", nbins=n_ticks)
    _quiet(upper)
    _quiet(lower)
    return figure, (upper, lower)


def _figure(title: str) -> "Figure":
    # A Figure of its own, not pyplot's: nothing global is opened, so nothing has to be closed. It saves through Agg.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, facecolor="white")
    # Fixed margins: a layout engine would draw the figure twice to measure it.
    figure.subplots_adjust(left=0.09, right=0.8, top=0.88, bottom=0.09, hspace=0.12)
    if title:
        figure.suptitle(_plain(title), fontsize=10, x=0.01, ha="left")
    return figure


def _quiet(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.yaxis.label.set_fontsize(8)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


def _plain(text: str) -> str:
    """Keep a dollar sign from opening a formula."""
    return text.replace("$", r"\$")


def _png(figure: "Figure", *, palette: int = _PALETTE) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3])  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    # A palette makes the file a third of its size; lines on white need no more colours.
    drawn.quantize(palette, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, format="PNG")
    return buffer.getvalue()
