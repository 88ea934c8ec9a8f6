"""Settings: where values come from, which are refused with what words, and that the page in docs tells all."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import SettingsError
from factor_assets.settings import Settings, version_of
from factor_assets.settings_file import load_settings, settings_page

DOCS = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

SECTIONS = {name: field.annotation for name, field in Settings.model_fields.items() if name not in {"home", "profile"}}

OTHER_THAN_DEFAULT: dict[str, dict[str, tuple[str, Any]]] = {
    "data": {
        "source": ("yahoo", "yahoo"),
        "calendar": ("XLON", "XLON"),
        "start": ("2019-01-02", date(2019, 1, 2)),
        "end": ("2020-01-02", date(2020, 1, 2)),
    },
    "sample": {"seed": ("8", 8), "tickers": ("30", 30), "planted_spread": ("0", 0.0)},
    "files": {
        "path": ("a.csv", "a.csv"),
        "layout": ("long", "long"),
        "columns": ("{ close = 'C' }", {"close": "C"}),
        "timezone": ("Europe/London", "Europe/London"),
        "prices": ("split_adjusted", "split_adjusted"),
    },
    "yahoo": {
        "batch_size": ("5", 5),
        "requests_per_second": ("0.5", 0.5),
        "retries": ("0", 0),
        "overlap_sessions": ("9", 9),
    },
    "universe": {
        "name": ("sp500", "sp500"),
        "tickers": ("['A', 'B']", ("A", "B")),
        "path": ("m.csv", "m.csv"),
    },
    "factors": {
        "families": ("['momentum', 'size/size']", ("momentum", "size/size")),
        "libraries": ("['alpha158']", ("alpha158",)),
        "paths": ("['mine.txt']", ("mine.txt",)),
    },
    "evaluation": {
        "n_groups": ("10", 10),
        "n_quantiles": ("10", 10),
        "weighting": ("cap", "cap"),
        "execution_lag": ("0", 0),
        "horizon": ("5", 5),
        "risk_free_rate": ("0", 0.0),
        "min_observations": ("60", 60),
        "horizons": ("[1, 3]", (1, 3)),
        "participation_rate": ("0.1", 0.1),
        "holdout_start": ("2020-01-02", date(2020, 1, 2)),
        "known_factors": ("ff.csv", "ff.csv"),
        "neutralised_on": ("['size/size']", ("size/size",)),
        "beta_window": ("504", 504),
        "random_portfolios": ("0", 0),
    },
    "promotion": {
        "min_coverage": ("0.6", 0.6),
        "max_pvalue": ("0.01", 0.01),
        "min_deflated_sharpe_ratio": ("0.9", 0.9),
        "max_turnover": ("0.3", 0.3),
        "min_capacity": ("1000000", 1e6),
        "max_correlation": ("0.5", 0.5),
        "sign_as_published": ("false", False),
    },
    "documents": {"path": ("s3://bucket/raw", "s3://bucket/raw")},
    "sec": {
        "contact": ("Jo Doe jo@example.com", "Jo Doe jo@example.com"),
        "data_url": ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        "archives_url": ("http://127.0.0.1:2", "http://127.0.0.1:2"),
        "requests_per_second": ("3", 3.0),
        "retries": ("0", 0),
        "timeout": ("5", 5.0),
        "filing_texts": ("true", True),
        "max_age_days": ("400", 400),
    },
    "news": {
        "source": ("tavily", "tavily"),
        "path": ("news.csv", "news.csv"),
        "columns": ("{ title = 'headline' }", {"title": "headline"}),
        "url": ("http://127.0.0.1:3", "http://127.0.0.1:3"),
        "max_results": ("5", 5),
        "requests_per_second": ("1", 1.0),
        "retries": ("0", 0),
        "timeout": ("5", 5.0),
        "max_requests": ("20", 20),
    },
    "language_model": {
        "model": ("some-model", "some-model"),
        "url": ("http://127.0.0.1:4", "http://127.0.0.1:4"),
        "region": ("eu-west-1", "eu-west-1"),
        "max_concurrent": ("16", 16),
        "requests_per_minute": ("50", 50),
        "max_tokens": ("500", 500),
        "retries": ("0", 0),
        "timeout": ("5", 5.0),
        "budget": ("0.5", 0.5),
        "input_price": ("3", 3.0),
        "output_price": ("15", 15.0),
        "batch": ("true", True),
        "max_failed_share": ("0.5", 0.5),
    },
    "reports": {
        "path": ("reports", "reports"),
        "word_list": ("words.csv", "words.csv"),
        "max_age_days": ("90", 90),
    },
    "partitions": {"grain": ("day", "day")},
    "run": {"executor": ("multiprocess", "multiprocess")},
    "store": {"path": ("elsewhere", "elsewhere")},
    "clickhouse": {
        "interface": ("chdb", "chdb"),
        "host": ("db", "db"),
        "port": ("9000", 9000),
        "user": ("researcher", "researcher"),
        "database": ("factors", "factors"),
        "secure": ("true", True),
        "cluster": ("main", "main"),
        "path": ("engine", "engine"),
        "timeout": ("10", 10.0),
    },
    "s3": {
        "endpoint": ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        "region": ("eu-west-1", "eu-west-1"),
        "encryption": ("aws:kms", "aws:kms"),
        "kms_key": ("alias/mine", "alias/mine"),
        "retries": ("0", 0),
        "compute_logs": ("s3://bucket/logs", "s3://bucket/logs"),
    },
}

WANTS: dict[tuple[str, str], dict[str, str]] = {("s3", "kms_key"): {"encryption": "aws:kms"}}
"""What a setting says nothing without."""


def load(file: Path | None = None, **environment: str) -> Settings:
    return load_settings(file, environment=environment)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class TestAgainstTheDeclaration:
    def test_the_page_in_docs_is_what_the_models_say(self) -> None:
        assert DOCS.read_text(encoding="utf-8") == settings_page(), (
            "write it anew: python -c 'import factor_assets.settings_file as s; print(s.settings_page(), end=\"\")'"
            " > docs/settings.md"
        )

    def test_every_setting_is_described_once(self) -> None:
        page = settings_page()
        for section, model in SECTIONS.items():
            assert model is not None
            for name, field in model.model_fields.items():
                assert field.description, f"{section}.{name}"
                assert field.description.endswith(".")
                assert page.count(f"`FACTOR_ASSETS_{section.upper()}__{name.upper()}`") == 1

    def test_every_setting_is_tried_here(self) -> None:
        wants_others = {("language_model", "provider"), ("store", "kind")}
        declared = {(s, name) for s, model in SECTIONS.items() if model for name in model.model_fields}
        tried = {(s, name) for s, names in OTHER_THAN_DEFAULT.items() for name in names}
        assert declared - wants_others == tried


class TestProperties:
    @pytest.mark.parametrize(("section", "name"), [(s, n) for s, names in OTHER_THAN_DEFAULT.items() for n in names])
    def test_file_and_variable_give_the_same(self, section: str, name: str, tmp_path: Path) -> None:
        text, value = OTHER_THAN_DEFAULT[section][name]
        others = WANTS.get((section, name), {})
        by_variable = load(
            **{f"FACTOR_ASSETS_{section.upper()}__{key.upper()}": t for key, t in {name: text, **others}.items()}
        )
        quoted = text if isinstance(value, int | float | dict | tuple | date) else f"'{text}'"
        file = tmp_path / "my.toml"
        file.write_text("\n".join([f"[{section}]", f"{name} = {quoted}", *(f"{k} = '{t}'" for k, t in others.items())]))
        assert load(file) == by_variable
        assert getattr(getattr(by_variable, section), name) == value
        assert by_variable != load()

    def test_a_profile_is_a_default_that_wants_its_places(self) -> None:
        scale = {"FACTOR_ASSETS_PROFILE": "scale", "FACTOR_ASSETS_CLICKHOUSE__HOST": "db"}
        documents = {"FACTOR_ASSETS_DOCUMENTS__PATH": "s3://bucket/raw"}
        assert load().store_kind == "lake"
        assert load(**scale, **documents).store_kind == "clickhouse"
        assert load(**scale, **documents, FACTOR_ASSETS_STORE__KIND="lake").store_kind == "lake"
        with pytest.raises(SettingsError, match=r"documents\.path is empty; set it to s3://bucket/prefix"):
            load(**scale)
        with pytest.raises(SettingsError, match=r"clickhouse\.host is empty; name the server"):
            load(FACTOR_ASSETS_STORE__KIND="clickhouse")
        assert load(FACTOR_ASSETS_STORE__KIND="clickhouse", FACTOR_ASSETS_CLICKHOUSE__INTERFACE="chdb")

    def test_a_language_model_wants_its_name_and_prices(self) -> None:
        model = {"FACTOR_ASSETS_LANGUAGE_MODEL__PROVIDER": "bedrock", "FACTOR_ASSETS_LANGUAGE_MODEL__MODEL": "m"}
        prices = {f"FACTOR_ASSETS_LANGUAGE_MODEL__{side}_PRICE": "1" for side in ("INPUT", "OUTPUT")}
        assert load(**model, **prices).language_model.provider == "bedrock"
        with pytest.raises(SettingsError, match=r"what a call costs: set language_model\.input_price"):
            load(**model)
        with pytest.raises(SettingsError, match=r"language_model\.model is empty; name the model"):
            load(FACTOR_ASSETS_LANGUAGE_MODEL__PROVIDER="anthropic", **prices)
        with pytest.raises(SettingsError, match=r"news.path is empty; set news.path to your headlines"):
            load(FACTOR_ASSETS_NEWS__SOURCE="files")

    def test_a_variable_wins_over_the_file_and_the_file_over_the_default(self, tmp_path: Path) -> None:
        (tmp_path / "factor_assets.toml").write_text("[evaluation]\nn_groups = 4\nhorizon = 2\n")
        settings = load(FACTOR_ASSETS_EVALUATION__N_GROUPS="5")
        assert (settings.evaluation.n_groups, settings.evaluation.horizon) == (5, 2)
        assert settings.evaluation.execution_lag == 1

    def test_the_named_file_stands_for_the_one_in_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "factor_assets.toml").write_text("[evaluation]\nn_groups = 4\nhorizon = 2\n")
        (tmp_path / "other.toml").write_text("[evaluation]\nn_groups = 6\n")
        settings = load(FACTOR_ASSETS_SETTINGS=str(tmp_path / "other.toml"))
        assert (settings.evaluation.n_groups, settings.evaluation.horizon) == (6, 1)

    def test_nothing_set_is_the_sample_market_in_this_folder(self, tmp_path: Path) -> None:
        settings = load()
        assert (settings.data.source, settings.universe_name) == ("sample", "all")
        assert (settings.start, settings.end) == (date(2017, 1, 3), date(2024, 12, 31))
        assert settings.lake_path == str(tmp_path / ".factor_assets" / "lake")
        assert settings.dagster_home == tmp_path / ".factor_assets" / "dagster"

    def test_defaults_that_follow_the_source(self) -> None:
        settings = load(FACTOR_ASSETS_DATA__SOURCE="yahoo", FACTOR_ASSETS_STORE__PATH="~/lake")
        assert (settings.start, settings.end, settings.universe_name) == (date(2010, 1, 1), None, "djia30")
        assert settings.lake_path == str(Path.home() / "lake")

    def test_documents_are_in_one_place_however_it_is_spelled(self, tmp_path: Path) -> None:
        for given, meant in (
            ("~/docs", Path.home() / "docs"),
            ("docs", tmp_path / "docs"),
            ("", tmp_path / ".factor_assets" / "documents"),
        ):
            assert load(FACTOR_ASSETS_DOCUMENTS__PATH=given).documents_path == str(meant)
        assert load(FACTOR_ASSETS_DOCUMENTS__PATH="s3://b/raw/").documents_path == "s3://b/raw"

    def test_lists_and_tables_in_variables_are_json_or_toml(self) -> None:
        for families in ('["momentum", "size"]', "['momentum', 'size']", ' ["momentum","size"]'):
            assert load(FACTOR_ASSETS_FACTORS__FAMILIES=families).factors.families == ("momentum", "size")
        for columns in ('{"close": "C \\u00e9"}', "{ close = 'C \u00e9' }"):
            assert load(FACTOR_ASSETS_FILES__COLUMNS=columns).files.columns == {"close": "C \u00e9"}

    def test_a_version_changes_with_its_sections_alone(self) -> None:
        one, other = load(), load(FACTOR_ASSETS_EVALUATION__HORIZON="5")
        assert version_of(one.evaluation) == version_of(load().evaluation)
        assert version_of(one.evaluation) != version_of(other.evaluation)
        assert version_of(one.data) == version_of(other.data)
        assert version_of(one.data, code="2") != version_of(one.data)
        assert version_of() == "1"


class TestErrors:
    @pytest.mark.parametrize(
        ("variable", "text", "message"),
        [
            ("EVALUATION__N_QUANTILES", "0", "evaluation.n_quantiles .* greater than or equal to 2, got '0'"),
            ("EVALUATION__N_GROUPS", "1", "evaluation.n_groups .* greater than or equal to 2, got '1'"),
            ("EVALUATION__HORIZON", "0", "evaluation.horizon .* greater than or equal to 1"),
            ("EVALUATION__RISK_FREE_RATE", "2", "evaluation.risk_free_rate .* less than 0.5, got '2'"),
            ("EVALUATION__RISK_FREE_RATE", "nan", "evaluation.risk_free_rate .* got 'nan'"),
            ("EVALUATION__WEIGHTING", "value", "evaluation.weighting .* 'equal' or 'cap', got 'value'"),
            ("SAMPLE__PLANTED_SPREAD", "nan", "sample.planted_spread .* got 'nan'"),
            ("SAMPLE__TICKERS", "many", "sample.tickers .* valid integer.*, got 'many'"),
            ("YAHOO__REQUESTS_PER_SECOND", "0", "yahoo.requests_per_second .* greater than 0"),
            ("DATA__START", "yesterday", "data.start .* valid date.*, got 'yesterday'"),
            (
                "FACTORS__FAMILIES",
                "momentum, size",
                r"""wants a list; .* as JSON, such as '\["momentum", "size"\]'\.$""",
            ),
            ("FACTORS__FAMILIES", "size", r"""factors.families .* wants a list; got 'size'; .*'\["size"\]'\.$"""),
            (
                "FILES__COLUMNS",
                "close=C",
                r"""files.columns .* wants a table; got 'close=C'; .*'{"close": "Close"}'\.$""",
            ),
            ("S3__ENDPOINT", "db:9000", r"s3.endpoint .*: wants a URL that begins .* http://; got 'db:9000'\.$"),
            ("S3__COMPUTE_LOGS", "s3:///a", "s3.compute_logs .*: wants s3://bucket/prefix; got 's3:///a'"),
            ("CLICKHOUSE__HOST", "http://127.0.0.1", "clickhouse.host .* the host alone, .*; got 'http://127.0.0.1'"),
            ("CLICKHOUSE__HOST", "127.0.0.1:8123", r"clickhouse.host .* the port is clickhouse\.port, .*:8123'"),
            ("DOCUMENTS__PATH", "~nobody_has_this_name/x", "begins with a user's folder that is not known"),
            ("PARTITIONS__GRAIN", "week", "partitions.grain .* 'month' or 'day', got 'week'"),
        ],
    )
    def test_nonsense_is_refused_with_its_name_and_place(self, variable: str, text: str, message: str) -> None:
        with pytest.raises(SettingsError, match=message) as caught:
            load(**{f"FACTOR_ASSETS_{variable}": text})
        assert f"(from FACTOR_ASSETS_{variable})" in str(caught.value)

    @pytest.mark.parametrize("setting", ["STORE__PATH", "DOCUMENTS__PATH", "REPORTS__PATH"])
    @pytest.mark.parametrize(
        "place",
        [
            *("s3:/b/x", "s3:b", "S3://b/x", "s3://", "s3:///x", "s3://b/a/../x", "s3://b/./x", "s3://b//x"),
            *("gs://b/x", "s3://key@b/x", "s3a://b/x", "file:///x", " s3://b/x", "az:/x", "x/s3://b"),
        ],
    )
    def test_a_place_that_is_neither_a_folder_nor_a_bucket(self, setting: str, place: str) -> None:
        with pytest.raises(SettingsError, match=r": wants a folder or s3://bucket/prefix; got '.*'\.$"):
            load(**{f"FACTOR_ASSETS_{setting}": place})

    @pytest.mark.parametrize(
        "setting",
        [
            *("FILES__PATH", "UNIVERSE__PATH", "NEWS__PATH", "FACTORS__PATHS", "EVALUATION__KNOWN_FACTORS"),
            *("REPORTS__WORD_LIST", "CLICKHOUSE__PATH", "HOME"),
        ],
    )
    def test_a_path_that_is_not_of_this_machine(self, setting: str) -> None:
        for path in ("s3://b/x", "s3:/b/x", "https://a.com/x.csv"):
            text = f'["{path}"]' if setting == "FACTORS__PATHS" else path
            with pytest.raises(SettingsError, match=f"wants a path on this machine, not a URI; got '{path}'"):
                load(**{f"FACTOR_ASSETS_{setting}": text})

    def test_a_key_that_would_not_be_used(self) -> None:
        key = {"FACTOR_ASSETS_S3__KMS_KEY": "alias/mine"}
        for encryption in ("", "AES256"):
            with pytest.raises(
                SettingsError, match=f"kms_key is 'alias/mine', .* is '{encryption}'.* to 'aws:kms', or"
            ):
                load(**key, FACTOR_ASSETS_S3__ENCRYPTION=encryption)
        assert load(**key, FACTOR_ASSETS_S3__ENCRYPTION="aws:kms").s3.kms_key == "alias/mine"

    @pytest.mark.parametrize(
        ("section", "name", "variable"),
        [
            ("clickhouse", "password", "variable CLICKHOUSE_PASSWORD"),
            ("s3", "secret_access_key", "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
            ("news", "api_key", "variable TAVILY_API_KEY"),
            ("language_model", "key", "variable ANTHROPIC_API_KEY"),
        ],
    )
    def test_a_secret_is_sent_to_its_variable(self, section: str, name: str, variable: str) -> None:
        Path("factor_assets.toml").write_text(f"[{section}]\n{name} = 'hush'\n")
        with pytest.raises(SettingsError, match=f"is not a setting; .* set the {variable}") as caught:
            load()
        assert "hush" not in str(caught.value)

    def test_an_unknown_setting_names_the_nearest(self, tmp_path: Path) -> None:
        with pytest.raises(
            SettingsError, match=r"evaluation\.n_group \(from .*_GROUP\) is not a setting; .*'n_groups'"
        ):
            load(FACTOR_ASSETS_EVALUATION__N_GROUP="3")
        with pytest.raises(SettingsError, match=r"hme .*is not a setting; did you mean 'home'"):
            load(FACTOR_ASSETS_HME="x")
        file = tmp_path / "factor_assets.toml"
        file.write_text("[univers]\nname = 'sp500'\n")
        with pytest.raises(SettingsError, match=r"univers \(from factor_assets.toml\) is not a setting; .*'universe'"):
            load()

    def test_a_file_that_is_missing_or_malformed(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"no\.toml does not exist; create it or unset FACTOR_ASSETS_SETTINGS"):
            load(FACTOR_ASSETS_SETTINGS="no.toml")
        (tmp_path / "bad.toml").write_text("[data\nsource = 'files'")
        with pytest.raises(SettingsError, match=r"bad\.toml is not valid TOML: .*line 1.*Correct that line"):
            load(tmp_path / "bad.toml")
        (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(SettingsError, match=r"bad\.toml is not valid TOML"):
            load(tmp_path / "bad.toml")
        with pytest.raises(SettingsError, match="cannot be read"):
            load(tmp_path)

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            (
                {"DATA__START": "2024-01-02", "DATA__END": "2023-01-02"},
                "data.start 2024-01-02 is after data.end 2023-01-02; swap them",
            ),
            ({"DATA__SOURCE": "files"}, "files.path is empty; set files.path to your price files"),
            ({"UNIVERSE__NAME": "list"}, "universe.tickers is empty; name at least one ticker"),
            ({"UNIVERSE__NAME": "file"}, "universe.path is empty; set it to a membership file"),
        ],
    )
    def test_settings_that_contradict(self, variables: dict[str, str], message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            load(**{f"FACTOR_ASSETS_{name}": text for name, text in variables.items()})

    def test_a_section_and_a_setting_mixed_up(self) -> None:
        with pytest.raises(
            SettingsError, match=r"FACTOR_ASSETS_HOME__X names a section, but 'home' is a single setting"
        ):
            load(FACTOR_ASSETS_HOME="a", FACTOR_ASSETS_HOME__X="b")
        with pytest.raises(SettingsError, match=r"data \(from FACTOR_ASSETS_DATA\): .*dictionary.*, got 'files'"):
            load(FACTOR_ASSETS_DATA="files")

    def test_all_problems_are_told_at_once(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load(FACTOR_ASSETS_RUN__EXECUTOR="ray", FACTOR_ASSETS_SAMPLE__SEED="-1")
        assert "run.executor" in str(caught.value)
        assert "sample.seed" in str(caught.value)
