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

from .addresses import new_address
from .facts import Address, Item, Order, Product
from .schemas import Details, Intent, Proposal


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.VERBOSE)


_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_WHOLE = _pattern(
    r"""\b(?:whole|entire|complete|full)\ (?:order|thing|lot|parcel|package|set)\b | \beverything\b | \bboth\b
    | \ball\ (?:of\ )?(?:it|them|the|my|two|three|four|five|six|[2-9])\b"""
)
_PART = _pattern(
    r"""\b(?:one|two|three|four|five|none|either|\d+)\ of\b
    | \b(?:some|half|part|partial\w*|only|just|one|single|other|another|else|except|rest|remain\w*)\b
    | \b(?:keep\w*|kept)\b
    | \b(?:apart\ from|all\ but|but\ not|not\ the|instead\ of)\b"""
)
_TWICE = _pattern(
    r"""\b(?:charg|bill|debit|paid|pay|deduct|taken|took|book)\w*\b[^.!?]{0,60}
    \b(?:twice|double|again|(?:two|2)\ times)\b
    | \b(?:double|duplicate|second)[-\ ](?:charg\w+|payment|debit|billing)\b
    | \btwice\b[^.!?]{0,40}\b(?:charg|bill|debit|card)"""
)
_SENT_BACK = _pattern(
    r"""\b(?:i|we)(?:'ve|\ have)?(?:\ already)?\ (?:sent|shipped|posted|brought|gave)\b[^.!?]{0,40}\bback\b
    | \b(?:i|we)(?:'ve|\ have)?(?:\ already)?\ returned\ (?:it|them|the|my|this)\b
    | \bsince\ (?:i|we)\ returned\b"""
)
_NOT_HERE = _pattern(
    r"""\b(?:not|never|n't)\b[^.!?]{0,25}\b(?:arriv|receiv|deliver|got|get|came|come|turned\ up|showed\ up)\w*
    | n't\ [^.!?]{0,15}\b(?:arriv|receiv|deliver)\w*
    | \bempty\b | \bno\ (?:parcel|package|sign)\b | \bstolen\b"""
)
_SHARE = _pattern(
    r"\d\s*(?:%|percent) | \bdiscount | \bvoucher | \bcredit\ note | \bstore\ credit | \breplace | \brepair"
)
_SUM = re.compile(
    r"(?:€|\bEUR|\beuros?)\s*(\d+(?:[.,]\d\d)?)|(\d+(?:[.,]\d\d)?)\s*(?:€|EUR\b|euros?\b)", re.I
)
_CANCEL_ORDER = _pattern(
    r"\b(?:canc\w*|stop|annul\w*|call\ off)\b[^.!?]{0,40}\b(?:order|everything|it|all|SD-\d{4})\b"
)


def find(intent: Intent, mail: str, order: Order, products: Sequence[Product]) -> Details:
    """`mail` is the subject and the customer's own words, `products` the catalogue."""
    match intent:
        case "address":
            address = new_address(mail, order.address)
            return _which(address) if isinstance(address, str) else Details(address=address)
        case "cancel":
            return _all_of_it(mail, order, products)
        case "refund" if _TWICE.search(mail):
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
    if _SENT_BACK.search(mail):
        return Details(doubt="The customer says that something was sent back already.")
    if order.shipment and order.shipment.state == "delivered" and _NOT_HERE.search(mail):
        return Details(
            doubt="The carrier says delivered, and the customer seems to say that it did not arrive."
        )
    if _SHARE.search(mail) or not _sums(mail) <= _known_sums(order):
        return Details(doubt="The mail speaks of a part of the price, or of something in place of money.")
    called = {variant.sku: set(one.called) for one in products for variant in one.variants}
    if strange := _strange(mail, order, called):
        return Details(doubt=strange)
    everything = tuple(Item(sku=line.sku, quantity=line.quantity) for line in order.lines)
    if sum(line.quantity for line in order.lines) == 1:
        return Details(items=everything)
    whole, part = bool(_WHOLE.search(mail)), bool(_PART.search(mail))
    match [line for line in order.lines if _said(mail, called[line.sku])]:
        case [] if whole and not part:
            return Details(items=everything)
        case [line] if line.quantity == 1 and not whole and not part:
            return Details(items=(Item(sku=line.sku, quantity=1),))
        case [line] if len(order.lines) == 1 and not part and (whole or not money):
            if whole or _only_plural(mail, called[line.sku]):
                return Details(items=everything)
        case [_, *_] as meant if len(meant) == len(order.lines) and whole and not part:
            return Details(items=everything)
        case _:
            pass
    return _which(f"{order.number} has several pieces ({order.items}): which of them are meant?")


def _which(doubt: str) -> Details:
    return Details(doubt=doubt, which=True)


def _all_of_it(mail: str, order: Order, products: Sequence[Product]) -> Details:
    """Only whole orders are cancelled: is the whole of it meant?"""
    called = {variant.sku: set(one.called) for one in products for variant in one.variants}
    if strange := _strange(mail, order, called):
        return Details(doubt=strange)
    several = sum(line.quantity for line in order.lines) > 1
    said = [line for line in order.lines if _said(mail, called[line.sku])]
    whole = _WHOLE.search(mail) or (_CANCEL_ORDER.search(mail) and not said)
    if several and (_PART.search(mail) or not whole):
        return Details(
            doubt=f"{order.number} has several pieces ({order.items}): is all of it to be cancelled?"
        )
    return Details()


def _strange(mail: str, order: Order, called: Mapping[str, set[str]]) -> str:
    """A product that the mail names and the order does not have: perhaps it is about another order."""
    own = set[str]().union(*(called[line.sku] for line in order.lines))
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
    return {word.lower().removesuffix("'s").removesuffix("’s") for word in _WORD.findall(mail)}


def _sums(mail: str) -> set[Decimal]:
    return {Decimal((one or other).replace(",", ".")) for one, other in _SUM.findall(mail)}


def _known_sums(order: Order) -> set[Decimal]:
    """Sums that speak of whole pieces: a line's price, or all that was paid."""
    of_lines = {price for line in order.lines for price in (line.price, line.price * line.quantity)}
    return {order.total, order.paid, *of_lines}


# ── which variant ────────────────────────────────────────────────────────────────────────────────

_SIZE = re.compile(
    r"\b(?i:size|in|into|for|to|an?|the|need|want|take|have)\s+(?:(?i:size|an?|the)\s+)*(XS|S|M|L|XL|XXL)\b"
    r"(?!\.\s*[A-Z])|\b(?i:size)\s+([smlSML]|[xX][sSlL])\b"
)
_SIZES = {"small": "S", "medium": "M", "large": "L"}
_FITS_ILL = _pattern(r"\b(?:too|so|very|quite|rather|bit|little|is|are|runs?)\ (?:small|medium|large)\b")
_UNSETTLED = _pattern(
    r"""\b(?:size|number|one)\ (?:up|down)\b | \b(?:bigger|larger|smaller|darker|lighter)\b
    | \b(?:or|either|whichever|any|anything)\b"""
)
_MIXED_UP = _pattern(
    r"""\b(?:sent|got|received|delivered|arrived|came)\b .* \b(?:ordered|instead|wrong)\b
    | \b(?:ordered|instead|wrong)\b .* \b(?:sent|got|received|delivered|arrived|came)\b"""
)
_AFTER_COLOUR = (
    "one ones version colour variant please instead size would if and same in rather as when".split()
)


def _variant(mail: str, found: Details, products: Sequence[Product]) -> Details:
    """The one variant that differs from what was bought in just what the mail names."""
    if len(found.items) != 1:
        return _which("Several lines are to be exchanged: for what, each?")
    sku = found.items[0].sku
    product = next(one for one in products if sku in {variant.sku for variant in one.variants})
    bought = next(variant for variant in product.variants if variant.sku == sku)
    if _MIXED_UP.search(" ".join(mail.split())):
        return Details(
            items=found.items, doubt="The customer seems to have got something else than was ordered."
        )
    colours = _colours(mail, product) - {bought.colour}
    sizes = _sizes(mail, product) - {bought.size}
    kinds = (f"{one.colour} {one.size}".strip() or "one kind" for one in product.variants)
    known = f"There are: {', '.join(kinds)}."
    unsure = len(colours) > 1 or len(sizes) > 1 or not (colours or sizes) or _UNSETTLED.search(mail)
    if unsure or any(_denied(mail, word) for word in colours | sizes):
        return _which(f"Exchange for which variant? {known}")
    kind = (min(colours, default=bought.colour), min(sizes, default=bought.size))
    for one in product.variants:
        if (one.colour, one.size) == kind:
            return Details(items=found.items, wanted=one)
    return _which(f"There is no {' '.join(kind)} of it. {known}")


def _colours(mail: str, product: Product) -> set[str]:
    """Colours of the product that the mail names, and not as the colour of something else."""
    after = "|".join([*_AFTER_COLOUR, *(f"{name}(?:s|es)?" for name in product.called)])
    return {
        one.colour
        for one in product.variants
        if one.colour
        and re.search(
            rf"(?<!my )(?<!our )\b{one.colour}\b(?=\W*$|[^\w\s]|\s+(?:{after})\b)", mail, re.I | re.M
        )
    }


def _sizes(mail: str, product: Product) -> set[str]:
    said = {(one or other).upper() for one, other in _SIZE.findall(mail)}
    words = _words(_FITS_ILL.sub("", mail))
    said |= {short for word, short in _SIZES.items() if word in words} | words
    return said & {one.size for one in product.variants if one.size}


def _denied(mail: str, word: str) -> bool:
    return bool(
        re.search(
            rf"(?:\b(?:not|no|except|than|thing but)|n['’]t)\s+(?:\w+\s+){{0,3}}{word}\b", mail, re.IGNORECASE
        )
    )
