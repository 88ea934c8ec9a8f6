"""Pictures: their band against numpy, their size, and that they repeat."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from factor_assets.errors import MisalignedError
from factor_assets.evaluation.pictures import (
    _bands,
    correlation_heat_map_png,
    cumulative_spread_png,
    value_band_png,
)
from factor_assets_tests.evaluation.evidence import evidence

NOTHING = pa.schema([("date", pa.date32()), ("ticker", pa.string()), ("value", pa.float64())]).empty_table()


@pytest.fixture(scope="module")
def timeseries() -> pa.Table:
    return evidence()["timeseries"]


@pytest.fixture(scope="module")
def values() -> pa.Table:
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(250, 40))
    numbers[:20] = np.nan
    numbers[30, :37] = np.nan
    numbers[40, 3] = np.inf
    days = np.arange("2020-01-01", "2020-09-07", dtype="datetime64[D]")
    return pa.table(
        {
            "date": pa.array(np.repeat(days, 40)),
            "ticker": pa.array(np.tile([f"T{i}" for i in range(40)], 250)),
            "value": pa.array(numbers.ravel(), from_pandas=True),
        }
    )


class TestAgainstNumpy:
    def test_bands(self, values: pa.Table) -> None:
        days, bands, counts = _bands(values)
        numbers = values["value"].to_numpy().reshape(250, 40)
        assert days.shape == (250,)
        for d in range(250):
            own = numbers[d][np.isfinite(numbers[d])]
            assert counts[d] == len(own)
            if len(own):
                np.testing.assert_allclose(bands[:, d], np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95]), atol=1e-12)
            else:
                assert np.isnan(bands[:, d]).all()


class TestProperties:
    def test_small_and_of_the_stated_size(self, timeseries: pa.Table, values: pa.Table) -> None:
        for picture in (cumulative_spread_png(timeseries), value_band_png(values, title="ret_12_1")):
            assert len(picture) < 60_000
            with Image.open(io.BytesIO(picture)) as image:
                assert image.size == (800, 350)
                assert len(image.convert("RGB").getcolors(maxcolors=1 << 20)) > 4

    def test_same_rows_same_bytes(self, timeseries: pa.Table, values: pa.Table) -> None:
        assert cumulative_spread_png(timeseries) == cumulative_spread_png(timeseries)
        order = np.random.default_rng(0).permutation(values.num_rows)
        assert value_band_png(values.take(order)) == value_band_png(values)

    def test_choices_change_the_picture(self, timeseries: pa.Table) -> None:
        every = cumulative_spread_png(timeseries)
        assert cumulative_spread_png(timeseries, factor_names=["ret_12_1"]) != every
        assert cumulative_spread_png(timeseries, title="cost $5 and $6") != every

    def test_nothing_global_stays_open(self, timeseries: pa.Table) -> None:
        from matplotlib import pyplot as plt

        before = plt.get_fignums()
        cumulative_spread_png(timeseries)
        assert plt.get_fignums() == before

    def test_no_rows_and_no_numbers_make_a_picture(self, timeseries: pa.Table, values: pa.Table) -> None:
        assert cumulative_spread_png(timeseries.slice(0, 0)).startswith(b"\x89PNG")
        assert value_band_png(NOTHING).startswith(b"\x89PNG")
        assert value_band_png(values.slice(0, 800)).startswith(b"\x89PNG")


class TestHeatMap:
    @pytest.mark.parametrize("n", [0, 1, 6, 40, 41, 300])
    def test_any_number_of_factors(self, n: int) -> None:
        correlation = np.corrcoef(np.random.default_rng(n).normal(size=(n, 30))) if n > 1 else np.ones((n, n))
        names = [f"name_{i}_$" for i in range(n)]
        picture = correlation_heat_map_png(correlation, names=names, title="t")
        assert len(picture) < 200_000
        with Image.open(io.BytesIO(picture)) as image:
            assert image.size == (800, 700)
        assert correlation_heat_map_png(correlation, names=names, title="t") == picture

    def test_colours_tell_sign_and_what_is_unknown(self) -> None:
        colours = []
        for value in (1.0, -1.0, 0.0, np.nan):
            picture = correlation_heat_map_png(np.full((2, 2), value), names=["a", "b"])
            with Image.open(io.BytesIO(picture)) as image:
                colours.append(image.convert("RGB").getpixel((300, 200)))
        blue, orange, white, grey = (np.array(colour, dtype=int) for colour in colours)
        assert blue[2] > blue[0] + 100
        assert orange[0] > orange[2] + 100
        assert white.min() > 245
        assert 150 < grey.min() <= grey.max() < 230

    def test_names_of_another_number(self) -> None:
        with pytest.raises(MisalignedError, match=r"2 factors wants correlations of shape \(2, 2\), got \(3, 3\)"):
            correlation_heat_map_png(np.eye(3), names=["a", "b"])
