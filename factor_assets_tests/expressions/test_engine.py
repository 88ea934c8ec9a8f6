"""Many expressions in one pass: shared work, released memory, rows after the lookback."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import ExpressionError, UnknownFieldError
from factor_assets.expressions import Field, close, cross_mean, delay, engine, kernels, mean, rank, std, zscore
from factor_assets.expressions.engine import evaluate
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.strategies import expressions as random_expressions
from factor_assets_tests.expressions.strategies import panels, random_panel, same_bits


class TestAgainstOneByOne:
    @given(panel=panels, wanted=st.lists(random_expressions, min_size=1, max_size=6))
    @settings(max_examples=100, deadline=None)
    def test_together_is_the_same_as_alone(self, panel, wanted):
        together = dict(evaluate({str(i): e for i, e in enumerate(wanted)}, panel))
        for i, e in enumerate(wanted):
            assert same_bits(together[str(i)], dict(evaluate({"e": e}, panel))["e"])


class TestProperties:
    def test_common_parts_are_computed_once(self, monkeypatch):
        calls = []
        for table in ("TIME_SERIES", "CROSS_SECTION"):
            recorded = {
                k: (lambda *a, _f=f, _k=k, **p: (calls.append(_k), _f(*a, **p)))
                for k, f in getattr(kernels, table).items()
            }
            monkeypatch.setattr(kernels, table, recorded)
        panel = random_panel(0, n_dates=30, n_tickers=3)
        shared = mean(delay(close, 1), 5)
        wanted = {"a": close / shared, "b": rank(shared) + shared, "c": shared, "d": std(shared, 3)}
        assert [name for name, _ in evaluate(wanted, panel)] == list("abcd")
        assert sorted(calls) == ["delay", "mean", "rank", "std"]

    def test_dear_parts_are_shared_also_by_results_of_different_batches(self, monkeypatch):
        calls = []
        recorded = {
            k: (lambda *a, _f=f, _k=k, **p: (calls.append(_k), _f(*a, **p))) for k, f in kernels.TIME_SERIES.items()
        }
        monkeypatch.setattr(kernels, "TIME_SERIES", recorded)
        monkeypatch.setattr(engine, "_BATCH_BYTES", 1)
        panel = random_panel(0, n_dates=30, n_tickers=3)
        dear = mean(close, 5)
        wanted = {"a": dear + 1, "b": rank(dear), "c": std(close, 4), "d": dear * 2}
        alone = {name: dict(evaluate({name: e}, panel))[name] for name, e in wanted.items()}
        calls.clear()
        together = dict(evaluate(wanted, panel))
        assert sorted(calls) == ["mean", "std"]
        assert all(same_bits(together[name], alone[name]) for name in wanted)

    def test_blocks_chunks_threads_and_batches_change_no_bit(self, monkeypatch):
        panel = random_panel(3, n_dates=60, n_tickers=70)
        market = cross_mean(close)
        wanted = {
            "a": rank(mean(close, 5)) - rank(delay(market, 3)),
            "b": zscore(rank(close) * std(Field("open"), 7)),
            "c": std(market, 20) * close,
            "d": rank(rank(close) - rank(Field("volume"))),
            "e": close,
            "f": zscore(zscore(mean(close, 5))),
        }
        expected = dict(evaluate(wanted, panel))
        for block, width, chunk, batch in ((1, 16, 1, 1), (10**9, 32, 70 * 7, 10**9), (1, 24, 10**9, 3 * 8 * 60 * 70)):
            for name, value in (("_BLOCK_BYTES", block), ("_MAX_WIDTH", width), ("_CHUNK_CELLS", chunk)):
                monkeypatch.setattr(engine, name, value)
            monkeypatch.setattr(engine, "_BATCH_BYTES", batch)
            monkeypatch.setattr(engine, "_SMALL", 1)
            found = dict(evaluate(wanted, panel))
            assert all(same_bits(found[name], expected[name]) for name in wanted)

    def test_a_field_that_lies_in_larger_memory_stays_as_it_is(self):
        flat = np.random.default_rng(0).normal(size=30 * 4)
        kept = flat.copy()
        panel = random_panel(0, n_dates=30, n_tickers=4)
        panel = Panel(
            dates=panel.dates,
            tickers=panel.tickers,
            fields={"close": flat.reshape(30, 4)},
            in_universe=panel.in_universe,
        )
        list(evaluate({"a": rank(close) + 1, "b": mean(close, 3), "c": zscore(mean(close, 2) + 1)}, panel))
        assert same_bits(flat, kept)

    def test_nothing_to_compute_on(self):
        for shape in ((0, 3), (5, 0), (0, 0)):
            panel = random_panel(0, n_dates=max(shape[0], 1), n_tickers=max(shape[1], 1))
            panel = Panel(
                dates=panel.dates[: shape[0]],
                tickers=panel.tickers[: shape[1]],
                fields={"close": np.empty(shape)},
                in_universe=np.empty(shape, dtype=bool),
            )
            for _, values in evaluate({"a": rank(mean(close, 3)), "b": close}, panel):
                assert values.shape == shape

    def test_results_stay_what_they_were_while_later_ones_are_computed(self):
        panel = random_panel(1, n_dates=40, n_tickers=4)
        wanted = {f"f{n}": mean(delay(close, n), n + 1) - close * n for n in range(1, 12)}
        copies, kept = {}, {}
        for name, values in evaluate(wanted, panel):
            copies[name], kept[name] = values.copy(), values
        assert all(same_bits(copies[name], kept[name]) for name in wanted)
        assert not any(values.flags.writeable for values in kept.values())

    def test_intermediates_are_released(self, monkeypatch):
        panel = random_panel(1, n_dates=40, n_tickers=4)
        made, sizes = [], (((40, 4),), (160,))
        empty = np.empty
        monkeypatch.setattr(
            engine.np, "empty", lambda *a, **k: (made.append(a) if a in sizes else None, empty(*a, **k))[1]
        )
        along = across = close
        for n in range(1, 30):
            along = delay(along, 1) + n
            across = rank(across + n)
        (_,) = evaluate({"e": along}, panel)
        assert len(made) <= 4
        made.clear()
        (_,) = evaluate({"e": across}, panel)
        assert len(made) <= 4

    def test_start(self):
        panel = random_panel(2, n_dates=30, n_tickers=3)
        whole = dict(evaluate({"m": mean(close, 5), "c": close}, panel))
        part = dict(evaluate({"m": mean(close, 5), "c": close}, panel, start=10))
        assert all(same_bits(whole[k][10:], part[k]) for k in whole)

    def test_warm_up_runs_every_kernel(self):
        engine.warm_up()


class TestErrors:
    def test_missing_field_is_found_before_anything_is_computed(self):
        panel = random_panel(0, n_dates=5, n_tickers=2)
        with pytest.raises(UnknownFieldError, match="'b' reads the field 'low', which the panel does not hold"):
            evaluate({"a": close, "b": Field("low")}, panel)

    def test_start(self):
        panel = random_panel(0, n_dates=5, n_tickers=2)
        with pytest.raises(ExpressionError, match=r"looks back 4 sessions, but only 2 rows.*from 2 sessions earlier"):
            evaluate({"a": mean(close, 5)}, panel, start=2)
        with pytest.raises(ExpressionError, match="0 to 5; got 6"):
            evaluate({"a": close}, panel, start=6)
