"""`surefoot doctor` and `surefoot db`: whether this machine is in order, and what to do where it is not."""

import hashlib
import json
import sqlite3
from typing import Any

import pytest

from surefoot.models.providers.weights import SHA256

from .conftest import Shell


def signs(shell: Shell) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    said = shell.here("doctor", "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for one in said.json["signs"]:
        found.setdefault(one["about"], []).append(one)
    assert said.json["ok"] == (said.code == 0)
    return said.code, found


def test_a_fresh_folder_is_in_order(shell: Shell) -> None:
    code, found = signs(shell)
    assert code == 0
    assert {"python", "packages", "store", "disk", "embedded", "openai", "anthropic", "clock"} <= found.keys()
    assert found["store"][0]["level"] == "note"
    assert not (shell.folder / ".surefoot").exists(), "looking makes nothing"


def test_a_used_store_is_in_order(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "small.json")
    code, found = signs(shell)
    assert code == 0
    assert found["store"][0]["level"] == "ok"
    assert "schema" in found["store"][0]["what"]
    assert found["keys"][0]["level"] == "ok"


def test_a_key_file_that_others_may_read_is_wrong(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "small.json")
    (shell.folder / ".surefoot" / "keys.json").chmod(0o644)
    code, found = signs(shell)
    assert code == 1
    assert found["keys"][0]["level"] == "wrong"
    assert "chmod 600" in found["keys"][0]["remedy"]


def test_a_lost_key_file_is_wrong(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "small.json")
    (shell.folder / ".surefoot" / "keys.json").unlink()
    code, found = signs(shell)
    assert (code, found["keys"][0]["level"]) == (1, "wrong")
    assert not (shell.folder / ".surefoot" / "keys.json").exists()


def test_keys_of_providers_are_told_as_set_and_never_shown(shell: Shell) -> None:
    shell.setenv("OPENAI_API_KEY", "sk-this-is-a-secret")
    said = shell.here("doctor")
    assert "OPENAI_API_KEY is set" in said.out
    assert "sk-this" not in said.out


def test_a_newer_schema_is_wrong(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "small.json")
    database = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    code, found = signs(shell)
    assert (code, found["store"][0]["level"]) == (1, "wrong")
    said = shell.here("db", "upgrade", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "store_version")


def test_a_setting_that_cannot_be_used_is_wrong(shell: Shell) -> None:
    shell.setenv("SUREFOOT_LEASE", "soon")
    code, found = signs(shell)
    assert (code, found["settings"][0]["level"]) == (1, "wrong")


def test_upgrade_makes_the_store_and_says_so_again(shell: Shell) -> None:
    first = shell.here("db", "upgrade", "--json").json
    assert first["before"] == 0
    assert first["after"] >= 1
    assert (shell.folder / ".surefoot" / "state.db").exists()
    again = shell.here("db", "upgrade", "--json").json
    assert again["before"] == again["after"] == first["after"]
    assert "newest" in shell.here("db", "upgrade").out


@pytest.mark.live_embedded
def test_an_adapter_that_is_not_what_it_says_is_wrong(shell: Shell) -> None:
    place = shell.folder / "desk" / "adapter"
    place.mkdir(parents=True)
    (place / "one.gguf").write_bytes(b"GGUF")
    right = hashlib.sha256(b"GGUF").hexdigest()
    for sha256, level in ((right, "ok"), ("0" * 64, "wrong")):
        manifest = {"file": "one.gguf", "sha256": sha256, "weights": SHA256, "outputs": ["Triage"]}
        (place / "adapter.json").write_text(json.dumps(manifest))
        code, found = signs(shell)
        assert (code, found["adapter"][0]["level"]) == (int(level == "wrong"), level)
        assert "desk/adapter" in found["adapter"][0]["what"]
