"""Errors say what failed, why and what to do, and come back from the journal as what they were."""

import pickle

import pytest

from surefoot import errors
from surefoot.core.error_view import error_of, view_of
from surefoot.errors import Denied, NotDone, SurefootError, Transient, every_error

CLASSES = [cls for cls in every_error().values() if cls.__module__ == errors.__name__]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    names = {cls.__name__ for cls in CLASSES}
    drawn = set(errors.__doc__.replace("│", " ").split()) if errors.__doc__ else set()
    assert names <= drawn


def test_every_code_belongs_to_one_error() -> None:
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)
    assert {vars(errors)[cls.__name__] for cls in CLASSES} == set(CLASSES)


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
