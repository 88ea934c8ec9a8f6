"""The asset tear_sheet: which files it writes, what it removes, where its metadata lead."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import pytest

from factor_assets.defs.report import TEAR_SHEET
from factor_assets_tests.market import FEW_FACTORS, Graph, small_settings


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")
        graph = Graph(small_settings(tmp_path_factory.mktemp("home")))
        graph.run()
        yield graph
        graph.instance.dispose()


@pytest.fixture(scope="module")
def reports(graph: Graph) -> Path:
    return graph.workspace.tear_sheet_path.parent


class TestProperties:
    def test_every_factor_has_a_page_a_text_and_a_record(self, reports: Path) -> None:
        found = {file.relative_to(reports).as_posix() for file in reports.rglob("*") if file.is_file()}
        factors = {f"factors/{factor}{suffix}" for factor in FEW_FACTORS for suffix in (".html", ".md", ".json")}
        assert found == {"tear_sheet.html", "comparison.md", "comparison.json", *factors}
        for file in reports.rglob("*.html"):
            assert file.stat().st_size < 3_000_000, file

    def test_links_lead_to_files(self, reports: Path) -> None:
        for page in reports.rglob("*.html"):
            for link in re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8")):
                assert (page.parent / unquote(link)).is_file(), f"{page}: {link}"
        for text in [reports / "comparison.md"]:
            for link in re.findall(r"\]\(([^)]+)\)", text.read_text(encoding="utf-8")):
                assert (text.parent / unquote(link)).is_file(), f"{text}: {link}"

    def test_the_declaration_is_on_the_page_and_in_the_record(self, graph: Graph, reports: Path) -> None:
        record = json.loads((reports / "factors/momentum/ret_12_1.json").read_text(encoding="utf-8"))
        declared = graph.workspace.factors["ret_12_1"].factor
        assert (record["sign"], record["cite"], record["synthetic"]) == (declared.sign, declared.cite, True)
        assert record["table_versions"]["factor_summary"]
        page = (reports / "factors/momentum/ret_12_1.html").read_text(encoding="utf-8")
        assert "SYNTHETIC SAMPLE MARKET" in page
        assert str(declared.expression) in page

    def test_metadata_lead_to_the_pages(self, graph: Graph, reports: Path) -> None:
        event = graph.instance.get_latest_materialization_event(TEAR_SHEET)
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["page"] == dg.MetadataValue.path(str(reports / "tear_sheet.html"))
        assert metadata["page_url"] == dg.MetadataValue.url((reports / "tear_sheet.html").absolute().as_uri())
        assert Path(str(metadata["factor_pages"].value)) == reports / "factors"
        assert metadata["factors"].value == len(FEW_FACTORS)

    def test_pages_of_factors_that_are_gone_are_removed_and_nothing_else(self, graph: Graph, reports: Path) -> None:
        gone, kept = reports / "factors/old_family/gone.html", reports / "factors/size/notes.txt"
        gone.parent.mkdir()
        for file in (gone, gone.with_suffix(".json"), kept):
            file.write_text("x", encoding="utf-8")
        before = (reports / "tear_sheet.html").read_bytes()
        graph.run("tear_sheet")
        assert not gone.parent.exists()
        assert kept.exists()
        assert (reports / "factors/size/size.html").exists()
        assert (reports / "tear_sheet.html").read_bytes() == before
        kept.unlink()
