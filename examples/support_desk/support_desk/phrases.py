"""Phrases in mails that the desk knows, as patterns: most of them are reasons to leave a mail to a person.

They are wide on purpose. A mail that is left to a person for nothing costs a minute; one that is misread
costs money, or a customer. All are English: a mail in another language rarely passes the second reader.
"""

from __future__ import annotations

import re


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.VERBOSE)


WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
WHOLE = pattern(
    r"""\b(?:whole|entire|complete|full)\ (?:order|thing|lot|parcel|package|set)\b | \beverything\b | \bboth\b
    | \ball\ (?:of\ )?(?:it|them|the|my|two|three|four|five|six|[2-9])\b"""
)
"""All of it is meant."""
PART = pattern(
    r"""\b(?:one|two|three|four|five|none|either|\d+)\ of\b
    | \b(?:some|half|part|partial\w*|only|just|one|single|other|another|else|except|rest|remain\w*)\b
    | \b(?:keep\w*|kept)\b
    | \b(?:apart\ from|all\ but|but\ not|not\ the|instead\ of)\b"""
)
"""Not all of it is meant, or perhaps not. It only matters where there are several pieces."""
SOME_OF_THEM = pattern(r"\b(?:one|two|three|some|none)\ of\ (?:them|these|those)\b")
"""There is more than one."""
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
FINE = pattern(
    r"\b(?:fine|perfect|lovely|great|wonderful|ok|okay|all\ right|keep|keeping|kept|works|happy)\b"
)
NOT_ONLY_FINE = pattern(
    r"""\b(?:no|not|never|but|except|only|if|too|one|back|money|return\w*|refund\w*|exchang\w*)\b
    | n['’]t\b | ,"""
)
"""A sentence with the first and without the second praises or keeps something, and says nothing else."""
TWICE = pattern(
    r"""\b(?:charg|bill|debit|paid|pay|deduct|taken|took|book)\w*\b[^.!?]{0,60}
    \b(?:twice|double|again|(?:two|2)\ times)\b
    | \b(?:double|duplicate|second)[-\ ](?:charg\w+|payment|debit|billing)\b
    | \btwice\b[^.!?]{0,40}\b(?:charg|bill|debit|card)"""
)
"""Paid twice."""
SENT_BACK = pattern(
    r"""\b(?:i|we)(?:'ve|\ have)?(?:\ already)?\ (?:sent|shipped|posted|brought|gave)\b[^.!?]{0,40}\bback\b
    | \b(?:i|we)(?:'ve|\ have)?(?:\ already)?\ returned\ (?:it|them|the|my|this)\b
    | \bsince\ (?:i|we)\ returned\b"""
)
"""Something is on its way to us already."""
NOT_HERE = pattern(
    r"""(?:\bnot|\bnever|n['’]t|\bneither)\ (?:(?:yet|been|even|actually|ever|have|was|it)\ ){0,2}
    (?:arriv|receiv|deliver|got|get|came|come|turn|show|reach|there|here)\w*
    | \bnothing\b[^.!?]{0,20}\b(?:arriv|came|come|receiv|inside|in\ the)\w*
    | \bempty\b | \bno\ (?:parcel|package|sign)\b | \bstolen\b"""
)
"""It did not arrive; of a parcel that the carrier says was delivered."""
SHARE = pattern(
    r"""\d\s*(?:%|percent) | \b(?:discount|voucher|reduction|compensat\w*|goodwill|partial\w*|half)\b
    | \b(?:difference|cheaper)\b
    | \b(?:credit\ note|store\ credit|(?:part|some)\ of\ (?:the|my)\ (?:price|money)|price\ (?:drop|match))\b
    | \b(?:shipping|delivery|return)\ (?:cost|fee|charge)s?\b | \bpostage\b | \bVAT\b"""
)
"""A part of the price, or something in place of money."""
INCOMPLETE = pattern(r"\b(?:missing|incomplete|lacks?|lacking)\b")
"""Not all of one piece is there."""
OWN_DOING = pattern(
    r"""\b(?:i|we|(?:my|our)\ (?:\w+\ )?(?:cat|dog|child|kids?|son|daughter|toddler|baby|husband|wife))
    (?:['’]ve|\ have|\ has|\ had)?\ (?:\w+\ )?
    (?:dropp|knock|broke|spill|spilt|chew|tore|ripp|scratch|stain|wash|stepp|sat\ on|crack|burn|melt|smash)
    | \b(?:accidentally | my\ (?:own\ )?(?:fault|clumsi\w+|carelessness))\b"""
)
"""Perhaps it did not arrive broken."""
ANOTHER_CARD = pattern(
    r"""\bIBAN\b | \b(?:new|other|another|different)\ (?:\w+\ )?(?:card|account)\b | \baccount\ number\b
    | \b(?:to|into|via)\ (?:my\ )?pay\ ?pal\b | \b(?:send|refund|pay)\b[^.!?]{0,40}\bby\ (?:cheque|transfer)\b
    | \b(?:card|account)\ (?:that\ (?:\w+\ ){1,4})?(?:is|was|has|has\ been|got)\ (?:\w+\ )?
      (?:closed|cancell?ed|expired|lost|blocked|stolen|replaced)\b"""
)
"""The money is to go elsewhere than to the card that paid."""
NOT_WANTED = pattern(
    r"""(?:\b(?:do|does|did|please|should)\ not|n['’]t|\bnever)
    \ (?:(?:want|need|wish|ask\w*|you|to|an?|any|the|my|for|me)\ ){0,4}
    (?:cancel|refund|return|exchang|swap|chang|send\ (?:it\ |them\ )?back|money\ back)"""
)
"""What is not wanted."""
MONEY, OTHER_ONE = r"\brefund\w*|\bmoney\ back\b", r"\bexchang\w*|\bswap\w*|\breplac\w*|\brepair\w*"
ANOTHER_WISH = {
    "refund": pattern(OTHER_ONE),
    "return": pattern(OTHER_ONE),
    "exchange": pattern(MONEY),
    "address": pattern(rf"\bcancel\w*|{MONEY}|{OTHER_ONE}"),
    "cancel": pattern(rf"\baddress\b|{OTHER_ONE}"),
}
"""By intent: words of a second, different wish."""
SUM = re.compile(r"(?:€|\bEUR|\beuros?)\s*(\d+(?:[.,]\d\d)?)|(\d+(?:[.,]\d\d)?)\s*(?:€|EUR\b|euros?\b)", re.I)
"""Amounts of money."""
CANCEL_ORDER = pattern(
    r"\b(?:canc\w*|stop|annul\w*|call\ off)\b[^.!?]{0,40}\b(?:order|everything|it|all|SD-\d{4})\b"
)
"""It is the order that is to be cancelled, not a piece of it."""


SIZE = re.compile(
    r"\b(?i:size|in|into|for|to|an?|the|need|want|take|have)\s+(?:(?i:size|an?|the)\s+)*(XS|S|M|L|XL|XXL)\b"
    r"(?!\.\s*(?!(?:Thanks?|Please|Can|Could|Would|Is|It|I|We|The|My|Best|Kind|Regards|Cheers|Sorry|If)\b)[A-Z])"
    r"|\b(?i:size)\s+([smlSML]|[xX][sSlL])\b"
)
"""A size as a letter, where the words around it make it one, as in "to L. Please", and not an initial."""
SIZES = {"small": "S", "medium": "M", "large": "L"}
FITS_ILL = pattern(r"\b(?:too|so|very|quite|rather|bit|little|is|are|runs?)\ (?:small|medium|large)\b")
"""`small` and `large` as complaints, not as sizes."""
UNSETTLED = pattern(
    r"""\b(?:size|number|one)\ (?:up|down)\b | \b(?:bigger|larger|smaller|darker|lighter)\b
    | \b(?:or|either|whichever|any|anything)\b"""
)
"""Another variant, and no word which."""
MIXED_UP = pattern(
    r"""\b(?:sent|got|received|delivered|arrived|came)\b .* \b(?:ordered|instead|wrong)\b
    | \b(?:ordered|instead|wrong)\b .* \b(?:sent|got|received|delivered|arrived|came)\b"""
)
"""They got something else than they ordered: what is in their hands is not what our books say."""
AFTER_COLOUR = (
    "one ones version colour variant please instead size would if and same in rather as when".split()
)
"""Words after a colour that leave it the colour of our product, and not of trousers."""
