"""The latest reports are found again, the newest first, and no broken file hides the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import InvalidInput
from surefoot.evals import saved
from surefoot.evals.diff import compare, read
from surefoot.evals.reports import to_json
from surefoot.evals.saved import KEPT, folder_beside, read_report, save_report, saved_reports

from .notes import report
from .test_reports import MIXED, scenario, suite

BEGAN = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


def kept(folder: Path, minutes: float = 0, result: Any = MIXED, **more: Any) -> Path:
    given: dict[str, Any] = {"target": "till:till", "token": f"{int(minutes * 60):08x}"}
    return save_report(folder, result, when=BEGAN + timedelta(minutes=minutes), **(given | more))


def test_a_saved_report_is_what_json_prints_with_when_and_of_what(tmp_path: Path) -> None:
    found = read_report(kept(tmp_path, only=["refunds"]))
    assert (found.when, found.target, found.lane, found.verdict) == (BEGAN, "till:till", "replay", "red")
    assert (found.only, found.path.parent) == (["refunds"], tmp_path)
    assert json.loads(json.dumps(to_json(MIXED))).items() <= found.document.items()


def test_the_newest_come_first_wherever_the_clock_stood(tmp_path: Path) -> None:
    there = timezone(timedelta(hours=9))
    kept(tmp_path, 1)
    later = save_report(
        tmp_path, MIXED, target="t", token="0a", when=datetime(2026, 1, 15, 18, 2, tzinfo=there)
    )
    kept(tmp_path, 0)
    assert [one.when.minute for one in saved_reports(tmp_path)] == [2, 1, 0]
    assert saved_reports(tmp_path)[0].name == later.stem


def test_only_the_newest_are_kept_and_nothing_else_goes(tmp_path: Path) -> None:
    other = [tmp_path / "before.json", tmp_path / "5ac70fd2.jsonl"]
    for path in other:
        path.write_text("{}")
    for minute in range(KEPT + 3):
        kept(tmp_path, minute)
    found = saved_reports(tmp_path)
    assert (len(found), found[-1].when) == (KEPT, BEGAN + timedelta(minutes=3))
    assert all(path.exists() for path in other)
    assert len(list(tmp_path.iterdir())) == KEPT + len(other), "no half of a file is left"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"when": "yesterday"}',
        '{"when": "2026-01-15T09:00:00+00:00", "target": 1, "lane": "replay", "verdict": "green"}',
        '{"when": "2026-01-15T09:00:00+00:00", "target": "t", "lane": "l", "verdict": "v", "scenarios": 1}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_file_that_is_no_report_hides_no_other(tmp_path: Path, text: str) -> None:
    good = kept(tmp_path)
    bad = tmp_path / "20260115T100000.000Z-ff.json"
    bad.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [one.path for one in saved_reports(tmp_path)] == [good]
    with pytest.raises(InvalidInput, match="no saved report"):
        read_report(bad)


def test_where_there_is_no_folder_there_are_no_reports(tmp_path: Path) -> None:
    assert saved_reports(tmp_path / "nowhere") == []
    with pytest.raises(InvalidInput):
        read_report(tmp_path / "gone.json")


def test_reports_lie_beside_the_store() -> None:
    assert folder_beside("sqlite:///.surefoot/state.db") == Path(".surefoot/evals")
    assert folder_beside("sqlite:////var/lib/desk/state.db") == Path("/var/lib/desk/evals")
    assert folder_beside("memory:") == Path(".surefoot/evals")
    assert folder_beside("postgresql://x/y") == Path(".surefoot/evals")


def test_two_saved_reports_can_be_compared(tmp_path: Path) -> None:
    before, after = kept(tmp_path, 0, suite(scenario("bad"), scenario("good"))), kept(tmp_path, 1)
    found = compare(read(before), read(after))
    assert [one.id for one in found.became["red"]] == ["bad"]


def test_a_half_letter_in_what_a_model_said_is_kept_visible(tmp_path: Path) -> None:
    path = kept(tmp_path, 0, suite(scenario("odd", "red", "said \ud800"), verdict="red"))
    assert "said \\ud800" in read_report(path).document["scenarios"][0]["why"]


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def reports_of(folder: Path) -> list[saved.SavedReport]:
    return saved_reports(folder / ".surefoot" / "evals")


def test_an_eval_leaves_its_report_for_the_console(project: Path) -> None:
    printed = report(project, "--only", "note-01", "--no-controls")
    (found,) = reports_of(project)
    assert (found.target, found.only, found.verdict) == ("notes:flow", ["note-01"], printed["verdict"])
    assert set(printed) < set(found.document)


@pytest.mark.parametrize(
    ("words", "more", "expected"),
    [(["--no-keep"], {}, 0), ([], {"CI": "true"}, 0), (["--keep"], {"CI": "true"}, 1)],
    ids=["told not to", "in CI", "in CI and asked to"],
)
def test_nothing_is_left_in_ci_or_where_it_is_turned_off(
    project: Path, words: list[str], more: dict[str, str], expected: int
) -> None:
    before = len(reports_of(project))
    report(project, "--only", "note-01", "--no-controls", *words, **more)
    assert len(reports_of(project)) == before + expected
