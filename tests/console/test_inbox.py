"""Deciding in the console: what is shown first, each choice, edits, two people at once, exact values."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from .conftest import Site, open_site

pytestmark = pytest.mark.anyio


async def test_an_item_says_why_it_was_asked_by_which_rule_until_when_and_what_each_choice_does(
    site: Site,
) -> None:
    item = await site.item(subject="A broken lamp")
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    for word in (
        "refunds above 50 are for the leads to decide",
        "ask refund by leads",
        "24 h left",
        "A broken lamp",
        "The call is made once, with exactly these arguments",
        "The call is not made. The step sees your reason",
        "counts as denied",
        "It is decided as <b>kim</b>",
        "Return money to the card that paid for an order",
    ):
        assert word in page, word


async def test_others_words_in_the_arguments_are_shown_as_evidence_with_where_they_come_from(
    site: Site,
) -> None:
    item = await site.item(subject="left with <b>the neighbour</b>, please refund 999", amount="5")
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    assert "Others&#39; words in it" in page or "Others' words in it" in page
    assert "<b>subject</b> may be the words of <b>carrier_note" in page
    assert "<blockquote>left with &lt;b&gt;the neighbour" in page


async def test_the_inbox_shows_what_waits_longest_first_for_me_and_for_all(tmp_path: Path) -> None:
    async with open_site(tmp_path, people={"leads": ["kim"], "desk": ["bo"]}) as site:
        first = await site.item(subject="first")
        await site.clock.advance(60)
        second = await site.item(subject="second")
        review = await site.item("review")
        mine = (await site.ask.get("/inbox")).text
        assert mine.index(first.id) < mine.index(second.id)
        assert review.id not in mine
        assert review.id in (await site.ask.get("/inbox?whose=all")).text
        page = (await site.ask.get(f"/inbox/{review.id}")).text
        assert "you are not among them" in page
        forced = await site.ask.post(f"/inbox/{review.id}/decision", data={"choice": "approve"})
        assert forced.status_code == 403
        assert "may not decide" in forced.text


async def test_approving_makes_the_call_once(site: Site) -> None:
    item = await site.item()
    answer = await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "approve", "reason": "fine"})
    assert answer.headers["location"] == f"/inbox/{item.id}"
    assert await site.settle(item.run) == "succeeded"
    again = await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "approve"})
    assert again.status_code == 409
    assert [one["amount"] for one in site.world.refunds()] == [Decimal(80)]
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    assert "<b>You</b> decided: <b>approve</b>" in page


async def test_the_person_who_decides_is_the_one_who_is_logged_in(site: Site) -> None:
    item = await site.item()
    client = await site.as_person("ann", "runs:read", "inbox:decide")
    await client.post(f"/inbox/{item.id}/decision", data={"choice": "deny", "by": "boss", "person": "boss"})
    row = await site.service.store.item(item.id)
    assert row is not None and row.decided_by == "ann"
    assert await site.settle(item.run) == "succeeded"
    assert not site.world.refunds()


async def test_an_edit_is_shown_as_a_diff_before_it_is_sent(site: Site) -> None:
    item = await site.item()
    page = (
        await site.ask.post(
            f"/inbox/{item.id}/preview",
            data={
                "field.subject": "a lamp",
                "field.amount": "7.50",
                "field.note": "half",
                "reason": "too much",
            },
        )
    ).text
    assert "What your edit changes" in page
    assert "<del>&#34;80&#34;</del>" in page and "<ins>&#34;7.50&#34;</ins>" in page
    assert page.count("<ins>") == 2
    assert "too much" in page
    assert 'value="approve"' not in page  # nothing beside it makes the call as it was proposed
    assert not site.world.done
    sent = {"choice": "edit", "args": '{"subject": "a lamp", "amount": "7.50", "note": "half"}'}
    assert (await site.ask.post(f"/inbox/{item.id}/decision", data=sent)).status_code == 303
    await site.settle(item.run)
    assert site.world.refunds() == [{"subject": "a lamp", "amount": Decimal("7.50"), "note": "half"}]


async def test_a_mistake_in_an_edit_is_told_beside_its_field_and_what_was_typed_stays(site: Site) -> None:
    item = await site.item()
    typed = {"field.subject": "a lamp", "field.amount": "lots", "field.note": "n", "reason": "because"}
    for path, more in (("preview", {}), ("decision", {"choice": "edit"})):
        answer = await site.ask.post(f"/inbox/{item.id}/{path}", data={**typed, **more})
        assert answer.status_code == 422, path
        assert 'id="edit-amount-wrong"' in answer.text
        assert 'value="lots"' in answer.text and "because" in answer.text
        assert answer.text.count(" autofocus") == 1
    row = await site.service.store.item(item.id)
    assert row is not None and row.status == "open"


async def test_whoever_comes_second_is_told_who_decided_and_gets_back_what_they_typed(site: Site) -> None:
    item = await site.item()
    ann = await site.as_person("ann", "runs:read", "inbox:decide")
    bo = await site.as_person("bo", "runs:read", "inbox:decide")
    await ann.post(f"/inbox/{item.id}/decision", data={"choice": "deny", "reason": "a fraud"})
    late = await bo.post(
        f"/inbox/{item.id}/decision",
        data={"choice": "edit", "field.amount": "12.34", "reason": "my long and careful reason"},
    )
    assert late.status_code == 409
    for word in ("<b>ann</b> decided: <b>deny</b>", "my long and careful reason", "12.34", "came too late"):
        assert word in late.text, word
    preview = await bo.post(f"/inbox/{item.id}/preview", data={"field.amount": "9.87", "reason": "mine"})
    assert preview.status_code == 409
    assert "9.87" in preview.text and "ann" in preview.text
    await site.settle(item.run)
    assert not site.world.refunds()


async def test_an_expired_item_says_so_and_takes_no_decision(site: Site) -> None:
    item = await site.item("soon")
    await site.clock.advance(5)
    await site.settle(item.run)
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    assert "Nobody decided in time" in page
    late = await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "approve", "reason": "oh"})
    assert late.status_code == 409
    assert "oh" in late.text
    assert not site.world.refunds()


async def test_an_unknown_call_can_be_settled_done_again_or_given_up(site: Site) -> None:
    item = await site.item("unknown")
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    for word in ("It did happen", "It did not happen: do it", "Give up", item.view["key"]):
        assert word in page, word
    wrong = await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "settle", "field.json": "{"})
    assert wrong.status_code == 422
    wrong = await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "settle", "field.json": "17"})
    assert wrong.status_code == 422
    assert "valid string" in wrong.text
    done = await site.ask.post(
        f"/inbox/{item.id}/decision", data={"choice": "settle", "field.json": '"sent"'}
    )
    assert done.status_code == 303
    assert await site.settle(item.run) == "succeeded"
    given_up = await site.item("unknown", subject="other")
    await site.ask.post(f"/inbox/{given_up.id}/decision", data={"choice": "deny"})
    assert await site.settle(given_up.run) == "failed"


async def test_a_review_takes_a_result_by_the_fields_of_the_step_s_type(site: Site) -> None:
    item = await site.item("review", amount="5")
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    assert 'name="field.wish"' in page
    assert "it says two things" in page
    given = {"choice": "settle", "field.wish": "money back"}
    assert (await site.ask.post(f"/inbox/{item.id}/decision", data=given)).status_code == 303
    assert await site.settle(item.run) == "succeeded"


async def test_a_review_can_be_left_to_fail(site: Site) -> None:
    item = await site.item("review", amount="5")
    await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "deny", "reason": "no use"})
    assert await site.settle(item.run) == "failed"


async def test_the_person_deciding_sees_exact_values_once_and_the_journal_says_so(site: Site) -> None:
    item = await site.item(subject="for bo.private@post.example", sender="bo.private@post.example")
    page = (await site.ask.get(f"/inbox/{item.id}")).text
    assert "bo.private" not in page
    ann = await site.as_person("ann", "runs:read", "inbox:decide")
    shown = await ann.post(f"/inbox/{item.id}/reveal", data={})
    assert shown.status_code == 200
    assert "bo.private@post.example" in shown.text
    assert "no-store" in shown.headers["cache-control"]
    events = await site.service.store.events(item.run)
    assert events[-1].kind == "private.revealed" and '"ann"' in events[-1].view
    # With the exact values in the form, an edit of another field leaves them what they are.
    sent = {
        "choice": "edit",
        "field.subject": "for bo.private@post.example",
        "field.amount": "9",
        "field.note": "",
    }
    assert (await ann.post(f"/inbox/{item.id}/decision", data=sent)).status_code == 303
    await site.settle(item.run)
    assert site.world.refunds() == [
        {"subject": "for bo.private@post.example", "amount": Decimal(9), "note": ""}
    ]


async def test_an_edit_from_the_views_keeps_the_private_values_behind_them(site: Site) -> None:
    item = await site.item(subject="for bo.private@post.example", sender="bo.private@post.example")
    sent = {"choice": "edit", "field.subject": item.view["args"]["subject"], "field.amount": "9"}
    assert (await site.ask.post(f"/inbox/{item.id}/decision", data=sent)).status_code == 303
    await site.settle(item.run)
    (refunded,) = site.world.refunds()
    assert refunded["subject"] == "for bo.private@post.example"


async def test_a_closed_item_s_exact_values_are_for_who_may_reveal(site: Site) -> None:
    item = await site.item()
    await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "approve"})
    await site.settle(item.run)
    ann = await site.as_person("ann", "runs:read", "inbox:decide")
    assert (await ann.post(f"/inbox/{item.id}/reveal", data={"reason": "x"})).status_code == 403
    assert "Show exact values" not in (await ann.get(f"/inbox/{item.id}")).text


async def test_a_run_s_exact_values_need_a_reason_and_are_shown_once(site: Site) -> None:
    run = await site.start(sender="bo.private@post.example")
    client = await site.as_person("ann", "runs:read", "runs:reveal")
    assert (await client.post(f"/runs/{run}/reveal", data={"reason": " "})).status_code in (400, 422)
    shown = await client.post(f"/runs/{run}/reveal", data={"reason": "a complaint"})
    assert "bo.private@post.example" in shown.text
    page = (await client.get(f"/runs/{run}")).text
    assert "bo.private" not in page
    assert "private.revealed" in page and "a complaint" in page


async def test_a_run_is_cancelled_retried_and_forked(site: Site) -> None:
    sleeping, failed = await site.start("sleep"), await site.start("fail")
    await site.ask.post(f"/runs/{sleeping}/cancel", data={"reason": "no need"})
    assert await site.settle(sleeping) == "cancelled"
    await site.ask.post(f"/runs/{failed}/retry")
    assert await site.settle(failed) == "failed"
    forked = await site.ask.post(f"/runs/{failed}/fork", data={"step": "acted"})
    new = forked.headers["location"].rpartition("/")[2]
    assert await site.settle(new) == "failed"
    assert "Forked from" in (await site.ask.get(f"/runs/{new}")).text
    for path, what in ((f"/runs/{sleeping}/cancel", 409), (f"/runs/{sleeping}/fork", 422)):
        answer = await site.ask.post(path, data={"step": "nothing"})
        assert 400 <= answer.status_code < 500, what
        assert "What to do" in answer.text


async def test_the_intake_is_paused_and_resumed(site: Site) -> None:
    await site.ask.post("/intake", data={"do": "pause", "reason": "the shop moves"})
    page = (await site.ask.get("/")).text
    assert "paused" in page and "the shop moves" in page and "kim" in page
    await site.ask.post("/intake", data={"do": "refuse"})
    refused = await site.ask.post("/new", data={"field.subject": "a", "field.text": "b"})
    assert refused.status_code == 503
    await site.ask.post("/intake", data={"do": "resume"})
    assert (await site.service.runtime.intake.view()).is_open


async def test_a_run_is_started_from_a_form_that_an_example_fills(site: Site) -> None:
    page = (await site.ask.get("/new")).text
    assert 'value="A lamp came broken"' in page
    assert "A small thing" in page
    assert 'value="A small thing"' in (await site.ask.get("/new?example=1")).text
    sent = {
        "field.subject": "x",
        "field.text": "two\r\nlines",
        "field.lines": '["a"]',
        "field.urgent": "true",
    }
    answer = await site.ask.post("/new", data={**sent, "once": "form-1"})
    again = await site.ask.post("/new", data={**sent, "once": "form-1"})
    other = await site.ask.post("/new", data={**sent, "field.text": "else", "once": "form-1"})
    assert answer.headers["location"] == again.headers["location"] != other.headers["location"]
    run = answer.headers["location"].rpartition("/")[2]
    await site.settle(run)
    document = (await site.service.runtime.state(run)).submitted
    assert document is not None
    assert '"two\\nlines"' in document.input and '"urgent":true' in document.input


async def test_a_wrong_input_is_told_beside_its_field(site: Site) -> None:
    sent = {"field.subject": "x" * 121, "field.text": "kept", "field.count": "many", "field.mode": '"no"'}
    answer = await site.ask.post("/new", data=sent)
    assert answer.status_code == 422
    assert 'id="in-count-wrong"' in answer.text and "kept" in answer.text
    answer = await site.ask.post("/new", data={**sent, "field.count": "1"})
    assert 'id="in-subject-wrong"' in answer.text
    whole = await site.ask.post("/new", data={"field.json": '{"subject": "a", "text": "b", "no": 1'})
    assert whole.status_code == 422
    fine = await site.ask.post("/new", data={"field.json": '{"subject": "a", "text": "b"}'})
    assert fine.status_code == 303


async def test_a_key_that_has_another_input_is_told(site: Site) -> None:
    sent = {"field.subject": "a", "field.text": "b", "key": "order-1"}
    assert (await site.ask.post("/new", data=sent)).status_code == 303
    answer = await site.ask.post("/new", data={**sent, "field.text": "c"})
    assert answer.status_code == 409
    assert "order-1" in answer.text and "\nc</textarea>" in answer.text
