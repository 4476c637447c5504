"""`surefoot eval diff`, and the files that `surefoot eval` writes, through the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from surefoot.cli import root
from surefoot.errors import InvalidInput
from surefoot.evals.diff import Entry, changes, read

TILL = Path(__file__).parent / "till"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(TILL, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "till", raising=False)
    return folder


def surefoot(*words: str) -> Result:
    return CliRunner().invoke(root, words)


def expects(project: Path, payments: int) -> None:
    path = project / "scenarios" / "small.yaml"
    path.write_text(path.read_text().replace("payments: 1", f"payments: {payments}"))


def test_several_reports_at_once_say_the_same_as_the_command(project: Path) -> None:
    expects(project, 3)
    done = surefoot(
        "eval", "--json", "--junit", "out/e.xml", "--markdown", "out/e.md", "--html", "out/e.html"
    )
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    why = next(one["why"] for one in found["scenarios"] if one["id"] == "small")
    assert why == 'world.added at payments: expected 3, got 1: {"amount":5}'
    xml = ElementTree.parse(project / "out" / "e.xml").getroot()
    failure = xml.find(".//testcase[@name='small']/failure")
    assert failure is not None
    assert failure.get("message") == why
    assert f"`{why}`" in (project / "out" / "e.md").read_text()
    page = (project / "out" / "e.html").read_text()
    assert "expected 3, got 1" in page
    assert "run.finished" in page  # the trace


def test_the_terminal_has_a_table_and_the_verdict_last(project: Path) -> None:
    done = surefoot("eval")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SCENARIO", "VERDICT", "WHY"]
    assert [line.split() for line in lines[1:3]] == [["large", "green"], ["small", "green"]]
    assert lines[-2].startswith("negative controls: ")
    assert lines[-1].startswith("GREEN: 2 green in ")
    assert "\x1b" not in done.stdout
    assert "of 2 scenarios" not in done.stderr  # progress is for terminals


def test_a_report_that_cannot_be_written_is_told_before_anything_runs(project: Path) -> None:
    (project / "file").write_text("")
    done = surefoot("eval", "--html", "file/e.html")
    assert done.exit_code == 2
    assert "--html file/e.html cannot be written" in done.stderr
    assert done.stdout == ""


def test_an_old_report_does_not_outlive_an_eval_that_breaks_off(project: Path) -> None:
    (project / "e.xml").write_text("<all green/>")
    (project / "scenarios" / "small.yaml").write_text("oops: 1\n")
    assert surefoot("eval", "--junit", "e.xml").exit_code == 2
    assert (project / "e.xml").read_text() == ""


def test_secrets_of_the_environment_are_in_no_report(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "s<cr>et-0817-w0rd"
    monkeypatch.setenv("TILL_API_KEY", secret)
    path = project / "scenarios" / "small.yaml"
    path.write_text(path.read_text() + f"  said: ['{secret}']\n")
    assert surefoot("eval", "--markdown", "e.md", "--html", "e.html", "--junit", "e.xml").exit_code == 1
    for name in ("e.md", "e.html", "e.xml"):
        text = (project / name).read_text()
        assert "said" in text
        assert "0817" not in text


def test_one_word_too_many_is_told(project: Path) -> None:
    done = surefoot("eval", "till:flow", "more")
    assert done.exit_code == 2
    assert "'more' is one word too many" in done.stderr


def test_reports_cost_nothing_where_none_is_asked_for(project: Path) -> None:
    code = (
        "import sys; from surefoot.cli.eval import eval;"
        "bad = [m for m in sys.modules if m in ('surefoot.evals.diff', 'surefoot.evals.reports.page',"
        " 'surefoot.evals.reports.junit', 'surefoot.evals.reports.markdown')]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ── diff ─────────────────────────────────────────────────────────────────────────────────────────


def saved(name: str, *words: str) -> dict[str, Any]:
    done = surefoot("eval", "--json", *words)
    Path(name).write_text(done.stdout)
    return dict(json.loads(done.stdout))


def test_what_became_red_and_what_is_gone_is_told_with_its_cause(project: Path) -> None:
    saved("a.json")
    expects(project, 2)
    saved("b.json")
    done = surefoot("eval", "diff", "a.json", "b.json")
    assert done.exit_code == 0
    assert "verdict: green -> red" in done.stdout
    assert "small: green -> red\n  world.added at payments: expected 2, got 1" in done.stdout
    found = json.loads(surefoot("eval", "diff", "a.json", "b.json", "--json").stdout)
    assert [one["id"] for one in found["became"]["red"]] == ["small"]
    back = json.loads(surefoot("eval", "diff", "b.json", "a.json", "--json").stdout)
    assert [one["id"] for one in back["became"]["green"]] == ["small"]


def test_a_scenario_that_became_inconclusive_and_one_that_went(project: Path) -> None:
    saved("a.json")
    (project / "scenarios" / "recordings" / "small.json").unlink()
    (project / "scenarios" / "large.yaml").unlink()
    saved("b.json")
    done = surefoot("eval", "diff", "a.json", "b.json")
    assert "small: green -> inconclusive\n  it was never recorded" in done.stdout
    assert "gone: large" in done.stdout
    assert "negative controls: 5 of 5 caught -> 0 of 0" in done.stdout


def test_the_same_twice_is_no_change(project: Path) -> None:
    saved("a.json")
    saved("b.json")
    done = surefoot("eval", "diff", "a.json", "b.json")
    assert (done.exit_code, done.stdout) == (0, "nothing changed\n")


def test_two_baselines(project: Path) -> None:
    lines = [json.loads(line) for line in Path("scenarios/baseline.jsonl").read_text().splitlines()]
    small = next(line for line in lines if line["id"] == "small")
    small |= {"calls": ['pay({"amount":6})'], "tokens": 2 * small["tokens"], "live": {"m": [9, 10]}}
    Path("b.jsonl").write_text(json.dumps(small) + "\n")
    done = surefoot("eval", "diff", "scenarios/baseline.jsonl", "b.jsonl")
    assert done.stdout.splitlines() == [
        "small",
        '  effect no more: pay({"amount":5})',
        '  new effect: pay({"amount":6})',
        f"  tokens: {small['tokens'] // 2} before, now {small['tokens']} (+100%)",
        "  m: no trials before, now 9 of 10",
        "gone: large",
        done.stdout.splitlines()[-1],
    ]
    same = surefoot("eval", "diff", "b.jsonl", "b.jsonl")
    assert same.stdout == "nothing changed\n"


def test_a_baseline_and_a_result_are_not_compared(project: Path) -> None:
    saved("a.json")
    done = surefoot("eval", "diff", "a.json", "scenarios/baseline.jsonl")
    assert done.exit_code == 2
    assert "a.json is a result, and scenarios/baseline.jsonl a baseline" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "{}", '{"scenarios": [{}]}', "[1]", '{"error": {"code": "x"}}', "no json", '{"id": "x"}\n']
)
def test_what_is_neither_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        read(path)


def test_diff_needs_two_files() -> None:
    assert surefoot("eval", "diff", "a.json").exit_code == 2
    assert surefoot("eval", "diff", "a.json", "nowhere.json").exit_code == 2


def test_effects_that_changed_places_or_number() -> None:
    one = Entry("a", effects=["x", "y"])
    assert changes(one, Entry("a", effects=["y", "x"])) == ["effects in another order: y, x"]
    assert changes(one, Entry("a", effects=["x", "y", "y", "y"])) == ["new effect: y (2 times)"]
    assert changes(one, Entry("a", effects=None)) == []
    assert changes(Entry("a", must=True, checks="1"), Entry("a", checks="2")) == [
        "it is no `must` any more",
        "what it expects was changed",
    ]
