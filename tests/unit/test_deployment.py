"""Dockerfile, compose file and systemd units, held against pyproject.toml, the settings and each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
UNITS = ROOT / "service" / "deploy"
SERVICES = ("citewell.service", "citewell-build.service")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each stage by its name, FROM first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found[rest.split(" AS ")[1]] = []
        if found:
            found[list(found)[-1]].append((word, rest))
    return found


def unit(name: str) -> dict[str, list[str]]:
    """Return the values of each key of a systemd unit."""
    values: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text("utf-8").splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith(("#", "[")):
            values.setdefault(key, []).append(value)
    return values


def test_serving_set_is_part_of_the_dependencies() -> None:
    """This ensures that a version is changed in both lists, so that both images answer alike."""
    assert set(PYPROJECT["dependency-groups"]["serve"]) <= set(PYPROJECT["project"]["dependencies"])


@pytest.mark.parametrize("library", ["torch", "sentence-transformers", "onnx", "pypdf", "lxml", "mammoth"])
def test_serving_set_leaves_out_what_builds(library: str) -> None:
    """This ensures that the serving image can neither embed documents nor parse them."""
    assert not [entry for entry in PYPROJECT["dependency-groups"]["serve"] if re.match(rf"{library}\b(?!-)", entry)]


def test_torch_is_the_same_everywhere() -> None:
    """This ensures that image, Makefile and package name one version of torch."""
    (pinned,) = [entry for entry in PYPROJECT["project"]["dependencies"] if entry.startswith("torch==")]

    assert f" {pinned} " in DOCKERFILE
    assert f" {pinned} " in (ROOT / "Makefile").read_text("utf-8")


def test_base_image_is_pinned_to_a_release() -> None:
    """This ensures that an image is built on what was tried: a release down to its patch, named in one place."""
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    (default,) = [rest for word, rest in instructions() if word == "ARG" and rest.startswith("PYTHON_IMAGE=")]

    assert set(bases) <= {"${PYTHON_IMAGE}", *stages()}
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+", default)


@pytest.mark.parametrize("name", ["serve", "build"])
def test_images_run_as_somebody_who_owns_nothing(name: str) -> None:
    """This ensures that both images have a numeric user other than root, and no shell between signal and process."""
    stage = dict(stages()[name])

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", stage["USER"])
    assert json.loads(stage["ENTRYPOINT"]) == ["citewell"]
    assert json.loads(stage["CMD"]) == [name]


def test_serving_image_is_the_default_and_installs_the_serving_set() -> None:
    """This ensures that `docker build .` gives the image without torch."""
    assert list(stages())[-1] == "serve"
    assert ("COPY", "--from=serve-packages /opt/citewell /opt/citewell") in stages()["serve"]
    installed = [rest for word, rest in stages()["serve-packages"] if word == "RUN"]
    assert ["--group serve" in installed[0], "--no-deps" in installed[1]] == [True, True]


def test_what_is_copied_is_there_and_is_sent() -> None:
    """This ensures that no step of the Dockerfile needs a file that is missing or ignored."""
    sources = {
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {f"!{source}" for source in sources} == {line for line in ignored if line.startswith("!")}


def test_variables_are_settings() -> None:
    """This ensures that no image and no unit sets what does not exist, which would keep the service from starting."""
    text = DOCKERFILE + "".join(path.read_text("utf-8") for path in UNITS.iterdir())

    named = set(re.findall(rf"{ENV_PREFIX}(\w+)=", text))

    assert {name.lower() for name in named} <= set(Settings.model_fields)
    assert {"INDEX_DIR", "CORPUS", "LEXICON", "NOTICES"} <= named


@pytest.mark.parametrize("name", ["serve", "build"])
def test_containers_are_hardened(name: str) -> None:
    """This ensures that nothing but the index can be written, no privilege gained, and no core file left."""
    service = COMPOSE["services"][name]

    assert service["build"]["target"] == name
    assert name in stages()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    assert all("noexec" in mount for mount in service["tmpfs"])
    written = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert written == (["index:/index"] if name == "build" else [])


def test_containers_reach_nothing() -> None:
    """This ensures that building has no network, and that serving is published to this machine alone."""
    services = COMPOSE["services"]

    assert services["build"]["network_mode"] == "none"
    assert all(port.startswith("127.0.0.1:") for port in services["serve"]["ports"])
    masquerade = COMPOSE["networks"]["inward"]["driver_opts"]["com.docker.network.bridge.enable_ip_masquerade"]
    assert masquerade == "false"


def test_stopping_waits_for_requests() -> None:
    """This ensures that the service is given longer to end than it gives to requests under way."""
    settings = Settings()
    # Beyond the two: a second each for silent connections and for errors, five for a snapshot that is just being
    # opened, three for a build that has to end.
    needed_s = settings.drain_s + settings.request_timeout_s + 10

    assert float(COMPOSE["services"]["serve"]["stop_grace_period"].removesuffix("s")) > needed_s
    assert float(unit("citewell.service")["TimeoutStopSec"][0]) > needed_s


def test_several_workers_have_a_folder_for_their_figures() -> None:
    """This ensures that what TMPDIR is by default can be written where the root file system can't."""
    serve = COMPOSE["services"]["serve"]

    assert "--workers" in serve["command"]
    assert any(mount.startswith("/tmp:rw") for mount in serve["tmpfs"])
    assert unit("citewell.service")["PrivateTmp"] == ["yes"]


def test_units_are_one_user_with_one_index() -> None:
    """This ensures that what the build unit writes is what the serving unit reads."""
    serving, building = (unit(name) for name in SERVICES)

    for key in ("User", "DynamicUser", "StateDirectory", "ConfigurationDirectory", "WorkingDirectory"):
        assert serving[key] == building[key]
    assert {v for v in building["Environment"] if "INDEX_DIR" in v} <= set(serving["Environment"])


def needs_systemd() -> str:
    """Return the path of systemd-analyze; without it the test is left out and says so."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed: the units are not checked here")
    return found


def run(*command: str) -> Any:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_units_are_valid(tmp_path: Path) -> None:
    """This ensures that systemd understands every line of the units."""
    analyze = needs_systemd()
    for path in UNITS.iterdir():
        text = path.read_text("utf-8").replace("/opt/citewell/bin/citewell", "/bin/true")
        (tmp_path / path.name).write_text(text)

    done = run(analyze, "verify", "--man=no", *(str(path) for path in sorted(tmp_path.iterdir())))

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("name", "most"), [("citewell.service", 1.2), ("citewell-build.service", 0.6)])
def test_units_stay_hardened(name: str, most: float) -> None:
    """This ensures that systemd's own measure of exposure, 0 to 10, never grows unnoticed."""
    analyze = needs_systemd()

    done = run(analyze, "security", "--offline=true", "--no-pager", str(UNITS / name))

    (exposure,) = re.findall(r"Overall exposure level for .*?: ([\d.]+)", done.stdout)
    assert float(exposure) <= most
