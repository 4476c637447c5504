"""What is in deploy/ as far as a machine without a container engine can tell: its files parse, what they name
exists, the commands in them are ours, and they leave a process the time that its drain takes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from surefoot.cli import root
from surefoot.settings import SETTINGS, gather

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DRAIN = next(one.default for one in SETTINGS if one.name == "drain")


def is_command(words: list[str]) -> bool:
    """Whether `surefoot` takes these words; nothing of it is run."""
    command: click.Command | None = root
    words = list(words)
    context = click.Context(root, info_name="surefoot")
    while isinstance(command, click.Group) and words:
        context = click.Context(command, parent=context)
        command = command.get_command(context, words.pop(0))
    if command is None:
        return False
    options = {name for one in command.get_params(context) for name in one.opts}
    return all(word in options for word in words if word.startswith("--"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    """Every line of the unit by its name."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "surefoot.service").read_text("utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def instructions() -> list[list[str]]:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1) for line in lines if line.strip()]


def test_a_command_that_is_not_ours_is_found_out() -> None:
    assert not is_command(["serve", "--no-workers"])
    assert not is_command(["serf"])


# ── the image ──


def test_the_image_is_made_of_locked_packages_and_runs_as_nobody() -> None:
    found = instructions()
    stages = [index for index, (word, _) in enumerate(found) if word == "FROM"]
    assert len(stages) == 2
    last = dict(found[stages[1] :])
    assert last["USER"] == "10001:10001"
    assert "healthz" in last["HEALTHCHECK"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert is_command(yaml.safe_load(last["CMD"]))
    installs = [line for word, line in found if word == "RUN" and "pip install" in line]
    for part in " && ".join(installs).split("&&"):
        if "pip install" in part:
            assert "--require-hashes" in part or "--no-index" in part, part


def test_what_the_image_is_made_of_exists_and_is_let_through(tmp_path: Path) -> None:
    let_through = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for word, line in instructions():
        if word != "COPY" or "--from" in line:
            continue
        *sources, _ = [part for part in line.split() if not part.startswith("--")]
        for source in sources:
            source = source.replace("${PROJECT}", "examples/support_desk")
            assert (ROOT / source).exists(), source
            parts = Path(source).parts
            assert any(f"!{'/'.join(parts[:n])}" in let_through for n in range(1, len(parts) + 1)), source


@pytest.mark.slow
def test_the_package_is_built_from_what_the_image_copies(tmp_path: Path) -> None:
    for word, line in instructions():
        if word == "COPY" and "--" not in line and "PROJECT" not in line:
            *sources, _ = line.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, tmp_path / source)
                else:
                    (tmp_path / source).parent.mkdir(exist_ok=True)
                    shutil.copy(ROOT / source, tmp_path / source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path / "made", tmp_path], check=True, capture_output=True)
    (wheel,) = (tmp_path / "made").iterdir()
    assert wheel.name.startswith("surefoot-")


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_secrets_become_variables_and_nothing_else_does(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "OPENAI_API_KEY").write_text("sk-it's a $secret\n")
    (secrets / "not-a-variable").write_text("no")
    fake = tmp_path / "surefoot"
    fake.write_text('#!/bin/sh\nprintf "%s|%s" "$OPENAI_API_KEY" "$*"\n')
    fake.chmod(0o755)
    assert (DEPLOY / "entrypoint").stat().st_mode & stat.S_IXUSR
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SECRETS": str(secrets)}
    words = [str(DEPLOY / "entrypoint"), "serve", "--port", "0"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "sk-it's a $secret|serve --port 0"
    env["SECRETS"] = str(tmp_path / "none")
    assert subprocess.run(words, env=env, capture_output=True, check=True).returncode == 0


# ── compose ──


def test_every_process_of_the_compose_file_is_one_of_ours_and_may_do_little(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "--no-worker" in services["api"]["command"]
    assert services["worker"]["deploy"]["replicas"] == 2
    for name, service in services.items():
        assert is_command(service["command"]), name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "/tmp" in service["tmpfs"]
        assert {mount.split(":")[0] for mount in service["volumes"]} <= compose["volumes"].keys()
        assert set(service["secrets"]) <= compose["secrets"].keys()
        assert seconds(service["stop_grace_period"]) > float(service["environment"]["SUREFOOT_DRAIN"])
        assert gather({}, service["environment"], ROOT / "docs").unknown == ()
    for port in services["api"]["ports"]:
        assert port.startswith("127.0.0.1:"), "what speaks no TLS is for this machine"


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


# ── systemd ──


def test_the_unit_leaves_the_time_that_a_drain_takes_and_knows_our_settings(
    unit: dict[str, list[str]],
) -> None:
    environment = dict(value.split("=", 1) for value in unit["Environment"])
    assert float(unit["TimeoutStopSec"][0]) > float(environment["SUREFOOT_DRAIN"]) >= DRAIN
    assert gather({}, environment, ROOT / "docs").unknown == ()
    program, *words = shlex.split(unit["ExecStart"][0])
    assert Path(program).name == "surefoot"
    assert is_command(words)
    assert unit["User"] != ["root"]
    assert environment["SUREFOOT_STORE"].startswith("sqlite:////var/lib/" + unit["StateDirectory"][0])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd on this machine")
def test_systemd_understands_the_unit_and_finds_little_to_attack(tmp_path: Path) -> None:
    text = (DEPLOY / "surefoot.service").read_text("utf-8")
    program = tmp_path / "surefoot"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "surefoot.service"
    unit.write_text(text.replace("/opt/surefoot/bin/surefoot", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "surefoot.service" in line]
    assert said == [], done.stderr
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit]
    looked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stdout[-300:]
