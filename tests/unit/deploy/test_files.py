"""The deployment files hold together: paths, users, ports, secrets, and names that one file gives and another uses."""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.deploy.sbom import bill_of
from orchestration.settings import Settings

TOP = Path(__file__).parents[3]
DEPLOY = TOP / "orchestration/deploy"
USER = 10001


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order: (name, the rest on one line)."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def given(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())  # type: ignore[no-any-return]


COMPOSE, HELM, INSTANCE = read("compose.yml"), read("helm-values.yaml"), read("dagster.yaml")
OURS = ("code", "webserver", "daemon")


def test_every_path_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    sources = [word for rest in given("COPY") if "--from=" not in rest for word in rest.split()[:-1]]
    assert {"orchestration/deploy/requirements.lock", "pyproject.toml", "lake", "dbt_project"} <= set(sources)
    assert [] == [each for each in sources if not (TOP / each).exists()]
    sent = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    assert [] == [each for each in sources if each.split("/")[0] not in sent]
    assert [] == [each for each in sent if not (TOP / each).exists()]
    roots = {path.split("/")[0] for path in ("lake", "ingest", "orchestration", "dbt_project")}
    assert roots <= set(sources)


def test_secrets_and_history_are_not_sent_to_the_builder() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" == next(line for line in lines if not line.startswith("#"))
    assert {"orchestration/deploy/*.env", "orchestration/deploy/headwater.yml"} <= set(lines)


def test_the_image_installs_by_hash_from_no_named_index_and_runs_as_nobody_special() -> None:
    runs = given("RUN")
    installs = [part for run in runs for part in run.split("&&") if "pip install" in part]
    assert 2 == len(installs)
    for each in installs:
        assert "--require-hashes" in each or ("--no-deps" in each and "--no-index" in each)
        assert "index-url" not in each and "--no-cache-dir" in each
    assert 2 == len(given("FROM")) and "AS dependencies" in given("FROM")[0]
    assert [] == [rest for rest in given("FROM") if rest.split()[0].endswith(":latest")]
    assert [f"{USER}:{USER}"] == given("USER")
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in ("RUN", "COPY"))
    assert not {"ADD", "VOLUME", "MAINTAINER"} & set(names)
    assert not re.search(r"(?i)(password|token|secret_access)\w*=", " ".join(given("ENV") + given("ARG")))
    for run in runs:
        assert "sudo" not in run and "curl" not in run and "wget" not in run and "apt-get" not in run


def test_images_of_others_are_pinned_by_digest() -> None:
    images = [each["image"] for each in COMPOSE["services"].values() if "image" in each]
    foreign = [*given("ARG"), *(each for each in images if not each.startswith("headwater:"))]
    assert 3 == len(foreign)
    assert [] == [each for each in foreign if not re.search(r":[^@]+@sha256:[0-9a-f]{64}}?$", each)]


def test_the_bill_of_materials_has_every_package_with_hashes_and_licences() -> None:
    lock = TOP / "requirements.lock"
    bill = bill_of(lock.read_bytes())
    assert ("CycloneDX", "1.6", bill) == (bill["bomFormat"], bill["specVersion"], bill_of(lock.read_bytes()))
    held = {(each["name"], each["version"]) for each in bill["components"]}
    assert held == {(name, pin) for name, found in pins(lock).items() for pin in found}
    assert len(held) == len({each["bom-ref"] for each in bill["components"]})
    assert sum(len(each["hashes"]) for each in bill["components"]) <= lock.read_text().count("--hash=sha256:")
    for each in bill["components"]:
        assert all(re.fullmatch("[0-9a-f]{64}", found["content"]) for found in each["hashes"])
    unknown = [each["name"] for each in bill["components"] if "unknown" in str(each["licenses"])]
    assert len(unknown) < len(held) / 10, unknown
    with pytest.raises(ValueError, match="has no hash"):
        bill_of(b"left-pad==1.0\n")


def test_commands_of_the_image_are_lists() -> None:
    assert 1 == len(given("CMD")) == len(given("HEALTHCHECK"))
    for rest in (given("CMD")[0], given("HEALTHCHECK")[0].split("CMD", 1)[1]):
        assert all(isinstance(word, str) for word in json.loads(rest))


def pins(lock: Path) -> dict[str, set[str]]:
    """The versions of each package in a lock; some Pythons have another one than others."""
    found: dict[str, set[str]] = {}
    for name, pin in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(pin)
    return found


def test_the_lock_of_the_image_is_the_repositorys_with_nothing_for_development() -> None:
    image, all_of = pins(DEPLOY / "requirements.lock"), pins(TOP / "requirements.lock")
    text = (DEPLOY / "requirements.lock").read_text()
    assert {} == {name: pin for name, pin in image.items() if not pin <= all_of.get(name, pin)}
    assert {"dagster-postgres", "dagster-k8s", "dagster-aws", "psycopg2-binary", "boto3", "hatchling"} <= set(image)
    assert not {"pytest", "mypy", "ruff", "moto", "playwright", "hypothesis"} & set(image)
    assert {"duckdb-extension-httpfs", "duckdb-extension-iceberg", "duckdb-extension-avro"} <= set(image)
    assert "--index-url" not in text and text.count("--hash=sha256:") >= len(image)
    assert {name: {version(name)} for name in ("dagster", "duckdb")}.items() <= image.items()
    runtime = re.search(r"^dependencies = \[(.*?)^\]", (TOP / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert runtime
    named = re.findall(r'^\s+"([a-z0-9-]+)', runtime[1], re.MULTILINE)
    assert [] == [name for name in named if name not in image], "compile orchestration/deploy/requirements.lock again"


def test_compose_binds_to_this_machine_alone() -> None:
    ports = [port for each in COMPOSE["services"].values() for port in each.get("ports", [])]
    assert ["127.0.0.1:3000:3000"] == ports


def test_compose_keeps_secrets_in_a_file_that_is_not_committed() -> None:
    ignored = (TOP / ".gitignore").read_text().splitlines()
    assert "orchestration/deploy/headwater.env" in ignored and "orchestration/deploy/headwater.yml" in ignored
    example = (DEPLOY / "headwater.env.example").read_text()
    assert {""} == set(re.findall(r"^\w+=(.*)$", example, re.MULTILINE))
    for name in OURS:
        assert ["headwater.env"] == COMPOSE["services"][name]["env_file"]
    plain = {
        **{name: value for each in COMPOSE["services"].values() for name, value in each.get("environment", {}).items()}
    }
    secret = {name: value for name, value in plain.items() if re.search("PASSWORD|SECRET|TOKEN|KEY", name)}
    assert secret and all(str(value).startswith("${") for value in secret.values())


def test_compose_runs_our_containers_with_no_more_than_they_need() -> None:
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["read_only"] and ["ALL"] == service["cap_drop"]
        assert ["no-new-privileges:true"] == service["security_opt"]
        assert "privileged" not in service and "user" not in service
    assert ["store"] == COMPOSE["services"]["store"]["profiles"]


def test_compose_names_only_what_it_has() -> None:
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for condition in service.get("depends_on", {}).values():
            assert "service_healthy" == condition["condition"]
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            known = source in volumes or (DEPLOY / source).exists() or source == "./headwater.yml"
            assert known, f"{name}: {mount}"
        if "build" in service:
            assert TOP == (DEPLOY / service["build"]["context"]).resolve()
            assert (TOP / service["build"]["dockerfile"]).is_file()
    assert set(volumes) == {
        mount.split(":")[0]
        for service in services.values()
        for mount in service.get("volumes", [])
        if mount[0].isalpha()
    }
    for name in ("code", "webserver", "daemon", "postgres"):
        assert "healthcheck" in services[name] or name == "code"  # the image's own


def test_the_code_location_is_where_the_workspace_says() -> None:
    [server] = [each["grpc_server"] for each in read("workspace.yaml")["load_from"]]
    command = json.loads(given("CMD")[0])
    assert server["host"] in COMPOSE["services"] and "command" not in COMPOSE["services"][server["host"]]
    assert str(server["port"]) == command[command.index("-p") + 1] == given("EXPOSE")[0]
    assert str(server["port"]) in given("HEALTHCHECK")[0]


def test_what_the_instance_reads_from_the_environment_compose_gives() -> None:
    wanted = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text()))
    example = (DEPLOY / "headwater.env.example").read_text()
    for name in OURS:
        given_here = set(COMPOSE["services"][name]["environment"]) | set(re.findall(r"^(\w+)=", example, re.MULTILINE))
        assert wanted <= given_here


def test_what_is_written_lies_below_the_one_place_that_may_be_written() -> None:
    written = dict(re.findall(r"(\w+)=(/\S+)", given("ENV")[0]))
    for name in ("DAGSTER_HOME", "HEADWATER_SCRATCH", "DBT_LOG_PATH", "DBT_TARGET_PATH"):
        assert written[name].startswith("/var/lib/headwater/")
    assert "state:/var/lib/headwater" in COMPOSE["services"]["code"]["volumes"]
    assert INSTANCE["compute_logs"]["config"]["base_dir"].startswith("/var/lib/headwater/")
    assert HELM["global"]["dagsterHome"] == written["DAGSTER_HOME"]


@pytest.mark.parametrize("name", ["compose", "helm"])
def test_settings_are_given_by_names_that_exist(name: str) -> None:
    text = (DEPLOY / ("compose.yml" if name == "compose" else "helm-values.yaml")).read_text()
    named = set(re.findall(r"\bHEADWATER_([A-Z_]+)\b", text)) - {"CONFIG", "VERSION"}
    assert named and {each.split("__")[0].lower() for each in named} <= set(Settings.model_fields)


def test_helm_runs_the_image_everywhere_as_its_user_without_privileges() -> None:
    [code] = HELM["dagster-user-deployments"]["deployments"]
    parts = [HELM["dagsterWebserver"], HELM["dagsterDaemon"], code]
    assert 1 == len({json.dumps(each["image"]) for each in parts})
    for each in parts:
        assert "latest" != each["image"]["tag"] and (USER, True) == (
            each["podSecurityContext"]["runAsUser"],
            each["podSecurityContext"]["runAsNonRoot"],
        )
        assert {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}} == each["securityContext"]
        assert each["resources"]["requests"] and "memory" in each["resources"]["limits"]
    assert HELM["dagsterWebserver"]["service"]["port"] > 1024


def test_helm_gives_runs_what_they_need_and_the_code_locations_settings() -> None:
    [code] = HELM["dagster-user-deployments"]["deployments"]
    runs = HELM["runLauncher"]["config"]["k8sRunLauncher"]
    assert "K8sRunLauncher" == HELM["runLauncher"]["type"]
    assert runs["envVars"] == [f"{each['name']}={each['value']}" for each in code["env"]]
    assert (runs["volumes"], runs["volumeMounts"], runs["envSecrets"]) == (
        code["volumes"],
        code["volumeMounts"],
        code["envSecrets"],
    )
    mounts = {each["name"]: each["mountPath"] for each in runs["volumeMounts"]}
    assert set(mounts) == {each["name"] for each in runs["volumes"]}
    values = {each["name"]: each["value"] for each in code["env"]}
    assert values["HEADWATER_SCRATCH"] == mounts["work"]
    assert values["HEADWATER_CONFIG"].startswith(mounts["settings"] + "/")
    for bound in ("requests", "limits"):
        assert {"memory", "ephemeral-storage"} <= set(runs["resources"][bound])
    [work] = [each for each in runs["volumes"] if each["name"] == "work"]
    gib = [
        int(re.fullmatch(r"(\d+)Gi", text)[1])
        for text in (  # type: ignore[index]
            work["emptyDir"]["sizeLimit"],
            runs["resources"]["limits"]["ephemeral-storage"],
        )
    ]
    assert gib[0] < gib[1]
    pod = runs["runK8sConfig"]["podSpecConfig"]
    assert pod["serviceAccountName"] == HELM["dagster-user-deployments"]["serviceAccount"]["name"]
    command = json.loads(given("CMD")[0])
    assert code["dagsterApiGrpcArgs"] == command[command.index("-m") :]


def test_helm_holds_no_secret_and_needs_postgres_of_ones_own() -> None:
    text = (DEPLOY / "helm-values.yaml").read_text()
    assert not HELM["postgresql"]["enabled"] and "postgresqlPassword" not in text
    assert "headwater-postgres" == HELM["global"]["postgresqlSecretName"]
    assert HELM["generatePostgresqlPasswordSecret"] is False
    for annotated in (HELM["serviceAccount"], HELM["dagster-user-deployments"]["serviceAccount"]):
        assert annotated["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::111122223333:role/")
    assert version("dagster") in text


def test_both_instances_limit_what_runs_at_once_in_the_same_way() -> None:
    assert INSTANCE["concurrency"]["pools"] == HELM["additionalInstanceConfig"]["concurrency"]["pools"]
    assert {"default_limit": 1, "granularity": "run"} == INSTANCE["concurrency"]["pools"]
    assert INSTANCE["telemetry"] == HELM["telemetry"] == {"enabled": False}


def test_the_readme_names_every_file() -> None:
    readme = (DEPLOY / "README.md").read_text()
    files = [path.name for path in DEPLOY.iterdir() if path.is_file() and path.name not in ("README.md", "__init__.py")]
    assert [] == [name for name in files if f"`{name}`" not in readme]
