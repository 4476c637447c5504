"""Errors say what failed, why and what to do, and come back from the journal as what they were. What their
codes mean in general is data, and complete."""

import ast
import pickle
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

from surefoot import errors
from surefoot.catalogue import Entry, entries, read
from surefoot.core.error_view import error_of, text_of, trace_of, view_of
from surefoot.errors import Denied, NotDone, SurefootError, Transient, every_error

CLASSES = [cls for cls in every_error().values() if cls.__module__ == errors.__name__]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    names = {cls.__name__ for cls in CLASSES}
    drawn = set(errors.__doc__.replace("│", " ").split()) if errors.__doc__ else set()
    assert names <= drawn


def test_every_code_belongs_to_one_error() -> None:
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)
    assert {vars(errors)[cls.__name__] for cls in CLASSES} == set(CLASSES)


# ── the catalogue ──


def test_every_class_has_an_entry_and_every_entry_a_class() -> None:
    assert set(entries()) == {cls.code for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_entry_is_complete(cls: type[SurefootError]) -> None:
    entry = entries()[cls.code]
    assert wrong_with(entry) == []
    assert entry.transient == cls.transient
    assert cls("it failed").remedy == entry.remedy[0]
    assert cls("it failed").docs == entry.docs
    assert cls("it failed", remedy="Mend it.").remedy == "Mend it."


def wrong_with(entry: Entry) -> list[str]:
    found = [name for name in ("title", "since") if not getattr(entry, name).strip()]
    found += ["title ends with a stop"] if entry.title.endswith(".") else []
    for name in ("why", "remedy"):
        sentences = getattr(entry, name)
        found += [name] if not sentences or not all(text.strip() for text in sentences) else []
        found += [f"{name}: no sentence: {text!r}" for text in sentences if text[-1:] not in ".`"]
    found += [] if entry.exit in (1, 2, 130) else ["exit"]
    found += [] if 400 <= entry.status < 600 else ["status"]
    return found


def test_an_incomplete_entry_is_seen() -> None:
    good = {"title": "It failed", "why": ["So."], "remedy": ["Mend it."], "exit": 1, "status": 500, "transient": False, "since": "0.1.0"}  # fmt: skip
    assert wrong_with(Entry("x", **good)) == []
    for bad in (
        {"title": " "},
        {"why": []},
        {"remedy": [" "]},
        {"remedy": ["no stop"]},
        {"exit": 3},
        {"status": 200},
    ):
        assert wrong_with(Entry("x", **(good | bad))), bad
    with pytest.raises((KeyError, TypeError)):
        read('[x]\ntitle = "It failed"\n')


def test_every_error_that_we_raise_says_why() -> None:
    """Read from the source: a `what` alone leaves its reader with a riddle."""
    folder = Path(errors.__file__).parent
    names = {cls.__name__ for cls in CLASSES}
    events = {"StepFailed", "CallRefused", "CallUnknown"}  # of the same names, called as e.StepFailed(...)
    found, seen = [], 0
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            is_event = isinstance(node.func, ast.Attribute) and node.func.attr in events
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in names and not is_event and path.name != "errors.py":
                seen += 1
                if not {"why", None} & {keyword.arg for keyword in node.keywords}:
                    found.append(f"{path.relative_to(folder)}:{node.lineno}: {name} says no why")
    assert seen > 150, "the search finds nothing any more"
    assert found == []


# ── what foreign exceptions say ──


class Amount(BaseModel):
    number: int


def failed(value: object) -> BaseException:
    with pytest.raises(ValueError) as raised:
        Amount.model_validate({"number": value})
    return raised.value


def test_a_value_that_did_not_fit_its_type_is_not_in_the_text() -> None:
    assert "private" in str(failed("my private number")), "else there is nothing to keep out"
    assert "private" not in text_of(failed("my private number"))
    assert text_of(failed("x")).startswith("number: ")
    schema = {"properties": {"number": {"type": "integer"}}}
    with pytest.raises(jsonschema.ValidationError) as raised:
        jsonschema.validate({"number": "my private number"}, schema)
    assert "private" in str(raised.value)
    assert text_of(raised.value) == "number: does not satisfy type"
    assert "private" not in str(view_of(failed("my private number")))


def test_the_way_to_an_error_has_its_places_and_no_values() -> None:
    def deep(local: str) -> None:
        try:
            raise failed(local)
        except ValueError as error:
            raise SurefootError("it failed", why="so", remedy="Mend it.") from error

    with pytest.raises(SurefootError) as raised:
        deep("my private number")
    way = trace_of(raised.value)
    assert "private" not in way.replace('deep("my private number")', "")
    assert "in deep" in way
    assert (
        way.index("ValidationError: number:")
        < way.index("That led to:")
        < way.index("SurefootError: it failed; so")
    )


def test_a_chain_of_errors_that_bites_its_tail_is_told_once() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert trace_of(one).count("ValueError: one") == 1
    group = ExceptionGroup("both", [one, KeyError("three")])
    assert "No. 2 of 2:" in trace_of(group)


# ── errors as they are ──


def test_an_error_of_a_users_own_does_not_take_the_place_of_ours() -> None:
    class Busy(Transient):
        pass

    assert every_error()["transient"] is Transient
    assert type(error_of(view_of(Busy("busy")))) is Transient


def test_an_error_reads_as_a_sentence_with_what_to_do() -> None:
    error = SurefootError("refund failed", why="the shop is closed", remedy="Try again.", tool="refund")
    assert str(error) == "refund failed; the shop is closed. Try again."
    assert error.data == {"tool": "refund"}
    assert str(SurefootError("Really?", remedy="Yes.")) == "Really? Yes."


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_comes_back_from_the_journal_as_what_it_was(cls: type[SurefootError]) -> None:
    error = cls("what", why="why", remedy="remedy", by="kim")
    error.transient, error.retry_after = True, 2.5
    again = error_of(view_of(error))
    assert type(again) is cls
    assert (again.what, again.why, again.remedy) == ("what", "why", "remedy")
    assert (again.transient, again.retry_after) == (True, 2.5)
    assert str(again) == str(error)
    assert view_of(again) == view_of(error)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_crosses_a_process_boundary(cls: type[SurefootError]) -> None:
    error = cls("what", why="why", remedy="remedy", number=5)
    error.retry_after = 2.5
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_a_step_that_is_denied_sees_by_whom_and_why_also_on_replay() -> None:
    denied = error_of(view_of(Denied("refund was denied", why="too much", by="kim")))
    assert isinstance(denied, Denied)
    assert (denied.reason, denied.by) == ("too much", "kim")


def test_a_tools_own_word_on_whether_to_try_again_is_kept() -> None:
    assert error_of(view_of(NotDone("no", transient=True))).transient
    assert not error_of(view_of(NotDone("no"))).transient


def test_of_an_error_that_is_not_ours_its_kind_and_text_are_kept() -> None:
    view = view_of(ValueError("bad " + "x" * 5000))
    assert view["code"] == "step_failed"
    assert "ValueError" in view["what"]
    assert view["why"].startswith("bad x")
    assert len(view["why"]) == 2000


def test_a_view_of_a_newer_surefoot_is_an_error_all_the_same() -> None:
    error = error_of({"code": "from_the_future", "what": "it failed", "mood": "bad"})
    assert type(error) is SurefootError
    assert error.what == "it failed"
    assert error_of({}).what
