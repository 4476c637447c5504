"""`surefoot audit`: of the store, and of a file that has left the house."""

import json
import shutil
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from surefoot.state.export import check_file
from surefoot.state.sealing import Keyring

from .conftest import Shell

MAIL = "ann@post.example"


@pytest.fixture
def export(shell: Shell) -> Path:
    for name, key in (("small.json", f"{MAIL}-1"), ("small.json", "two"), ("large.json", "three")):
        shell.here("run", "till:till", "--input", name, "--key", key)
    said = shell.here("audit", "export", "--output", "audit.jsonl")
    assert said.code == 0, said
    return shell.folder / "audit.jsonl"


def ring(shell: Shell) -> Keyring:
    return Keyring.load(shell.folder / ".surefoot" / "keys.json")


def test_a_store_is_verified_and_a_change_in_it_found(shell: Shell, export: Path) -> None:
    said = shell.here("audit", "verify", "--json")
    assert (said.code, said.json["ok"], said.json["runs"]) == (0, True, 3)
    connection = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    connection.execute("UPDATE runs SET status = 'failed' WHERE row = 1")
    connection.execute("UPDATE items SET decided_by = 'mallory', status = 'decided', decision = 'approve'")
    connection.commit()
    connection.close()
    said = shell.here("audit", "verify", "--json")
    assert said.code == 1
    assert {one["problem"] for one in said.json["findings"]} == {"index", "item"}


def test_an_export_holds_no_exact_value_and_can_be_verified_elsewhere(
    shell: Shell, export: Path, tmp_path: Path
) -> None:
    text = export.read_text()
    assert MAIL not in text
    events = [line for line in map(json.loads, text.splitlines()) if line["type"] == "event"]
    assert any(line["sealed"] for line in events)
    assert all(line["sealed"] is None or len(line["sealed"]) == 64 for line in events)
    assert shell.here("audit", "verify", "--file", str(export), "--json").json["signed"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(export, elsewhere)
    shell._monkeypatch.chdir(elsewhere)
    said = shell.here("audit", "verify", "--file", "audit.jsonl", "--json")
    assert (said.code, said.json["ok"], said.json["signed"], said.json["unchecked"]) == (0, True, False, 0)
    assert "signatures were not checked" in said.err
    keys = tmp_path / ".surefoot" / "keys.json"
    said = shell.here("audit", "verify", "--file", "audit.jsonl", "--keys", str(keys), "--json")
    assert (said.code, said.json["signed"]) == (0, True)


def put_back(shell: Shell, copy: Path) -> None:
    """As whoever has a copy of the database would: its write-ahead log is not there any more."""
    place = shell.folder / ".surefoot" / "state.db"
    for file in place.parent.glob("state.db-*"):
        if file.is_file():
            file.unlink()
    shutil.copy(copy, place)


def copied(shell: Shell) -> Path:
    copy = shell.folder / "copy.db"
    source = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    with sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    return copy


def test_an_old_copy_put_back_is_found_against_an_export(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "large.json", "--key", "one")
    copy = copied(shell)
    (item,) = shell.here("inbox", "list", "--json").lines
    shell.here("inbox", "decide", item["item"], "deny", "--by", "kim")
    shell.here("work", "till:till", "--until-idle")
    shell.here("run", "till:till", "--input", "small.json", "--key", "two")
    shell.here("audit", "export", "--output", "audit.jsonl")
    assert shell.here("audit", "verify", "--against", "audit.jsonl").code == 0
    put_back(shell, copy)
    assert shell.here("audit", "verify").code == 0, "whole in itself"
    said = shell.here("audit", "verify", "--against", "audit.jsonl", "--json")
    assert said.code == 1
    assert sorted(one["problem"] for one in said.json["findings"]) == ["cut_off", "no_run"]
    said = shell.here("audit", "verify", item["run"], "--against", "audit.jsonl", "--json")
    assert [one["problem"] for one in said.json["findings"]] == ["cut_off"]


def test_a_journal_that_went_on_in_another_way_is_found_against_an_export(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "large.json", "--key", "one")
    copy = copied(shell)
    (item,) = shell.here("inbox", "list", "--json").lines
    for decision in ("deny", "approve"):
        shell.here("inbox", "decide", item["item"], decision, "--by", "kim")
        shell.here("work", "till:till", "--until-idle")
        if decision == "deny":
            shell.here("audit", "export", "--output", "audit.jsonl")
            put_back(shell, copy)
    assert shell.here("audit", "verify").code == 0
    said = shell.here("audit", "verify", "--against", "audit.jsonl", "--json")
    assert [one["problem"] for one in said.json["findings"]] == ["changed"]


def test_a_forgotten_run_that_was_put_back_is_found_against_an_export(shell: Shell, export: Path) -> None:
    copy = copied(shell)
    run = next(line["run"] for line in _lines(export) if line.get("kind") == "run.finished")
    shell.here("forget", run)
    shell.here("audit", "export", "--output", "after.jsonl")
    assert shell.here("audit", "verify", "--against", "audit.jsonl").code == 0, "forgotten since is in order"
    put_back(shell, copy)
    said = shell.here("audit", "verify", "--against", "after.jsonl", "--json")
    (finding,) = said.json["findings"]
    assert "was forgotten" in finding["what"]


def test_an_export_that_was_changed_proves_nothing(shell: Shell, export: Path) -> None:
    export.write_text(export.read_text().replace('"seq":3', '"seq":4', 1))
    said = shell.here("audit", "verify", "--against", "audit.jsonl", "--json")
    assert said.code == 1
    assert {one["problem"] for one in said.json["findings"]} == {"file"}
    assert shell.here("audit", "verify", "--file", "audit.jsonl", "--against", "audit.jsonl").code == 2


def test_an_export_of_some_runs_and_to_stdout(shell: Shell, export: Path) -> None:
    runs = [line["run"] for line in shell.here("runs", "list", "--json").lines]
    said = shell.here("audit", "export", runs[0], "--output", "-")
    assert [line["run"] for line in said.lines if line["type"] == "run"] == [runs[0]]
    said = shell.here("audit", "export", "--since", "1h", "--output", "-")
    assert len([line for line in said.lines if line["type"] == "run"]) == 3
    assert shell.here("audit", "export", "nobody", "--output", "never.jsonl").code == 2
    assert not list(shell.folder.glob("never.jsonl*"))
    assert shell.here("audit", "verify", runs[0], "--file", str(export)).code == 2


def test_a_forgotten_run_is_forgotten_in_its_exports_too(shell: Shell, export: Path) -> None:
    """There is nothing in them that a key could open; and they verify as before."""
    run = next(line["run"] for line in _lines(export) if line.get("kind") == "run.finished")
    shell.here("forget", run)
    assert shell.here("audit", "verify", "--file", str(export)).code == 0
    assert shell.here("audit", "export", run, "--output", "again.jsonl").code == 0
    assert shell.here("audit", "verify", "--file", "again.jsonl").code == 0


def _lines(export: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export.read_text().splitlines()]


def _check(lines: list[dict[str, Any]], keys: Keyring | None) -> bool:
    """Whether something is found."""
    text = [json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for line in lines]
    text[-1] = json.dumps(lines[-1]).encode()
    return bool(check_file(text, keys).findings)


def _changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return "00" * 32
        case _:
            return value[:-1] + ("0" if value[-1:] != "0" else "1")


def test_every_field_and_every_line_of_an_export_counts(shell: Shell, export: Path) -> None:
    lines = _lines(export)
    keys = ring(shell)
    assert not _check(lines, keys)
    assert not _check(lines, None)
    missed, without_ring = [], []
    for number, line in enumerate(lines):
        for name, value in line.items():
            if name == "exported":
                continue
            other = _changed(value)
            changed = [*lines[:number], {**line, name: other}, *lines[number + 1 :]]
            if not _check(changed, keys):
                missed.append((number, line["type"], name))
            if line["type"] == "event" and not _check(changed, None):
                without_ring.append((number, name))
    assert missed == []
    assert without_ring == []
    for number in range(1, len(lines)):
        assert _check([*lines[:number], *lines[number + 1 :]], keys), f"line {number} was removed"
        assert _check(lines[:number], keys), f"cut off before line {number}"
        assert _check([*lines[: number + 1], *lines[number:]], keys), f"line {number} stands there twice"


def test_an_export_that_was_made_anew_needs_the_ring_to_be_found(shell: Shell, export: Path) -> None:
    """Whoever takes a run out and reckons the end anew has no key to sign it."""
    lines = _lines(export)
    first = next(n for n, line in enumerate(lines) if n > 1 and line["type"] == "run")
    left = [lines[0], *lines[first:]]
    events = sum(line["type"] == "event" for line in left)
    digest = sha256()
    for line in left[:-1]:
        digest.update(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    left[-1] = {**left[-1], "runs": 2, "events": events, "digest": digest.hexdigest()}
    assert not _check(left, None)
    assert _check(left, ring(shell))


@pytest.mark.parametrize("content", ["", "{}", "[]\n", "nonsense\n", '{"type":"head"}\n', "\x00\n"])
def test_what_is_no_export_is_a_finding_and_no_crash(shell: Shell, content: str) -> None:
    shell.write("wrong.jsonl", content)
    said = shell.here("audit", "verify", "--file", "wrong.jsonl", "--json")
    assert said.code == 1
    assert said.json["findings"]


def test_a_run_whose_key_holds_a_known_secret_verifies(shell: Shell) -> None:
    shell.setenv("SHOP_API_KEY", "Kv9/4IpUiKKRHssE+q==")
    source = (shell.folder / "till.py").read_text()
    assert "Workflow(" in source
    shell.write("till.py", source.replace("    input=", '    secrets=["SHOP_API_KEY"],\n    input=', 1))
    shell.here("run", "till:till", "--input", "small.json", "--key", "mine-Kv9/4IpUiKKRHssE+q==")
    said = shell.here("audit", "verify", "--json")
    assert (said.code, said.json["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE runs SET summary = replace(summary, '\"usage\"', '\"qsage\"') WHERE row = 1", "index"),
        ("UPDATE runs SET summary = '{' WHERE row = 1", "index"),
        ("UPDATE items SET view = replace(view, '\"evidence\"', '\"eoidence\"')", "item"),
        ("UPDATE items SET view = substr(view, 1, 40)", "index"),
        ("UPDATE days SET tokens = tokens - 1", "ledger"),
        ("DROP INDEX items_status", "file"),
        ("ALTER TABLE intake RENAME COLUMN mode_reason TO mode_reacon", "file"),
    ],
)
def test_damage_of_any_kind_is_a_finding(shell: Shell, export: Path, change: str, problem: str) -> None:
    with sqlite3.connect(shell.folder / ".surefoot" / "state.db") as connection:
        connection.execute(change)
    connection.close()
    said = shell.here("audit", "verify", "--json")
    assert said.code == 1
    assert problem in {one["problem"] for one in said.json["findings"]}


def test_a_byte_changed_anywhere_in_the_file_never_stops_the_audit(shell: Shell, export: Path) -> None:
    path = shell.folder / ".surefoot" / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    used = [place for place in range(100, len(whole)) if whole[place]]
    for place in used[:: len(used) // 60]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        for beside in ("state.db-wal", "state.db-shm"):
            (path.parent / beside).unlink(missing_ok=True)
        said = shell.here("audit", "verify", "--json")
        assert said.code in (0, 1), said
        assert "[unexpected]" not in said.err, (place, said.err)
