"""What a mail says beyond intent and order number: which pieces, which variant, which address. Plain code.

Every finding is a fact of the order or of the catalogue that the mail names, and it is found only where one
reading is possible; anything else is a doubt, in words for the colleague who takes over. So this module
understands little, on purpose: "all but the lamp" is left to a person. It is pure: text and facts in,
`Details` out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import ValidationError

from . import phrases
from .addresses import new_address
from .facts import Address, Item, Order, Product
from .schemas import Details, Intent, Proposal


def find(intent: Intent, mail: str, order: Order, products: Sequence[Product]) -> Details:
    """`mail` is the subject and the customer's own words, `products` the catalogue."""
    other = phrases.ANOTHER_WISH.get(intent)
    if other and (more := other.search(mail) or phrases.NOT_WANTED.search(mail)):
        return Details(doubt=f"The mail also says '{more[0]}': what is wanted?")
    if intent in ("refund", "cancel") and (card := phrases.ANOTHER_CARD.search(mail)):
        return Details(doubt=f"The mail says '{card[0]}', and money goes back to the card that paid.")
    match intent:
        case "address":
            address = new_address(mail, order.address)
            return _which(address) if isinstance(address, str) else Details(address=address)
        case "cancel":
            return _all_of_it(mail, order, products)
        case "refund" if phrases.TWICE.search(mail):
            return Details(paid_twice=True)
        case "refund" | "return":
            return _pieces(mail, order, products, money=intent == "refund")
        case "exchange":
            found = _pieces(mail, order, products, money=False)
            return found if found.doubt else _variant(mail, found, products)
        case "track" | "other":
            return Details()


def borne_out(proposal: Proposal, mail: str, order: Order, products: Sequence[Product]) -> Details:
    """A model's reading as details, as far as the mail and the facts bear it out; with a doubt otherwise."""
    variants = {variant.sku: variant for one in products for variant in one.variants}
    wanted, address = variants.get(proposal.wanted_sku), None
    if proposal.street:
        parts = (proposal.street, proposal.postcode, proposal.city)
        if not all(part and part in mail for part in parts):
            return Details(doubt="The mail does not say this address.")
        try:
            address = Address(street=parts[0], postcode=parts[1], city=parts[2])
        except ValidationError:
            return Details(doubt="This is no address of ours.")
    return Details(items=proposal.items, wanted=wanted, address=address)


# ── which pieces ─────────────────────────────────────────────────────────────────────────────────


def _pieces(mail: str, order: Order, products: Sequence[Product], *, money: bool) -> Details:
    if phrases.SENT_BACK.search(mail):
        return Details(doubt="The customer says that something was sent back already.")
    if order.shipment and order.shipment.state == "delivered" and phrases.NOT_HERE.search(mail):
        return Details(
            doubt="The carrier says delivered, and the customer seems to say that it did not arrive."
        )
    if money and phrases.OWN_DOING.search(mail):
        return Details(doubt="It seems to have been whole when it came, and broken by the customer.")
    if phrases.SHARE.search(mail) or not _sums(mail) <= _known_sums(order):
        return Details(doubt="The mail speaks of a part of the price, or of something in place of money.")
    called = {variant.sku: set(one.called) for one in products for variant in one.variants}
    if strange := _strange(mail, order, called):
        return Details(doubt=strange)
    everything = tuple(Item(sku=line.sku, quantity=line.quantity) for line in order.lines)
    if sum(line.quantity for line in order.lines) == 1:
        if not money and phrases.SOME_OF_THEM.search(mail):
            return Details(doubt=f"The mail speaks of several, and {order.number} is {order.items}.")
        if money and phrases.INCOMPLETE.search(mail):
            return Details(
                doubt="Something seems to be missing of the one piece: is all of its price asked for?"
            )
        return Details(items=everything)
    about = _without_what_is_fine(mail)
    whole, part = bool(phrases.WHOLE.search(about)), bool(phrases.PART.search(about))
    match [line for line in order.lines if _said(about, called.get(line.sku, set()))]:
        case [] if whole and not part:
            return Details(items=everything)
        case [line] if line.quantity == 1 and not whole and not part:
            return Details(items=(Item(sku=line.sku, quantity=1),))
        case [line] if len(order.lines) == 1 and not part and (whole or not money):
            if whole or _only_plural(about, called.get(line.sku, set())):
                return Details(items=everything)
        case [_, *_] as meant if len(meant) == len(order.lines) and whole and not part:
            return Details(items=everything)
        case _:
            pass
    return _which(f"{order.number} has several pieces ({order.items}): which of them are meant?")


def _without_what_is_fine(mail: str) -> str:
    """The mail without sentences that only praise or keep something: it is not about those pieces."""
    return " ".join(
        said
        for said in phrases.SENTENCE.findall(mail)
        if phrases.NOT_ONLY_FINE.search(said) or not phrases.FINE.search(said)
    )


def _which(doubt: str) -> Details:
    return Details(doubt=doubt, which=True)


def _all_of_it(mail: str, order: Order, products: Sequence[Product]) -> Details:
    """Only whole orders are cancelled: is the whole of it meant?"""
    called = {variant.sku: set(one.called) for one in products for variant in one.variants}
    if strange := _strange(mail, order, called):
        return Details(doubt=strange)
    several = sum(line.quantity for line in order.lines) > 1
    whole = phrases.WHOLE.search(mail) or (
        phrases.CANCEL_ORDER.search(mail) and not _some_of_it(mail, order, called)
    )
    if several and (phrases.PART.search(mail) or not whole):
        return Details(
            doubt=f"{order.number} has several pieces ({order.items}): is all of it to be cancelled?"
        )
    return Details()


def _some_of_it(mail: str, order: Order, called: Mapping[str, set[str]]) -> bool:
    """Whether the mail names pieces, and so perhaps not all. "My mugs" are all of an order of mugs."""
    said = [line for line in order.lines if _said(mail, called.get(line.sku, set()))]
    if len(order.lines) == 1 and said:
        return said[0].quantity > 1 and not _only_plural(mail, called.get(said[0].sku, set()))
    return bool(said)


def _strange(mail: str, order: Order, called: Mapping[str, set[str]]) -> str:
    """A product that the mail names and the order does not have: perhaps it is about another order."""
    own = set[str]().union(*(called.get(line.sku, set()) for line in order.lines))
    others = _said(mail, set[str]().union(*called.values())) - own
    return f"The mail speaks of '{min(others)}', and {order.number} is {order.items}." if others else ""


def _said(mail: str, names: set[str]) -> set[str]:
    """Those of `names` that the mail says, in the singular or the plural."""
    words = _words(mail)
    return {name for name in names if words & {name, f"{name}s", f"{name}es"}}


def _only_plural(mail: str, names: set[str]) -> bool:
    words = _words(mail)
    return not words & names and any(words & {f"{name}s", f"{name}es"} for name in names)


def _words(mail: str) -> set[str]:
    return {word.lower().removesuffix("'s").removesuffix("’s") for word in phrases.WORD.findall(mail)}


def _sums(mail: str) -> set[Decimal]:
    return {Decimal((one or other).replace(",", ".")) for one, other in phrases.SUM.findall(mail)}


def _known_sums(order: Order) -> set[Decimal]:
    """Sums that speak of whole pieces: a line's price, or all that was paid."""
    of_lines = {price for line in order.lines for price in (line.price, line.price * line.quantity)}
    return {order.total, order.paid, *of_lines}


# ── which variant ────────────────────────────────────────────────────────────────────────────────


def _variant(mail: str, found: Details, products: Sequence[Product]) -> Details:
    """The one variant that differs from what was bought in just what the mail names."""
    if len(found.items) != 1:
        return _which("Several lines are to be exchanged: for what, each?")
    sku = found.items[0].sku
    product = next((one for one in products if sku in {variant.sku for variant in one.variants}), None)
    if product is None:
        return _which("The catalogue does not have it any more: exchange for what?")
    bought = next(variant for variant in product.variants if variant.sku == sku)
    if phrases.MIXED_UP.search(" ".join(mail.split())):
        return Details(
            items=found.items, doubt="The customer seems to have got something else than was ordered."
        )
    colours = _colours(mail, product) - {bought.colour}
    sizes = _sizes(mail, product) - {bought.size}
    kinds = (f"{one.colour} {one.size}".strip() or "one kind" for one in product.variants)
    known = f"There are: {', '.join(kinds)}."
    unsure = len(colours) > 1 or len(sizes) > 1 or not (colours or sizes) or phrases.UNSETTLED.search(mail)
    if unsure or any(_denied(mail, word) for word in colours | sizes):
        return _which(f"Exchange for which variant? {known}")
    kind = (min(colours, default=bought.colour), min(sizes, default=bought.size))
    for one in product.variants:
        if (one.colour, one.size) == kind:
            return Details(items=found.items, wanted=one)
    return _which(f"There is no {' '.join(kind)} of it. {known}")


def _colours(mail: str, product: Product) -> set[str]:
    """Colours of the product that the mail names, and not as the colour of something else."""
    after = "|".join([*phrases.AFTER_COLOUR, *(f"{name}(?:s|es)?" for name in product.called)])
    return {
        one.colour
        for one in product.variants
        if one.colour
        and re.search(
            rf"(?<!my )(?<!our )\b{one.colour}\b(?=\W*$|[^\w\s]|\s+(?:{after})\b)", mail, re.I | re.M
        )
    }


def _sizes(mail: str, product: Product) -> set[str]:
    said = {(one or other).upper() for one, other in phrases.SIZE.findall(mail)}
    words = _words(phrases.FITS_ILL.sub("", mail))
    said |= {short for word, short in phrases.SIZES.items() if word in words} | words
    return said & {one.size for one in product.variants if one.size}


def _denied(mail: str, word: str) -> bool:
    return bool(
        re.search(
            rf"(?:\b(?:not|no|except|than|thing but)|n['’]t)\s+(?:\w+\s+){{0,3}}{word}\b", mail, re.IGNORECASE
        )
    )
