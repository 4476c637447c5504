"""The closed set of events: what is written is small, is read back as it was, and what a newer Surefoot wrote
is refused in so many words."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as e
from surefoot.core.jsons import Raw
from surefoot.errors import StoreVersion

from .any_events import EVENTS

KINDS = """
run.submitted run.claimed run.cancelling run.retried run.finished
step.started step.finished step.failed
call.refused call.intended call.returned call.failed call.unknown call.settled
ask.reserved ask.answered ask.rejected ask.repaired ask.failed
approval.requested approval.decided approval.expired review.opened review.resolved private.revealed
timer.set timer.fired value.drawn budget.warned
""".split()


def test_the_set_is_closed() -> None:
    """A kind that is gone from here is still in somebody's store."""
    assert set(KINDS) <= set(e.EVENTS)
    assert e.EVENTS.keys() >= e.INFORMING
    for kind, cls in e.EVENTS.items():
        assert kind == cls.KIND
        assert cls.VERSION >= 1
        assert dataclasses.is_dataclass(cls)


@given(EVENTS)
def test_every_event_is_read_back_as_it_was_written(event: e.Event) -> None:
    again = e.decode(event.KIND, event.VERSION, event.encode())
    assert again == event
    assert again.encode() == event.encode()


@given(EVENTS)
def test_what_is_written_is_json_without_fields_that_say_nothing(event: e.Event) -> None:
    written = json.loads(event.encode())
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        is_default = value == field.default or (field.default_factory is list and value == [])
        assert (field.name in written) == (value is not None and not is_default)


def test_what_has_its_default_is_not_written() -> None:
    assert e.StepStarted("triage").encode() == '{"step":"triage"}'
    assert e.StepStarted("triage", 2).encode() == '{"step":"triage","attempt":2}'
    assert e.RunClaimed("w", 3).encode() == '{"worker":"w","epoch":3}'
    assert e.RunClaimed("w", 3, doubt=True).encode() == '{"worker":"w","epoch":3,"doubt":true}'
    assert e.AskAnswered("a1", "").encode() == '{"ask":"a1","text":""}'
    assert e.CallFailed("c1", {}).encode() == '{"call":"c1","error":{}}'


def test_a_result_of_null_is_a_result_and_none_is_no_result() -> None:
    for result in (Raw("null"), None):
        event = e.CallSettled("c1", "done", "kim", result)
        assert e.decode(event.KIND, 1, event.encode()) == event
    assert e.CallSettled("c1", "done", "kim", Raw("null")).encode().endswith('"result":null}')


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_in_an_event_is_spliced_in_as_it_is(text: str) -> None:
    raw = Raw(json.dumps({"text": text}, ensure_ascii=True))
    assert f'"result":{raw}' in e.CallReturned("c1", raw).encode()
    assert json.loads(e.CallReturned("c1", raw).encode())["result"] == {"text": text}


@pytest.mark.parametrize(
    ("kind", "version", "text"),
    [
        ("step.skipped", 1, '{"step":"a"}'),
        ("step.started", 2, '{"step":"a"}'),
        ("step.started", 1, '{"step":"a","mood":"good"}'),
        ("step.started", 1, "{}"),
    ],
)
def test_what_a_newer_surefoot_wrote_is_refused_by_name(kind: str, version: int, text: str) -> None:
    with pytest.raises(StoreVersion) as refused:
        e.decode(kind, version, text)
    assert kind in refused.value.what
    assert "newer" in refused.value.remedy


def test_a_field_that_this_version_gives_a_default_may_be_missing_in_an_old_journal() -> None:
    assert e.decode("step.started", 1, '{"step":"a"}') == e.StepStarted("a", 1)
