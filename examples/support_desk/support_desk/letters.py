"""Letters to customers: the templates, and the check that a model's letter has to pass.

A reply states facts about money and parcels. So the model is given the template and may only make it kinder:
what it wrote goes out if every word, figure and sign in it is the template's or mere courtesy, and no fact
was lost. Otherwise the customer gets the template itself, which is dry and always true.
"""

from __future__ import annotations

import re

from .facts import Shipment
from .schemas import Outcome, Reply, Ruling, Ticket

GOOD_NEWS = ("refunded", "cancelled", "informed")
"""Outcomes that a model may tell; every other letter is the template."""
SIGNATURE = "Kind regards,\nHarbour Goods"


def letter(ticket: Ticket, ruling: Ruling, action: Outcome) -> Reply:
    """The template with the facts of `action`: the fallback of the reply."""
    return Reply(subject=_subject(ticket), text=f"Hello,\n\n{_body(ruling, action)}\n\n{SIGNATURE}")


def _body(ruling: Ruling, action: Outcome) -> str:
    match action.kind:
        case "refunded":
            return (
                f"we have returned {action.amount} EUR for order {action.number} to the card you paid with."
                " Banks take up to five working days to show it."
            )
        case "cancelled" if action.amount is not None:
            return (
                f"order {action.number} is cancelled, and we have returned {action.amount} EUR to the card"
                " you paid with."
            )
        case "cancelled":
            return f"order {action.number} is cancelled."
        case "readdressed":
            return f"order {action.number} has not left us yet, and we now send it to {action.address}."
        case "return_opened" if action.registered is not None:
            return (
                f"we expect this of order {action.number} back: {action.registered.what}. Please put the"
                f" number {action.registered.rma} on the parcel. What you paid for it goes back to your card"
                " when it arrives."
            )
        case "exchange_opened" if action.registered is not None:
            return (
                f"we have put {action.registered.wanted_what} aside for you, in exchange for"
                f" {action.registered.what} of order {action.number}. Please put the number"
                f" {action.registered.rma} on the parcel that you send us; yours leaves when it arrives."
            )
        case "informed":
            return _whereabouts(action.number or "", action.shipment)
        case "declined":
            return (
                f"thank you for writing. {ruling.reason} If you think that is wrong, just answer this mail."
            )
        case "refused" | "return_opened" | "exchange_opened":
            return (
                f"we looked into your request about order {action.number} and could not carry it out as you"
                " asked. If you would like a colleague to look again, just answer this mail."
            )
        case "handed_over":
            return "thank you for writing. A colleague has taken this over and writes to you in person."


def _whereabouts(number: str, parcel: Shipment | None) -> str:
    if parcel is None:
        return f"order {number} has not left us yet. You get a mail with the tracking number when it does."
    track = f"{parcel.carrier}, tracking number {parcel.tracking}"
    match parcel.state:
        case "in_transit":
            return (
                f"your order {number} left us on {parcel.shipped} with {track}."
                f" It is expected on {parcel.expected}."
            )
        case "delivered":
            return f"your order {number} was delivered on {parcel.delivered} ({track})."
        case "lost":
            return f"the carrier could not find the parcel of order {number} ({track})."


def _subject(ticket: Ticket) -> str:
    subject = re.sub(r"\s+", " ", ticket.subject).strip() or "Your message"
    return subject[:100] if subject.lower().startswith("re:") else f"Re: {subject[:100]}"


# ── what a model wrote ───────────────────────────────────────────────────────────────────────────

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_FIGURE = re.compile(r"\S*\d\S*")
_ODD = re.compile(r"[^\w\s.,;:!?'’\"()–-]")
_COURTESY = frozenset(
    """
    a about all also an and any apologies apologize are as at be been best by can contacting
    customer day dear for from glad good happy has have hello help hi hope i if in inconvenience
    inform informed is it kind kindly know let mail message morning of on our patience please
    pleased questions regards sincerely sorry team thank thanks that the this to understanding very
    warm was we were with writing you your
    """.split()
)
_SAME_AS = {
    "refunded": frozenset("amount payment refund refunded".split()),
    "cancelled": frozenset("amount canceled cancellation payment refunded requested".split()),
    "informed": frozenset("arrive delivery package parcel sent shipped shipping way".split()),
}


def faults(text: str, draft: str, action: Outcome) -> list[str]:
    """What a model's version of `draft` says that the draft does not, or leaves out; empty when it may go.

    It may use the draft's words, words of courtesy, and other names for what was done; a word, figure or sign
    beyond these may say anything, so it may not go. Strict on purpose: the template is always good enough.
    """
    words = _words(draft) | _COURTESY | _SAME_AS.get(action.kind, frozenset())
    strange = (_words(text) - words) | (_figures(text) - _figures(draft)) | set(_ODD.findall(text))
    missing = sorted(_facts(action) - _figures(text))
    found = [f"'{one}' is not in the facts" for one in sorted(strange)] + [
        f"'{one}' is missing" for one in missing
    ]
    if action.kind not in GOOD_NEWS:
        found.append(f"'{action.kind}' is told in the shop's own words")
    return found


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(_FIGURE.sub("", text.replace("’", "'")))}


def _figures(text: str) -> set[str]:
    """Everything with a digit in it, as it is written."""
    return {figure.strip(".,;:!?()'\"") for figure in _FIGURE.findall(text)}


def _facts(action: Outcome) -> set[str]:
    """What a letter about the outcome cannot leave out."""
    facts = (action.number, action.amount, action.shipment and action.shipment.tracking)
    return {str(fact) for fact in facts if fact is not None}
