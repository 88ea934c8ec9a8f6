"""A range of dates that was longer once leaves no trace in what is made of all dates."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from factor_assets_tests.market import Graph, small_settings

START, END = date(2023, 1, 3), date(2023, 4, 28)


def span(start: date, end: date) -> dict[str, Any]:
    return {"data": {"source": "sample", "start": start, "end": end}}


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")


class TestAgainstAFreshHome:
    def test_an_earlier_end(self, tmp_path: Path) -> None:
        longer = Graph(small_settings(tmp_path / "once", **span(START, END)))
        longer.run()
        longer.instance.dispose()
        earlier = date(2023, 3, 15)
        shorter, fresh = (Graph(small_settings(tmp_path / name, **span(START, earlier))) for name in ("once", "fresh"))
        found = {}
        for graph in (shorter, fresh):
            graph.run()
            store = graph.workspace.store
            found[graph.settings.home.name] = {
                name: checksum
                for name, checksum in graph.checksums().items()
                if "date" not in store.read(name).column_names
            }
            graph.instance.dispose()
        assert len(found["fresh"]) >= 8
        assert found["once"] == found["fresh"]

    def test_a_later_start(self, tmp_path: Path) -> None:
        longer = Graph(small_settings(tmp_path, **span(START, END)))
        longer.run()
        longer.instance.dispose()
        later = date(2023, 2, 1)
        graph = Graph(small_settings(tmp_path, **span(later, END)))
        graph.run()
        starts = [d for d in graph.workspace.store.read("factor_summary")["start_date"].to_pylist() if d is not None]
        assert starts
        assert min(starts) >= later
        graph.instance.dispose()
