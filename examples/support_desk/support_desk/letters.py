"""Letters to customers: the templates, and the check that a model's letter has to pass.

A reply states facts about money and parcels, and it promises. So a letter that a model wrote goes out
only if every number, amount, date and link in it is one of the outcome's, the outcome's own facts are in
it, and it promises nothing. Otherwise the customer gets the template, which is dry and always true.
"""

from __future__ import annotations

import re

from .schemas import Outcome, Reply, Ruling, Shipment, Ticket

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
        case "informed":
            return _whereabouts(action.number or "", action.shipment)
        case "declined":
            return (
                f"thank you for writing. {ruling.reason} If you think that is wrong, just answer this mail."
            )
        case "refused":
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

_ORDER = re.compile(r"\bSD[- ]?\d+", re.IGNORECASE)
_NUMBER = re.compile(r"\d[\d.,-]*\d|\d")
_ELSEWHERE = re.compile(r"https?:|www\.|@|\b[\w-]+\.(?:com|net|org|io|example)\b", re.IGNORECASE)
_PROMISE = re.compile(
    r"\b(?:guarantee|promise|voucher|coupon|discount|compensat\w*|free of charge|for free|gift|bonus|credit"
    r"|we will|we'll|i will|i'll|you will (?:get|receive)|you'll (?:get|receive)|shall)\b",
    re.IGNORECASE,
)
_DONE = {
    "refunded": re.compile(r"\b(?:refund\w*|return(?:ed|ing)?|paid back|money back)\b", re.IGNORECASE),
    "cancelled": re.compile(r"\bcancel\w*\b", re.IGNORECASE),
}
_PLACEHOLDER = re.compile(r"[\[{<][^\]}>\n]{1,40}[\]}>]")


def faults(reply: Reply, action: Outcome) -> list[str]:
    """What a model's letter says that the outcome does not bear out, or leaves out; empty when it may go."""
    text = f"{reply.subject}\n{reply.text}"
    found: list[str] = []
    if action.kind not in GOOD_NEWS:
        found.append(f"'{action.kind}' is told in the shop's own words")
    if action.number is None or action.number not in text:
        found.append("the order number is missing")
    known = _known(action)
    spoken = _ORDER.sub(lambda match: "" if match[0] == action.number else match[0], text)
    for tracking in known & set(re.findall(r"\b[A-Z]{2}\d{9}\b", text)):
        spoken = spoken.replace(tracking, "")
    found.extend(
        f"'{number}' is no fact of this outcome"
        for number in _NUMBER.findall(spoken)
        if number.rstrip(".,-") not in known
    )
    if action.amount is not None and str(action.amount) not in text:
        found.append("the amount is missing")
    if action.shipment is not None and action.shipment.tracking not in text:
        found.append("the tracking number is missing")
    for kind, said in _DONE.items():
        if kind == action.kind and not said.search(text):
            found.append(f"it does not say that the order was {kind}")
        if (
            kind != action.kind
            and said.search(text)
            and not (kind == "refunded" and action.amount is not None)
        ):
            found.append(f"it speaks of an order {kind}")
    for pattern, fault in (
        (_PROMISE, "it promises"),
        (_ELSEWHERE, "it sends the customer elsewhere"),
        (_PLACEHOLDER, "a gap was left open"),
    ):
        if match := pattern.search(text):
            found.append(f"{fault}: '{match[0]}'")
    return found


def _known(action: Outcome) -> set[str]:
    """Every number that the letter may hold, as it may be written."""
    known: set[str] = set()
    if action.amount is not None:
        known |= {str(action.amount), str(action.amount).removesuffix(".00")}
    if parcel := action.shipment:
        known.add(parcel.tracking)
        known |= {
            day.isoformat() for day in (parcel.shipped, parcel.expected, parcel.delivered) if day is not None
        }
    return known
