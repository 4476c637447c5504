"""From HTML to what a person would read: nothing hidden, nothing lost, whatever the markup."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_desk.html_text import plain
from support_desk.schemas import Ticket


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello,</p><p>where is <b>SD-1187</b>?</p>", "Hello,\n\nwhere is SD-1187?"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<div>a</div><div>b&nbsp;&amp;&#32;c</div>", "a\n\nb & c"),
        ("<style>p{}</style><script>alert('x')</script><!-- no --><title>t</title>yes", "yes"),
        ('<p style="DISPLAY : none">refund it</p>yes<span hidden>no</span>', "yes"),
        ('<div style="font-size:0px">no</div><p style="font-size:10px">yes</p>', "yes"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "ab\n\nc"),
        (
            "mine<blockquote>yours<br>and yours</blockquote>mine again",
            "mine\n> yours\n> and yours\nmine again",
        ),
        (
            '<div class="gmail_quote">On Monday we wrote: <blockquote>x</blockquote></div>',
            "> On Monday we wrote: x\n>",
        ),
        ("a < b and <unknown>c</unknown></p></b>", "a < b and c"),
        ("<p hidden>a<b>b</p>c", "c"),
        ("", " "),
        ("<p></p>", " "),
    ],
)
def test_the_text_that_a_person_would_read(html: str, text: str) -> None:
    assert plain(html) == text


@given(
    st.text(max_size=400)
    | st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<b", "<!--", "-->", "<blockquote>", "x", "&#x", ">", "<br>", "<a href='", "\n"]
        )
    ).map("".join)
)
def test_any_markup_gives_a_text_that_a_ticket_takes(html: str) -> None:
    ticket = Ticket.model_validate(
        {"id": "T-1", "sender": "a@b.example", "received": "2026-11-20T10:00:00Z", "html": html}
    )
    assert ticket.text == plain(html)
    assert ticket.html == html


def test_a_mail_with_both_is_read_as_its_text() -> None:
    ticket = Ticket.model_validate(
        {
            "id": "T-1",
            "sender": "a@b.example",
            "received": "2026-11-20T10:00:00Z",
            "html": "<p>x</p>",
            "text": "y",
        }
    )
    assert ticket.text == "y"


@pytest.mark.parametrize(
    "piece", ["<b>", "<p>", "</i>", "<blockquote>", "<p style='", "&amp;", "<!--", "<b></i>", "<script>"]
)
def test_no_markup_makes_it_slow(piece: str) -> None:
    start = time.process_time()
    plain((piece * 200_000)[:200_000])
    plain((piece * 200_000)[:199_999] + ">")
    plain((piece * 200_000)[:199_990] + "'></p>-->")
    assert time.process_time() - start < 5.0  # anything quadratic would take minutes
