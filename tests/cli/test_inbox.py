"""`surefoot inbox`: what waits, and each way of deciding it."""

import json

import pytest

from .conftest import Shell


@pytest.fixture
def item(shell: Shell) -> str:
    said = shell.here("run", "till:till", "--input", "large.json", "--key", "k", "--json")
    (item,) = said.json["waiting_for"]
    assert isinstance(item, str)
    return item


@pytest.fixture
def review(shell: Shell) -> str:
    shell.write("review.json", {"item": "a lamp", "amount": "20", "mode": "review"})
    said = shell.here("run", "till:till", "--input", "review.json", "--key", "r", "--json")
    (item,) = said.json["waiting_for"]
    assert isinstance(item, str)
    return item


def result(shell: Shell, key: str = "k") -> dict[str, object]:
    shell.here("work", "till:till")
    found: dict[str, object] = shell.here("run", "till:till", "--key", key, "--json").json
    return found


def test_the_list_tells_what_waits_for_whom_and_until_when(shell: Shell, item: str) -> None:
    (line,) = shell.here("inbox", "list", "--json").lines
    assert line["item"] == item
    assert line["kind"] == "approval"
    assert line["status"] == "open"
    assert line["for"] == "leads"
    assert line["tool"] == "pay"
    assert line["args"] == {"item": "lamp", "amount": "80"}
    assert line["reason"] == "more than 50 is for the leads"
    assert line["choices"] == ["approve", "deny", "edit"]
    assert line["expires"] > line["opened"]
    assert 'pay(item="lamp", amount="80")' in shell.here("inbox", "list").out


def test_an_item_is_shown_with_the_commands_that_decide_it(shell: Shell, item: str) -> None:
    out = shell.here("inbox", "show", item).out
    for choice in ("approve", "deny", "edit"):
        assert f"inbox decide {item} {choice}" in out
    assert shell.here("inbox", "show", item, "--json").json["item"] == item


def test_approve_deny_and_edit_do_as_they_say(shell: Shell, item: str) -> None:
    said = shell.here("inbox", "decide", item, "approve", "--by", "kim", "--json")
    assert (said.code, said.json["decision"], said.json["by"]) == (0, "approve", "kim")
    assert result(shell)["output"]["text"] == "paid 80 for lamp"  # type: ignore[index]


def test_a_denial_s_reason_reaches_the_step(shell: Shell, item: str) -> None:
    shell.here("inbox", "decide", item, "deny", "--by", "kim", "--reason", "too much")
    assert result(shell)["output"]["text"] == "not paid: too much"  # type: ignore[index]
    assert shell.paid() == []


def test_edited_arguments_are_used_and_the_decision_tells_how_it_goes_on(shell: Shell, item: str) -> None:
    args = json.dumps({"item": "lamp", "amount": "50"})
    said = shell.here("inbox", "decide", item, "edit", "--args", args, "--by", "kim")
    assert "goes on at the next" in said.err
    assert "surefoot work" in said.err
    assert result(shell)["output"]["text"] == "paid 50 for lamp"  # type: ignore[index]


def test_with_the_workflow_named_an_edit_is_checked_at_once(shell: Shell, item: str) -> None:
    words = ["inbox", "decide", item, "edit", "till:till", "--by", "kim", "--args"]
    said = shell.here(*words, '{"item": "lamp", "amount": "much"}', "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "invalid_arguments")
    assert shell.here(*words, '{"item": "lamp", "amount": "9"}').code == 0


def test_the_first_decision_wins(shell: Shell, item: str) -> None:
    assert shell.here("inbox", "decide", item, "deny", "--by", "kim").code == 0
    late = shell.here("inbox", "decide", item, "approve", "--by", "ann", "--json")
    assert (late.code, late.json["error"]["code"]) == (1, "item_closed")
    assert "kim" in late.json["error"]["why"]
    assert result(shell)["output"]["text"].startswith("not paid")  # type: ignore[index]


def test_a_review_is_settled_with_the_step_s_output(shell: Shell, review: str) -> None:
    words = ["inbox", "decide", review, "settle", "--by", "bo", "--result"]
    wrong = shell.here(*words, "17", "till:till", "--json")
    assert (wrong.code, wrong.json["error"]["code"]) == (2, "invalid_input")
    assert shell.here(*words, '"lamp"', "till:till").code == 0
    found = result(shell, "r")
    assert (found["status"], found["degraded"]) == ("succeeded", True)


def test_a_review_is_tried_again_or_let_fail(shell: Shell, review: str) -> None:
    assert shell.here("inbox", "decide", review, "approve", "--by", "bo").code == 0
    (again,) = result(shell, "r")["waiting_for"]  # type: ignore[misc]
    assert again != review, "it failed again, and is a new question"
    assert shell.here("inbox", "decide", again, "deny", "--by", "bo").code == 0
    assert result(shell, "r")["status"] == "failed"


def test_a_choice_that_the_item_does_not_have_is_refused(shell: Shell, item: str) -> None:
    said = shell.here("inbox", "decide", item, "settle", "--result", "1", "--by", "kim", "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "wrong_decision")


def test_only_the_group_s_people_may_decide(shell: Shell, item: str) -> None:
    shell.setenv("SUREFOOT_PEOPLE", "leads=kim,ann;desk=bo")
    said = shell.here("inbox", "decide", item, "approve", "--by", "bo", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "not_allowed_to_decide")
    assert shell.here("inbox", "decide", item, "approve", "--by", "ann").code == 0


def test_a_decided_item_leaves_the_list_and_stays_in_all(shell: Shell, item: str) -> None:
    shell.here("inbox", "decide", item, "approve", "--by", "kim")
    assert shell.here("inbox", "list", "--json").lines == []
    assert "Nothing waits" in shell.here("inbox", "list").err
    (line,) = shell.here("inbox", "list", "--all", "--json").lines
    assert (line["status"], line["by"]) == ("decided", "kim")


def test_a_decision_needs_no_workflow_that_can_be_imported(shell: Shell, item: str) -> None:
    shell.write("pyproject.toml", '[tool.surefoot]\nworkflow = "gone:gone"\n')
    assert shell.here("inbox", "decide", item, "approve", "--by", "kim").code == 0
