"""The README does what it says: its code runs, its settings load, its commands exist, its files are there."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

import factor_assets
from factor_assets.cli import app
from factor_assets.panel.universe import members
from factor_assets.settings_file import load_settings
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.workspace import Workspace
from factor_assets_tests.market import run, small_settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 15


def blocks(heading: str) -> dict[str, str]:
    """Return language -> code of the blocks under a heading."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, flags=re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^```(\w+)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def copied_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, compiled kernels included, that a user may add files to."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(Path(factor_assets.__file__).parent, folder / "factor_assets")
    for heading in ("Add a factor", "Add a source"):
        code = blocks(heading)["python"]
        (folder / code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
    return folder


def python(code: str, *, folder: Path) -> str:
    """Run code in a process of its own that imports the package from `folder`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "COLUMNS": "120",
        "FACTOR_ASSETS_HOME": str(folder / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestHowToAdd:
    @pytest.mark.parametrize("heading", ["Add a factor", "Add a source", "Add a universe"])
    def test_takes_few_lines(self, heading: str) -> None:
        assert blocks(heading)
        for code in blocks(heading).values():
            assert len(code.splitlines()) <= MOST_LINES

    def test_a_factor(self, copied_package: Path) -> None:
        code = blocks("Add a factor")["python"]
        family = Path(code.splitlines()[0].removeprefix("# ")).stem
        (name,) = re.findall(r"^(\w+) = Factor\(", code, flags=re.MULTILINE)
        listed = python("from factor_assets.cli import app; app(['factor', 'list'])", folder=copied_package)
        assert re.search(rf"^{family} +{name} +\d+ +- ", listed, flags=re.MULTILINE)
        values = python(
            "import numpy as np, warnings\n"
            "from factor_assets import Panel, all_factors, evaluate\n"
            "days = np.arange(np.datetime64('2020-01-01'), np.datetime64('2020-01-01') + 800)\n"
            "close = np.cumprod(np.full((800, 2), (1.001, 1.002)), axis=0)\n"
            "inside = np.ones((800, 2), bool)\n"
            "panel = Panel(dates=days, tickers=('A', 'B'), fields={'close': close}, in_universe=inside)\n"
            f"expression = all_factors()['{name}'].expression\n"
            "values = dict(evaluate({'new': expression}, panel))['new']\n"
            "wanted = close[756:] / close[:44] - 1\n"
            "assert np.isnan(values[:756]).all()\n"
            "np.testing.assert_allclose(values[756:], wanted, rtol=1e-12)\n"
            "print('as declared')",
            folder=copied_package,
        )
        assert values.strip() == "as declared"

    def test_a_source(self, copied_package: Path) -> None:
        (copied_package / "prices.csv").write_text("ticker,date,open,high,low,close,volume\nA,2024-01-02,1,1,1,1,1\n")
        found = python(
            "from factor_assets import Settings, Workspace\n"
            "chosen = {'data': {'source': 'my_vendor'}, 'files': {'path': 'prices.csv'}}\n"
            "print(Workspace(Settings.model_validate(chosen)).source.tickers())",
            folder=copied_package,
        )
        assert found.strip() == "['A']"

    def test_a_universe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        found = blocks("Add a universe")
        (tmp_path / "factor_assets.toml").write_text(found["toml"])
        (tmp_path / load_settings().universe.path).write_text(found["csv"])
        settings = load_settings(environment={})
        workspace = Workspace(settings)
        fetched = workspace.source.fetch(
            workspace.wanted_tickers(),
            start=settings.start,
            end=settings.end,
            stored=lambda ticker: None,  # type: ignore[arg-type, return-value]
        )
        (history,) = [delivery.rows for delivery in fetched if delivery.ticker == "SYN001"]
        assert history is not None
        sessions = np.array(["2020-06-29", "2020-06-30", "2020-07-01"], dtype="datetime64[D]")
        rows = members(settings, sessions=sessions, history=history, source=workspace.source)
        inside = {(row["date"], row["ticker"]) for row in rows.to_pylist()}
        assert inside == {
            (date(2020, 6, 29), "SYN000"),
            (date(2020, 6, 30), "SYN000"),
            (date(2020, 7, 1), "SYN000"),
            (date(2020, 6, 29), "SYN001"),
        }
        assert set(rows["membership"].to_pylist()) == {"dated"}


class TestTheRest:
    def test_settings_for_own_prices_are_valid(self, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text(blocks("Your own prices")["toml"])
        settings = load_settings(tmp_path / "mine.toml", environment={})
        assert (settings.data.source, settings.universe_name) == ("files", "sp500")
        assert settings.files.columns["adjusted_close"] == "Adj Close"

    def test_settings_for_clickhouse_and_s3_are_valid(self, tmp_path: Path) -> None:
        (tmp_path / "scale.toml").write_text(blocks("ClickHouse and S3")["toml"])
        settings = load_settings(tmp_path / "scale.toml", environment={})
        store = Workspace(settings).store
        assert isinstance(store, ClickHouseStore)
        assert store.location("prices") == "http://clickhouse.example.com:8123/factor_assets.prices"
        assert settings.documents_path == "s3://my-bucket/documents"
        alone = [line for line in re.findall(r"`([a-z]+\.[a-z]+ = \"[^\"]+\")`", README) if "=" in line]
        for line in alone:
            (tmp_path / "alone.toml").write_text(line)
            load_settings(tmp_path / "alone.toml", environment={})
        assert len(alone) >= 3

    def test_own_factors(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        found = blocks("Your own factors")
        (tmp_path / found["text"].splitlines()[0].removeprefix("# ")).write_text(found["text"])
        (tmp_path / "factor_assets.toml").write_text(found["toml"])
        workspace = Workspace(load_settings())
        own = {name: factor for name, factor in workspace.factors.items() if factor.family == "my_factors"}
        assert {name: factor.lookback for name, factor in own.items()} == {"fade_5d": 5, "range_20d": 19}
        assert list(workspace.libraries) == ["alpha158"]
        assert set(re.findall(r"factor eval (\w+)", README)) <= set(own)
        scope: dict[str, object] = {}
        exec(found["python"], scope)
        assert "rank IC" in repr(scope["look"])

    def test_notebook(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = small_settings(tmp_path)
        run(settings, names=["market_data"])
        for name, value in {
            "HOME": tmp_path,
            "DATA__START": settings.data.start,
            "DATA__END": settings.data.end,
            "SAMPLE__TICKERS": settings.sample.tickers,
        }.items():
            monkeypatch.setenv(f"FACTOR_ASSETS_{name}", str(value))
        scope: dict[str, object] = {}
        exec(blocks("Notebook")["python"], scope)
        panel, values = scope["panel"], scope["values"]
        assert isinstance(panel, factor_assets.Panel)
        assert isinstance(values, np.ndarray)
        assert values.shape == (81, 11)
        last = -(panel["close"][-1] - panel["close"][-6])
        assert (np.argsort(values[-1]) == np.argsort(last)).all()

    def test_commands_exist(self) -> None:
        known = get_command(app).commands  # type: ignore[attr-defined]
        used = re.findall(r"factor-assets ([a-z][a-z-]*)", README)
        assert set(used) <= known.keys()
        for name in ("demo", "backfill", "materialize", "status", "report", "factor", "sql", "doctor", "ui"):
            assert name in README
        for command, option in re.findall(r"factor-assets ([a-z-]+) (--[a-z]+)", README):
            assert option in {opt for parameter in known[command].params for opt in parameter.opts}

    def test_commands_of_factors_exist(self) -> None:
        known = get_command(app).commands["factor"].commands  # type: ignore[attr-defined]
        assert set(re.findall(r"`(?:factor-assets )?factor ([a-z]+)", README)) == set(known)
        for command, option in re.findall(r"factor-assets factor ([a-z]+) [^`]*(--[a-z]+)", README):
            assert option in {opt for parameter in known[command].params for opt in parameter.opts}

    def test_make_targets_exist(self) -> None:
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
        assert (
            set(re.findall(r"`?make ([a-z-]+)\b(?= |`)", README)) & {"demo", "test", "ui", "check", "bench"} <= targets
        )

    def test_of_a_server_every_setting_and_account_is_one(self) -> None:
        section = README.split("## On a server")[1].split("\n## ")[0]
        given = dict(re.findall(r"`?(?:FACTOR_ASSETS_)?([A-Z0-9]+__[A-Z]+)=([^`\s]*)`", section))
        given |= {"UNIVERSE__NAME": "file", "UNIVERSE__PATH": "/data/members.csv", "NEWS__PATH": "/data/news.csv"}
        settings = load_settings(environment={f"FACTOR_ASSETS_{name}": value for name, value in given.items()})
        assert settings.files.path == "/data/prices.parquet"
        assert settings.factors.paths == ("/data/my_factors.txt",)
        assert settings.reports.path == "s3://factor-assets/reports"
        users = (ROOT / "deploy" / "clickhouse_users.xml").read_text(encoding="utf-8")
        assert 'curl -u "bi:' in section
        assert "<users>\n    <bi>" in users
        assert "Docker Engine 25" in section

    def test_linked_files_are_there(self) -> None:
        for target in re.findall(r"\]\((?!http)([^)#]+)", README):
            assert (ROOT / target).exists(), target

    def test_assets_of_the_table_are_those_of_the_graph(self) -> None:
        from factor_assets.defs.graph import build_definitions

        keys = build_definitions(small_settings(Path("unused"))).resolve_asset_graph().get_all_asset_keys()
        told = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| `.*?\|", README, flags=re.MULTILINE))))
        assert {key.path[0] for key in keys if len(key.path) == 1} <= told

    def test_python_version(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert f"Python {project['requires-python'].removeprefix('>=')} or newer" in README


def test_importing_the_package_is_light() -> None:
    heavy = ("dagster", "duckdb", "numba", "numpy", "pandas", "polars", "pyarrow", "scipy", "plotly", "matplotlib")
    code = f"import factor_assets, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_notebook_is_there() -> None:
    for name in factor_assets.__all__:
        assert getattr(factor_assets, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Panle'; it has"):
        factor_assets.Panle  # noqa: B018
