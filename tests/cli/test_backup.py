"""`surefoot backup` and `surefoot restore`: what comes back is whole, and does nothing before a person says so."""

import json
import os
import shutil
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from .conftest import Said, Shell

STORE = Path(".surefoot") / "state.db"


def bought(shell: Shell, source: str, *more: str) -> str:
    said = shell.here("run", "till:till", "--input", source, "-q", "--json", *more)
    return str(said.json["run"])


def lose(shell: Shell, name: str = "lost") -> None:
    (shell.folder / ".surefoot").rename(shell.folder / name)


def restored(shell: Shell, *more: str) -> Said:
    said = shell.here("restore", "kept", "--by", "kim", *more)
    assert said.code == 0, said
    return said


def statuses(shell: Shell) -> dict[str, str]:
    return {row["run"]: row["status"] for row in shell.here("runs", "list", "--json").lines}


def items(shell: Shell) -> dict[str, str]:
    """Open items by kind."""
    return {row["kind"]: row["item"] for row in shell.here("inbox", "list", "--json").lines}


# ── making one ──


def test_a_backup_is_the_store_and_its_keys_without_free_pages_for_its_user_alone(shell: Shell) -> None:
    for _ in range(5):
        bought(shell, "small.json")
    connection = sqlite3.connect(STORE)
    connection.execute("CREATE TABLE gone (x)")
    connection.execute("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000)"
                       " INSERT INTO gone SELECT randomblob(400) FROM n")  # fmt: skip
    connection.execute("DROP TABLE gone")
    connection.commit()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    connection.close()
    assert free > 100
    made = shell.here("backup", "kept", "--json").json
    assert (made["runs"], made["unended"], made["keys"]) == (5, 0, "file")
    assert {file.name for file in Path("kept").iterdir()} == {"state.db", "keys.json", "manifest.json"}
    for file in [Path("kept"), *Path("kept").iterdir()]:
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    copy = sqlite3.connect("kept/state.db")
    assert copy.execute("PRAGMA freelist_count").fetchone() == (0,)
    copy.close()


def test_a_backup_overwrites_nothing(shell: Shell) -> None:
    bought(shell, "small.json")
    assert shell.here("backup", "kept").code == 0
    before = Path("kept/manifest.json").read_bytes()
    again = shell.here("backup", "kept", "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "usage")
    assert Path("kept/manifest.json").read_bytes() == before


def test_without_a_store_there_is_no_backup_and_nothing_is_made(shell: Shell) -> None:
    assert shell.here("backup", "kept").code == 1
    assert shell.here("backup", "kept", "--store", "memory:").code == 2
    assert not Path("kept").exists()
    assert not STORE.exists()


def test_backups_that_are_made_while_a_worker_goes_on_are_each_whole(shell: Shell) -> None:
    for _ in range(40):
        bought(shell, "small.json", "--no-wait")
    worker = shell.start("worker", "till:till", "--json")
    assert worker.stdout is not None
    worker.stdout.readline()
    folders = [f"kept-{number}" for number in range(3)]
    for number, folder in enumerate(folders, 1):
        while len(shell.paid()) < 3 * number and worker.poll() is None:
            time.sleep(0.01)
        assert shell.here("backup", folder).code == 0
    worker.terminate()
    worker.communicate(timeout=30)
    for number, folder in enumerate(folders):
        store = f"sqlite:///back-{number}/state.db"
        assert shell.here("restore", folder, "--store", store).code == 0
        verified = shell.here("audit", "verify", "--store", store)
        assert verified.code == 0, verified


# ── putting it back ──


def test_what_comes_back_is_what_was_and_it_verifies(shell: Shell) -> None:
    run = bought(shell, "small.json", "--key", "k")
    shown = shell.here("runs", "show", run, "--json").json
    shell.here("backup", "kept")
    lose(shell)
    said = restored(shell, "--json").json
    assert (said["runs"], said["begun"], said["new"]) == (1, 0, 0)
    assert shell.here("audit", "verify").code == 0
    assert shell.here("runs", "show", run, "--json").json == shown
    again = shell.here("run", "till:till", "--key", "k", "-q", "--json").json
    assert (again["run"], again["output"]["text"]) == (run, "paid 20 for lamp")
    assert len(shell.paid()) == 1
    assert not list(Path(".surefoot").glob("*.restoring*"))


def test_a_key_that_was_retired_since_is_in_the_backup_that_needs_it(shell: Shell) -> None:
    bought(shell, "small.json")
    (old,) = (row["key"] for row in shell.here("keys", "list", "--json").lines)
    shell.here("backup", "kept")
    assert shell.here("keys", "rotate").code == 0
    shell.here("backup", "kept-later")
    assert shell.here("keys", "retire", old).code == 0
    lose(shell)
    for folder in ("kept", "kept-later"):
        store = f"sqlite:///back-{folder}/state.db"
        assert shell.here("restore", folder, "--store", store).code == 0
        assert shell.here("audit", "verify", "--store", store).code == 0


def test_a_run_that_was_begun_goes_on_only_when_a_person_has_said_so(shell: Shell) -> None:
    run = bought(shell, "large.json")  # it waits for the leads
    shell.here("backup", "kept")
    shell.here("inbox", "decide", items(shell)["approval"], "approve", "--by", "ann")
    shell.here("work", "till:till", "-q")
    assert len(shell.paid()) == 1
    lose(shell)
    assert restored(shell, "--json").json["begun"] == 1
    # The approval is open again, and somebody gives it: that alone pays nothing.
    shell.here("inbox", "decide", items(shell)["approval"], "approve", "--by", "ann")
    shell.here("work", "till:till", "-q")
    assert statuses(shell) == {run: "waiting"}
    assert len(shell.paid()) == 1
    review = shell.here("inbox", "show", items(shell)["review"]).out
    assert "what this run did since is not in its journal" in review
    shell.here("inbox", "decide", items(shell)["review"], "approve", "--by", "kim")
    shell.here("work", "till:till", "-q")
    assert statuses(shell) == {run: "succeeded"}
    assert len(shell.paid()) == 1, "the call has its key of before, and the other side knows it"
    assert shell.here("audit", "verify").code == 0


def test_a_run_whose_work_was_done_is_ended_by_a_person_without_doing_it_again(shell: Shell) -> None:
    run = bought(shell, "large.json")
    shell.here("backup", "kept")
    lose(shell)
    restored(shell)
    shell.here("work", "till:till", "-q")
    shell.here("inbox", "decide", items(shell)["review"], "deny", "--by", "kim", "--reason", "it was paid")
    shell.here("work", "till:till", "-q")
    error = shell.here("runs", "show", run, "--json").json["error"]
    assert (error["code"], error["why"]) == ("put_back", "it was paid")
    assert shell.paid() == []


def test_new_runs_wait_until_the_intake_is_resumed(shell: Shell) -> None:
    old = bought(shell, "small.json", "--no-wait")
    shell.here("backup", "kept")
    shell.here("work", "till:till", "-q")
    lose(shell)
    assert restored(shell, "--json").json["new"] == 1
    later = bought(shell, "small.json", "--no-wait")
    shell.here("work", "till:till", "-q")
    assert statuses(shell) == {old: "queued", later: "queued"}
    shown = shell.here("intake", "show", "--json").json["intakes"][0]
    assert (shown["state"], shown["by"]) == ("paused", "kim")
    shell.here("intake", "resume", "till:till", "--by", "kim")
    shell.here("work", "till:till", "-q")
    assert statuses(shell) == {old: "succeeded", later: "succeeded"}


def test_a_run_that_was_to_be_retried_or_had_mail_waits_as_well(shell: Shell) -> None:
    shell.write("bad.json", {"item": "a lamp", "amount": "20", "mode": "fail"})
    run = bought(shell, "bad.json")
    assert shell.here("runs", "retry", run, "--by", "ann").code == 0
    shell.here("backup", "kept")
    lose(shell)
    restored(shell)
    shell.here("work", "till:till", "-q")
    assert statuses(shell) == {run: "waiting"}
    assert set(items(shell)) == {"review"}


# ── what is refused ──


def test_a_store_is_never_overwritten(shell: Shell) -> None:
    bought(shell, "small.json")
    shell.here("backup", "kept")
    before = STORE.read_bytes()
    refused = shell.here("restore", "kept", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "usage")
    assert STORE.read_bytes() == before


def test_nothing_is_put_where_a_worker_lives_though_its_file_is_gone(shell: Shell) -> None:
    bought(shell, "small.json")
    shell.here("backup", "kept")
    worker = shell.start("worker", "till:till", "--json")
    assert worker.stdout is not None
    worker.stdout.readline()
    for file in Path(".surefoot").glob("state.db*"):
        if file.is_file():
            file.unlink()
    refused = shell.here("restore", "kept")
    worker.kill()
    worker.communicate(timeout=30)
    assert refused.code == 2
    assert "somebody works on the store" in refused.err
    assert shell.here("restore", "kept").code == 0


@pytest.mark.parametrize("name", ["state.db", "keys.json", "manifest.json"])
def test_a_damaged_backup_is_refused_and_leaves_no_store(shell: Shell, name: str) -> None:
    bought(shell, "small.json")
    shell.here("backup", "kept")
    content = bytearray(Path("kept", name).read_bytes())
    content[len(content) // 2] ^= 1
    Path("kept", name).write_bytes(content)
    lose(shell)
    refused = shell.here("restore", "kept", "--json")
    assert refused.code != 0
    assert refused.json["error"]["code"] in ("usage", "key_unavailable")
    assert not STORE.exists()


def test_another_key_ring_is_not_overwritten_and_opens_nothing(shell: Shell) -> None:
    bought(shell, "small.json")
    shell.here("backup", "kept")
    lose(shell)
    bought(shell, "small.json", "--store", "sqlite:///.surefoot/other.db")
    keys = Path(".surefoot/keys.json").read_bytes()
    refused = shell.here("restore", "kept", "--json")
    assert refused.json["error"]["code"] == "key_unavailable"
    assert Path(".surefoot/keys.json").read_bytes() == keys
    assert not STORE.exists()


def test_a_ring_of_the_environment_is_not_in_the_backup_and_is_asked_for(shell: Shell) -> None:
    ring = "A" * 43 + "="
    shell.setenv("SUREFOOT_MASTER_KEY", ring)
    bought(shell, "small.json")
    assert shell.here("backup", "kept", "--json").json["keys"] == "environment"
    assert not Path("kept/keys.json").exists()
    lose(shell)
    shell.setenv("SUREFOOT_MASTER_KEY", "")
    assert shell.here("restore", "kept", "--json").json["error"]["code"] == "key_unavailable"
    shell.setenv("SUREFOOT_MASTER_KEY", "B" * 43 + "=")
    assert shell.here("restore", "kept", "--json").json["error"]["code"] == "key_unavailable"
    assert not list(Path(".surefoot").glob("state.db*")), "not even a draft"
    shell.setenv("SUREFOOT_MASTER_KEY", ring)
    restored(shell)
    assert shell.here("audit", "verify").code == 0


def test_a_restore_that_was_cut_off_is_begun_again(shell: Shell) -> None:
    run = bought(shell, "large.json")
    shell.here("backup", "kept")
    lose(shell)
    Path(".surefoot").mkdir()
    shutil.copy("kept/state.db", ".surefoot/state.db.restoring")
    shutil.copy("kept/keys.json", ".surefoot/keys.json")
    assert shell.here("runs", "list").code == 1, "there is no store yet"
    restored(shell)
    assert statuses(shell) == {run: "waiting"}


def test_a_backup_of_a_newer_surefoot_is_refused(shell: Shell) -> None:
    bought(shell, "small.json")
    shell.here("backup", "kept")
    said = json.loads(Path("kept/manifest.json").read_text())
    Path("kept/manifest.json").write_text(json.dumps({**said, "schema": 9999}))
    os.rename(".surefoot", "lost")
    assert shell.here("restore", "kept").code == 2
