"""The files of the server: compose file, image, instance and workspace hold what they promise, without an engine.

What does not belong here: the commands in them (`test_deploy_commands.py`).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_postgres.utils import create_pg_connection, pg_url_from_config
from sqlalchemy import create_engine

from factor_assets.errors import SettingsError
from factor_assets.settings_file import ENVIRONMENT_PREFIX, load_settings
from factor_assets_tests.servers.composed import (
    COMPOSE_FILE,
    DEPLOY,
    OURS,
    ROOT,
    SECRETS,
    SERVICES,
    THEIRS,
    VARIABLE,
    compose,
)


def instructions(file: Path = DEPLOY / "Dockerfile") -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile and their arguments, continued lines joined."""
    text = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    lines = [" ".join(line.split()) for line in text.replace("\\\n", "").splitlines()]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


class TestAgainstDocker:
    def test_compose_accepts_the_file(self) -> None:
        docker = shutil.which("docker")
        if (
            docker is None
            or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
        ):
            pytest.skip("the plugin `docker compose` is not installed here")
        done = subprocess.run(
            [docker, "compose", "--file", str(COMPOSE_FILE), "config", "--quiet"],
            env={**os.environ, **SECRETS},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class TestAgainstDagster:
    @pytest.fixture
    def instance_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name, value in SERVICES["code"]["environment"].items():
            monkeypatch.setenv(name, value)
        shutil.copy(DEPLOY / "dagster.yaml", tmp_path / "dagster.yaml")
        return tmp_path

    def test_the_instance_has_the_settings_it_names(self, instance_home: Path) -> None:
        config, _ = dagster_instance_config(str(instance_home))
        assert config["telemetry"] == {"enabled": False}
        assert config["nux"] == {"enabled": False}
        assert config["run_monitoring"]["enabled"]
        assert config["run_monitoring"]["max_runtime_seconds"] == 86_400
        coordinator = config["run_coordinator"]
        assert coordinator["class"] == "QueuedRunCoordinator"
        assert coordinator["config"]["max_concurrent_runs"] == 2
        assert coordinator["config"]["tag_concurrency_limits"] == [{"key": "dagster/backfill", "limit": 1}]

    def test_its_schema_is_enforced(self, instance_home: Path) -> None:
        file = instance_home / "dagster.yaml"
        file.write_text(file.read_text(encoding="utf-8") + "no_such_setting: 1\n", encoding="utf-8")
        with pytest.raises(Exception, match="no_such_setting"):
            dagster_instance_config(str(instance_home))

    def test_the_address_of_postgres_opens_by_the_installed_driver(self) -> None:
        config = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))["storage"]["postgres"]
        variables = SERVICES["code"]["environment"]
        database = {
            key: variables[value["env"]] if isinstance(value, dict) else value
            for key, value in config["postgres_db"].items()
        }
        engine = create_engine(pg_url_from_config({"postgres_db": database}))
        assert engine.dialect.driver == "psycopg2"
        assert (engine.url.host, engine.url.port, engine.url.database) == ("postgres", 5432, "dagster")
        assert engine.url.password == SECRETS["POSTGRES_PASSWORD"]
        assert create_pg_connection  # the module imports with the installed versions

    def test_logs_go_to_the_bucket_once_the_block_is_uncommented(self, instance_home: Path) -> None:
        file = instance_home / "dagster.yaml"
        text = re.sub(r"(?m)^# (compute_logs:|  .*)$", r"\1", file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        config, _ = dagster_instance_config(str(instance_home))
        logs = config["compute_logs"]
        assert (logs["module"], logs["class"]) == ("dagster_aws.s3", "S3ComputeLogManager")
        from dagster._config import process_config, resolve_to_config_type
        from dagster_aws.s3 import S3ComputeLogManager

        done = process_config(resolve_to_config_type(S3ComputeLogManager.config_type()), logs["config"])
        assert done.success, done.errors
        assert done.value["endpoint_url"] == "http://object-store:9000"
        assert f"s3://{done.value['bucket']}/" in SERVICES["code"]["environment"]["FACTOR_ASSETS_DOCUMENTS__PATH"]

    def test_the_workspace_names_the_code_location_by_its_one_name(self) -> None:
        (origin,) = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
        (on_a_laptop,) = location_origins_from_yaml_paths([str(ROOT / "workspace.yaml")])
        command = SERVICES["code"]["command"][-1].split()
        assert origin.location_name == on_a_laptop.location_name == "factor_assets.definitions"
        assert origin.host == "code"
        assert f"--port={origin.port}" in command
        assert f"--location-name={origin.location_name}" in command


class TestProperties:
    def test_every_part_is_there(self) -> None:
        assert SERVICES.keys() == OURS | THEIRS

    @pytest.mark.parametrize("name", sorted(OURS | THEIRS))
    def test_every_service_is_watched_limited_and_started_again(self, name: str) -> None:
        service = SERVICES[name]
        limits = service["deploy"]["resources"]["limits"]
        assert limits["memory"] == service["mem_limit"]  # Compose refuses two that differ
        assert float(limits["cpus"]) > 0
        assert re.fullmatch(r"\d+[mg]", limits["memory"])
        assert service["logging"]["options"]["max-size"]
        if name == "init":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped"
            assert service["healthcheck"]["test"][0] == "CMD"
            assert {"interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()

    def test_images_are_pinned_to_a_version(self) -> None:
        with (ROOT / "pyproject.toml").open("rb") as file:
            version = tomllib.load(file)["project"]["version"]
        for name, service in SERVICES.items():
            image, _, tag = service["image"].rpartition(":")
            assert image, name
            assert re.search(r"\d+\.\d+|RELEASE\.\d{4}", tag), f"{name}: {tag} is not a version"
            if name in OURS:
                assert (image, tag) == ("factor-assets", version)
                assert service["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile"}

    def test_ports_are_open_on_loopback_only(self) -> None:
        ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
        assert ports == {"clickhouse": ["127.0.0.1:8123:8123"], "webserver": ["127.0.0.1:3000:3000"]}

    def test_what_waits_waits_for_health_and_for_the_checks(self) -> None:
        healthy, done = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
        assert SERVICES["init"]["depends_on"] == dict.fromkeys(("postgres", "clickhouse", "object-store"), healthy)
        assert SERVICES["code"]["depends_on"] == {"init": done}
        for name in ("webserver", "daemon"):
            assert SERVICES[name]["depends_on"] == {"init": done, "code": healthy}

    def test_what_must_be_kept_is_in_declared_volumes(self) -> None:
        mounted = {mount for service in SERVICES.values() for mount in service["volumes"]}
        named = {mount.split(":")[0] for mount in mounted if not mount.startswith("./")}
        assert named == compose()["volumes"].keys() == {"postgres", "clickhouse", "objects", "home"}
        for mount in mounted:
            if mount.startswith("./"):
                source = ROOT / mount.split(":")[0]
                assert source.is_dir() if source == DEPLOY / "data" else source.is_file(), mount
                assert mount.endswith(":ro"), mount

    def test_files_of_the_user_are_read_by_what_runs_the_graph_and_kept_out_of_git(self) -> None:
        reading = {name for name in OURS if "./deploy/data:/data:ro" in SERVICES[name]["volumes"]}
        assert reading == {"init", "code"}
        chosen = compose({**SECRETS, "DATA_FOLDER": "/srv/prices"})["services"]["code"]["volumes"]
        assert "/srv/prices:/data:ro" in chosen
        for name in reading:
            assert set(SERVICES["daemon"]["volumes"]) < set(SERVICES[name]["volumes"])
        assert (DEPLOY / "data" / ".gitignore").read_text(encoding="utf-8").splitlines()[1:] == ["*", "!.gitignore"]

    def test_variables_name_another_clickhouse_and_bucket(self) -> None:
        own = {
            "FACTOR_ASSETS_CLICKHOUSE__HOST": "clickhouse.example.com",
            "FACTOR_ASSETS_CLICKHOUSE__PORT": "8443",
            "FACTOR_ASSETS_CLICKHOUSE__SECURE": "true",
            "FACTOR_ASSETS_CLICKHOUSE__USER": "quant",
            "FACTOR_ASSETS_CLICKHOUSE__DATABASE": "research",
            "FACTOR_ASSETS_DOCUMENTS__PATH": "s3://my-bucket/documents",
            "FACTOR_ASSETS_S3__ENDPOINT": "",
            "FACTOR_ASSETS_S3__REGION": "eu-central-1",
        }
        services = compose({**SECRETS, **own})["services"]
        for name in ("init", "code"):
            settings = load_settings(environment=services[name]["environment"])
            at = settings.clickhouse
            assert (at.host, at.port, at.secure, at.user) == ("clickhouse.example.com", 8443, True, "quant")
            assert (settings.documents_path, settings.s3.endpoint) == ("s3://my-bucket/documents", "")
            assert (at.database, settings.s3.region) == ("research", "eu-central-1")
        assert services["clickhouse"]["environment"]["CLICKHOUSE_BI_GRANT"] == "GRANT SELECT ON `research`.*"

    def test_what_the_compose_file_fixes_is_told(self) -> None:
        section = (ROOT / "README.md").read_text(encoding="utf-8").split("## On a server")[1].split("\n## ")[0]
        fixed = {name for name in SERVICES["code"]["environment"] if name.startswith(ENVIRONMENT_PREFIX)}
        told = set(re.findall(r"[A-Z0-9]+(?:_+[A-Z0-9]+)*", section))
        names = {name.removeprefix(ENVIRONMENT_PREFIX) for name in fixed}
        assert {name for name in names if name not in told and f"{ENVIRONMENT_PREFIX}{name}" not in told} == set()

    def test_the_client_of_the_bucket_has_its_keys(self) -> None:
        environment = SERVICES["object-store"]["environment"]
        keys = f"{environment['MINIO_ROOT_USER']}:{environment['MINIO_ROOT_PASSWORD']}"
        assert environment["MC_HOST_bucket"] == f"http://{keys}@127.0.0.1:9000"

    @pytest.mark.parametrize("name", sorted(OURS))
    def test_our_containers_have_no_rights(self, name: str) -> None:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]

    def test_only_what_runs_the_graph_knows_the_stores(self) -> None:
        for name in ("webserver", "daemon"):
            assert not {key for key in SERVICES[name]["environment"] if key.startswith(("AWS_", "CLICKHOUSE_"))}
        assert SERVICES["init"]["environment"] == SERVICES["code"]["environment"]

    @pytest.mark.parametrize("name", ["init", "code"])
    def test_every_setting_is_one(self, name: str) -> None:
        settings = load_settings(environment=SERVICES[name]["environment"])
        assert settings.profile == "scale"
        assert settings.store_kind == "clickhouse"
        assert (settings.clickhouse.host, settings.clickhouse.port) == ("clickhouse", 8123)
        server = SERVICES["clickhouse"]["environment"]
        assert (settings.clickhouse.user, settings.clickhouse.database) == (
            server["CLICKHOUSE_USER"],
            server["CLICKHOUSE_DB"],
        )
        assert settings.s3.endpoint == "http://object-store:9000"
        assert str(settings.dagster_home) == SERVICES[name]["environment"]["DAGSTER_HOME"]

    def test_every_other_variable_is_set_for_somebody_who_reads_it(self) -> None:
        instance = (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")
        for name in SERVICES["daemon"]["environment"]:
            assert name == "DAGSTER_HOME" or f"{{env: {name}}}" in instance
        read = set(re.findall(r"\{env: (DAGSTER_\w+)\}", instance))
        for name in OURS:
            assert read <= SERVICES[name]["environment"].keys()

    def test_no_secret_has_a_value_in_any_file(self) -> None:
        for name, value in re.findall(
            r"(?m)^\s*(\w*(?:PASSWORD|SECRET|ACCESS_KEY|ROOT_USER)\w*):\s*(.+)$",
            COMPOSE_FILE.read_text(encoding="utf-8"),
        ):
            assert VARIABLE.fullmatch(value), name
            assert ":?" in value, f"{name} has a default"
        for file in (DEPLOY / "Dockerfile", DEPLOY / "dagster.yaml"):
            assert not re.search(r"(?i)(password|secret|_key)\w*\s*[=:]\s*[\"']?\w", file.read_text(encoding="utf-8"))

    def test_what_is_secret_or_of_one_server_is_ignored(self) -> None:
        ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
        assert {".env", "deploy/settings.env"} <= set(ignored)
        rules = [
            line
            for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        assert rules[0] == "*"
        assert {rule[1:] for rule in rules if rule.startswith("!")} == {
            source
            for name, rest in instructions()
            if name == "COPY" and not rest.startswith("--from")
            for source in rest.split()[:-1]
        }


class TestDockerfile:
    def test_its_bases_are_pinned_and_one(self) -> None:
        bases = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
        (base,) = bases
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)

    def test_the_last_stage_has_neither_compiler_nor_root(self) -> None:
        last = instructions()[[name for name, _ in instructions()].index("FROM", 1) :]
        users = [rest for name, rest in last if name == "USER"]
        assert users == ["10001:10001"]
        after = last[[name for name, _ in last].index("USER") :]
        assert ("RUN", "factor-assets warm-up") in after
        assert {"HEALTHCHECK", "CMD"} <= {name for name, _ in after}
        assert not any("pip" in rest for name, rest in last if name == "RUN")

    def test_it_copies_what_changes_least_first(self) -> None:
        copied = [rest.split()[0] for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")]
        assert copied.index("pyproject.toml") < copied.index("factor_assets")
        steps = [f"{name} {rest}" for name, rest in instructions()]
        (requirements,) = (n for n, step in enumerate(steps) if "--requirement requirements.txt" in step)
        (code,) = (n for n, step in enumerate(steps) if step.startswith("COPY factor_assets"))
        assert requirements < code

    def test_it_follows_the_usual_rules(self) -> None:
        names = [name for name, _ in instructions()]
        assert "ADD" not in names
        assert names.count("CMD") == names.count("HEALTHCHECK") == 1
        for name, rest in instructions():
            assert "latest" not in rest
            assert "sudo" not in rest
            if name in {"CMD", "ENTRYPOINT"}:
                assert rest.startswith("["), "a shell in front would not pass the signal on"
                assert "sh -c" not in rest.replace('", "', " ") or "exec " in rest
            if name == "WORKDIR":
                assert rest.startswith("/")
            if "apt-get install" in rest:
                assert "--no-install-recommends" in rest
                assert "rm -rf /var/lib/apt/lists/*" in rest
            if "pip install" in rest and "--no-deps" not in rest:
                assert all("--constraint constraints.txt" in part for part in rest.split("&&") if "pip install" in part)

    def test_its_command_and_health_check_are_those_of_the_compose_file(self) -> None:
        found = dict(instructions())
        assert yaml.safe_load(found["CMD"]) == SERVICES["code"]["command"]
        assert yaml.safe_load(found["HEALTHCHECK"].partition("CMD ")[2]) == SERVICES["code"]["healthcheck"]["test"][1:]

    def test_its_requirements_are_those_of_the_project(self, tmp_path: Path) -> None:
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        (step,) = (rest for name, rest in instructions() if name == "RUN" and "tomllib" in rest)
        first = step.split("&&")[0].replace("python ", f"{shlex.quote(sys.executable)} ", 1)
        subprocess.run(["sh", "-c", first], cwd=tmp_path, check=True)
        wanted = (tmp_path / "requirements.txt").read_text(encoding="utf-8").splitlines()
        with (ROOT / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file)["project"]
        extras = project["optional-dependencies"]
        assert wanted == [*project["dependencies"], *extras["aws"], *extras["postgres"]]


class TestErrors:
    @pytest.mark.parametrize("missing", SECRETS)
    def test_nothing_starts_without_its_secret(self, missing: str) -> None:
        with pytest.raises(ValueError, match=rf"{missing}: run `make compose-secrets`"):
            compose({**SECRETS, missing: ""})

    def test_a_setting_that_is_none_is_refused(self) -> None:
        variables = {**SERVICES["code"]["environment"], f"{ENVIRONMENT_PREFIX}CLICKHOUSE__HOSTNAME": "x"}
        with pytest.raises(SettingsError, match="did you mean 'host'"):
            load_settings(environment=variables)


class TestSecrets:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        (tmp_path / "deploy").mkdir()
        shutil.copy(DEPLOY / "secrets.sh", tmp_path / "deploy")
        return tmp_path

    @staticmethod
    def make(checkout: Path) -> dict[str, str]:
        done = subprocess.run(
            [str(checkout / "deploy" / "secrets.sh")], check=True, capture_output=True, text=True, cwd="/"
        )
        lines = (checkout / ".env").read_text(encoding="utf-8").splitlines()
        found = dict(line.split("=", 1) for line in lines if line)
        assert not [value for value in found.values() if value in done.stdout]
        return found

    def test_they_are_long_different_and_for_the_owner_only(self, checkout: Path) -> None:
        made = self.make(checkout)
        assert made.keys() == SECRETS.keys()
        assert len(set(made.values())) == len(made)
        assert all(re.fullmatch(r"[0-9a-f]{20,48}", value) for value in made.values())
        assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
        compose(made)

    def test_another_server_has_others(self, checkout: Path) -> None:
        first = self.make(checkout)
        (checkout / ".env").unlink()
        assert not set(first.values()) & set(self.make(checkout).values())

    def test_what_is_there_stays(self, checkout: Path) -> None:
        (checkout / ".env").write_text("POSTGRES_PASSWORD=chosen\nS3_ACCESS_KEY=\nOTHER=left alone", encoding="utf-8")
        made = self.make(checkout)
        assert made["POSTGRES_PASSWORD"] == "chosen"
        assert made["OTHER"] == "left alone"
        assert len(made["S3_ACCESS_KEY"]) == 20
        assert self.make(checkout) == made
