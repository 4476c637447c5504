"""The new delivery address in a mail, where it can be read for certain; else why not. Plain code, and pure.

A parcel that goes to the wrong door is lost. So an address is taken word for word, and only if it is the
one address in the mail besides the order's own, complete in street, postcode and town, and nothing near it
speaks of a flat, another person, another country, or of the place where the customer used to live.
"""

from __future__ import annotations

import re

from .facts import Address

_UPPER = "A-ZÀ-ÖØ-Þ"
_NAME = rf"[{_UPPER}][\w'’-]*\.?"
_TOWN = rf"[{_UPPER}][\w'’-]*"
_PLACE = rf"{_TOWN}(?:[ -]{_TOWN}){{0,2}}"
_MORE = rf"(?:[ ](?:de|la|le|du|des|der|den|of|the|van|von|{_NAME})){{0,4}}"
_ADDRESS = re.compile(
    rf"(?P<street>\b\d{{1,4}}[a-z]?[ ]+(?:rue |via |calle )?{_NAME}{_MORE}"
    rf"|\b{_NAME}{_MORE}[ ]\d{{1,4}}[a-z]?)"
    r"[ ]*(?:,[ ]*\n?|\n)[ ]*"
    rf"(?:(?P<postcode>\d{{4,5}})[ ]+(?P<city>{_PLACE}?)|(?P<town>{_PLACE})[ ]+(?P<code>\d{{4,5}}))"
    r"(?=[ ]*(?:[.,;!?)\n]|$|instead\b|please\b|thank))"
)
_NO_STREET = frozenset("address new to at my our please send deliver ship it is flat unit apt floor".split())
_LAST_SENTENCE = re.compile(r"(?:.*(?:[.!?:]\s|\n\n))?(.*)$", re.DOTALL)
_ORDER_NUMBER = re.compile(r"\bSD[- ]?\d+|\border (?:number |no\.? )?#?\d+", re.IGNORECASE)
_OLD = re.compile(
    r"\b(?:old|from(?! (?:now|then|next|tomorrow|\w+day)\b)|instead|not|no longer|previous|former|wrong"
    r"|used to)\b|n['’]t\b",
    re.IGNORECASE,
)
_AS_IT_IS = re.compile(
    r"\bnot there\b|\bas (?:planned|ordered)\b|\b(?:leave|keep) (?:it|the address)\b", re.IGNORECASE
)
_ASKS = re.compile(r"[^.!\n]{0,40}\?")
_REQUEST = re.compile(r"\b(?:can|could|would|will|may|might|please|possible|mind|too late)\b", re.IGNORECASE)
_RIGHT = re.compile(r"\b(?:should be|must be|is now|correct (?:one |address )?is)\b", re.IGNORECASE)
_MORE_OF_IT = re.compile(r",[ ]*(?!Thank|Please|Best|Kind|Many|Regards|Cheers|I\b|We\b)[A-Z0-9]")
_CLOSING = re.compile(
    r"^\s*(?:(?:kind|best|warm|many) )?(?:regards|wishes|thanks|thank you|cheers|sincerely|yours)\b.{0,25}$",
    re.IGNORECASE | re.MULTILINE,
)
_SOMEWHERE_ELSE = re.compile(
    r"\bc/o\b|\b(?:care of|attn|neighbou?r\w*|office|company|reception|floor|apartment|apt|flat|unit|suite"
    r"|locker|friend\w*|sister\w*|brother\w*|parents?|mother\w*|father\w*|wife|husband|son|daughter|aunt|uncle"
    r"|colleague\w*|hotel|hospital|mr|mrs|ms|dr|recipient|p\.? ?o\.? box|pick[- ]?up|invoice|billing)\b",
    re.IGNORECASE,
)
_ABROAD = re.compile(
    r"\b(?:germany|deutschland|austria|switzerland|france|italy|spain|portugal|belgium|netherlands|denmark"
    r"|norway|sweden|finland|poland|ireland|england|scotland|britain|uk|usa|united (?:states|kingdom)|canada"
    r"|abroad)\b",
    re.IGNORECASE,
)


def new_address(mail: str, current: Address) -> Address | str:
    """The address in the mail that is not the order's own, or why a person has to look."""
    if _SOMEWHERE_ELSE.search(mail):
        return "The mail speaks of somebody else's place, of a flat, floor or office, or of an invoice."
    if _AS_IT_IS.search(mail):
        return "The mail seems to say that the address is to stay as it is."
    if _ABROAD.search(mail):
        return "The mail speaks of another country."
    found: list[Address] = []
    begin = 0
    for match in _ADDRESS.finditer(mail):
        before, begin = mail[begin : match.start()], match.end()
        street = re.sub(r"\s+", " ", match["street"])
        code, city = match["postcode"] or match["code"], match["city"] or match["town"]
        address = Address(street=street, postcode=code, city=city)
        if str(address).casefold() == str(current).casefold() or address in found:
            continue
        if doubt := _doubt(before, street):
            return doubt
        if _MORE_OF_IT.match(mail, match.end()):
            return "The address in the mail goes on after the town."
        if _ASKS.match(mail, match.end()) and not _REQUEST.search(before):
            return "The mail may only ask about this address."
        if _CLOSING.search(mail, 0, match.start()):
            return "The address in the mail may be only the sender's signature."
        found.append(address)
    if len(found) == 1:
        return found[0]
    return (
        f"The mail has {'several new addresses' if found else 'no new address that can be read for certain'}."
    )


def _doubt(before: str, street: str) -> str:
    """`before` is the mail from the last address to this one."""
    lead = _LAST_SENTENCE.match(before)
    said = _ORDER_NUMBER.sub("", lead[1] if lead else before)
    if re.search(r"\d", said) or street.split(maxsplit=1)[0].lower() in _NO_STREET:
        return "The address in the mail has more parts than street, postcode and town."
    if _OLD.search(_RIGHT.split(said)[-1]):
        return "The address in the mail may be an old one."
    return ""
