"""`surefoot keys`: rotation as somebody does it at a terminal."""

import base64
import json
import os

from .conftest import Shell


def start(shell: Shell, key: str) -> str:
    said = shell.here("run", "till:till", "--input", "small.json", "--key", key, "--json")
    run = said.json["run"]
    assert isinstance(run, str)
    return run


def listed(shell: Shell) -> list[tuple[str, bool, int]]:
    lines = shell.here("keys", "list", "--json").lines
    return [(one["key"], one["is_current"], one["runs"]) for one in lines]


def test_a_key_is_rotated_and_the_old_one_retired(shell: Shell) -> None:
    runs = [start(shell, "one"), start(shell, "two")]
    ((old, is_current, count),) = listed(shell)
    assert (is_current, count) == (True, 2)
    path = shell.folder / ".surefoot" / "keys.json"
    before = json.loads(path.read_text())
    said = shell.here("keys", "rotate", "--json")
    assert said.code == 0
    assert (said.json["is_new"], said.json["runs"], said.json["retirable"]) == (True, 2, [old])
    new = said.json["key"]
    assert listed(shell) == [(old, False, 0), (new, True, 2)]
    assert shell.here("keys", "retire", new).code == 1
    assert shell.here("keys", "retire", old).code == 0
    assert listed(shell) == [(new, True, 2)]
    after = json.loads(path.read_text())
    assert before["keys"][0]["key"] not in path.read_text()
    assert before["digest"] == after["digest"]
    assert path.stat().st_mode & 0o777 == 0o600
    for run in runs:
        said = shell.here("runs", "show", run, "--reveal", "--by", "kim", "--json")
        assert said.json["revealed"]["input"]["buyer"] == "ann@post.example"
    assert shell.here("audit", "verify").code == 0
    assert start(shell, "one") == runs[0], "a key is found again, and its input compared"
    assert len(shell.paid()) == 2


def test_the_key_that_a_thief_has_opens_nothing(shell: Shell) -> None:
    run = start(shell, "one")
    path = shell.folder / ".surefoot" / "keys.json"
    stolen = path.read_text()
    ((old, _, _),) = listed(shell)
    shell.here("keys", "rotate")
    shell.here("keys", "retire", old)
    path.write_text(stolen)
    said = shell.here("runs", "show", run, "--reveal", "--by", "thief")
    assert said.code == 1
    assert "ann@post.example" not in said.out + said.err
    assert shell.here("audit", "verify").code == 1


def test_a_worker_under_way_is_not_disturbed(shell: Shell) -> None:
    """It holds the old ring in memory, and ends its run under the new one."""
    shell.write("slow.json", {"item": "a lamp", "amount": "20", "mode": "slow"})
    process = shell.start("run", "till:till", "--input", "slow.json", "--key", "slow", "--json")
    try:
        while not (shell.folder / ".surefoot" / "state.db").exists() or not listed(shell):
            assert process.poll() is None
        ((old, _, _),) = listed(shell)
        assert shell.here("keys", "rotate").code == 0
        (shell.folder / "hurry.txt").touch()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert json.loads(out)["status"] == "succeeded"
    assert shell.here("keys", "retire", old).code == 0
    assert shell.here("audit", "verify").code == 0


def test_a_ring_from_the_environment_tells_what_to_put_there(shell: Shell) -> None:
    first = base64.b64encode(os.urandom(32)).decode()
    shell.setenv("SUREFOOT_MASTER_KEY", first)
    run = start(shell, "one")
    ((old, _, _),) = listed(shell)
    said = shell.here("keys", "rotate")
    assert said.code == 0
    name, _, value = said.out.strip().partition("=")
    assert name == "SUREFOOT_MASTER_KEY"
    assert "Nothing has changed yet" in said.err
    assert listed(shell) == [(old, True, 1)]
    shell.setenv("SUREFOOT_MASTER_KEY", value)
    said = shell.here("keys", "rotate", "--json")
    assert said.code == 0, said
    assert (said.json["runs"], said.json["retirable"], said.json["variable"]) == (1, [old], None)
    said = shell.here("keys", "retire", old)
    left = said.out.strip().partition("=")[2]
    assert first not in left
    shell.setenv("SUREFOOT_MASTER_KEY", left)
    assert shell.here("audit", "verify").code == 0
    assert start(shell, "one") == run
    shell.setenv("SUREFOOT_MASTER_KEY", first)
    said = shell.here("run", "till:till", "--input", "small.json", "--key", "two")
    assert said.code == 1
    assert "retired" in said.err
