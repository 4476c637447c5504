# ruff: noqa: E501  patterns read better on long lines
"""What mails speak of, as patterns: money, faults, places, sizes. The second reader weighs them beside the
letters; none of them decides anything alone. They are what carries over to wording that nobody foresaw.
"""

from __future__ import annotations

import re

_PATTERNS = {
    "money": r"money|cash|cents?\b|euros?\b|€|\beur\b|\bpa(?:y|id|yments?)\b|\bcard\b|\bbank\b|statement|charged?\b|"
    r"\bbill(?:ed)?\b|\bprice\b|\bsum\b|\bamount\b|paypal|debit|refund|reimburs|compensat|\bowe\b|\bspent\b|deposit",
    "fault": r"br[eo]ke|broken|crack|smash|shatter|shards?\b|chip(?:ped)?\b|\bdent|scratch|\btorn\b|\bleak|\bfaulty|defect|"
    r"n't work|not work|stopped|\bdead\b|\bdied\b|smok|burn|mould|splinter|\bbent\b|\bsoak|\bwet\b|\bholes?\b|in pieces|"
    r"\bruin|snapp|apart|collaps|flicker|\bbuzz|drip|damag|useless|shrank|came off|wobbl|stain|rust|peel",
    "missing": r"missing|\black|empty|incomplete|\blost\b|vanish|stolen|never (?:came|arriv|show|reach|turn)|only (?:one|two|"
    r"three|four|five|half)|instead of (?:two|three|four|five|six|twelve)|nothing (?:in|inside)|disappear",
    "untrue": r"not as (?:describ|advert|shown)|\bfake\b|\bcopy\b|\bplastic\b|polyester|acrylic|\bused\b|second-?hand|sticker|"
    r"not (?:what|real|genuine)|cheat|pretend|advertis|described as",
    "twice": r"twice|\bdouble|two (?:payments|times|charges)|too much|difference|overcharg|second (?:payment|time|charge)",
    "unsent": r"(?:not|n't) (?:yet )?(?:been )?(?:sent|ship|pack|dispatch|left|posted|gone)|before (?:it|you|the) (?:\w+ )?(?:ship|"
    r"sen[dt]|go|leav|pack)|preparation|being (?:packed|prepared)|process|still (?:with you|in your|there|time)|warehouse|"
    r"storeroom|\bpacked\b|awaiting|back order|\bqueue\b|only (?:just|an hour)|this morning|an hour (?:ago|old)|yesterday",
    "unwanted": r"(?:don't|do not|dont|n't|needn't|no need to|please not) (?:\w+ )?(?:send|ship|pack|dispatch|deliver|make|bother)|"
    r"keep it|stay with you|leave it|call(?:ed)? .{0,12}\boff\b|\bscrap\b|\bdrop\b|\bundo\b|\bstop\b|no longer|any ?(?:more|longer)|"
    r"changed? (?:of|my|our) (?:mind|plan)|mistake|by accident|by error|in error|cancel|annul|withdraw|regret|needn't|won't (?:be )?"
    r"need|don't (?:want|need)|nobody (?:here )?(?:wants|needs)|back out|pull out|void\b|reconsider|second thoughts",
    "place": r"address|street\b|\broad\b|\blane\b|avenue|\bflat\b|apartment|\bhouse\b|postcode|\bzip\b|\boffice\b|\bworkplace|"
    r"moved|moving|\bmove\b|relocat|new (?:flat|home|house|place)|\blive\b|parents|\bdoor\b|reception|premises|entrance|\btown\b",
    "somewhere": r"\b\d{1,3}[a-z]? [A-Z]\w+ (?:Street|Road|Lane|Way|Close|Rise|Court|Row|Hill|Drive|Grove|Avenue|Side|Walk|Square)\b|"
    r"\b[A-Z]\w+(?:weg|strasse|straße|gata|gate)? \d{1,3}\b, |\b[A-Z]{1,2}\d{1,2}[A-Z]? \d[A-Z]{2}\b|\b\d{4,5} [A-Z][a-z]+",
    "instead": r"\binstead\b|rather than|in place of|\bnot to\b|from now on|any ?more|no longer|correct|\btypo\b|wrong",
    "back": r"back to you|sen[dt](?:ing)? .{0,25}\bback|\breturn|take .{0,20}\bback|hand .{0,20}\bback|giv(?:e|ing) .{0,20}\bback|"
    r"bring .{0,20}\bback|withdraw|go(?:es)? back|home to you|\blabel\b|pick(?:ed)? .{0,20}\bup\b|collect|come back|to you again|"
    r"post it|put it back|way to you",
    "unloved": r"(?:doesn't|does not|don't|do not|not) (?:like|fit|suit|match|go with|please)|too (?:big|small|large|dark|bright|heavy|"
    r"long|short|wide|narrow|high|low|loud|tight|modern)|(?:my|our) (?:taste|style|thing)|unused|unopened|\btags?\b|original (?:box|"
    r"pack)|nothing wrong|no fault|not (?:broken|keep)|no (?:room|place|use)|as new|never used|immaculate|\bsealed\b|still (?:in|wrapped)",
    "variant": r"\bsizes?\b|\bcolou?rs?\b|\b(?:XS|S|M|L|XL|XXL)\b|larger|smaller|bigger|wider|longer|shorter|version|variant|model\b|"
    r"\b(?:3[5-9]|4[0-6])\b|(?:in|the) (?:blue|red|green|grey|gray|black|white|yellow|navy|cream|brown|orange|pink)|left-hand|right-hand",
    "swap": r"exchang|\bswap|\bswop|\btrade|\bswitch|chang(?:e|ing) (?:it|them|this|that|the) .{0,20}(?:for|to|into)|replace|"
    r"other one|different|next size|one size|the same (?:one )?in|right one|could (?:be|become)|turn(?:ed)? into|in return for",
    "where": r"\bwhere\b|\bwhen\b|how long|\beta\b|status|track|on (?:its|the) way|whereabouts|which day|what day|waiting|still (?:no|"
    r"not|nothing)|\blate\b|overdue|delay|expect|any (?:news|update|sign|word|idea)|heard nothing|due\b|in time|by then|silence",
    "carrier": r"courier|carrier|driver|\bvan\b|post(?:man|ie)|depot|parcel shop|parcel|northline|gull post|tern\b|dpx|delivery",
    "arrived": r"arrived|\bcame\b|\bcome\b|received|opened|unpack|delivered|\bgot\b|\bhere\b|reached",
    "paper": r"invoice|receipt|\bvat\b|\btax\b|password|log ?in|newsletter|unsubscribe|account\b|wholesale|trade price|\bcv\b|apply|"
    r"partner|review|warranty|instruction|manual|spare|repair|gift|wrap|discount|voucher|stock|before i|policy|thank",
    "two": r"\balso\b|and another|second(?:ly)?[,:]|besides|while (?:you're|i'm)|two (?:things|questions)|\bps\b|by the way|either|or else|otherwise",
    "asks": r"\?",
}  # fmt: skip
_CASES = {"somewhere"}
"""Where capital letters tell a street from other words."""
_COMPILED = {
    name: re.compile(pattern, 0 if name in _CASES else re.IGNORECASE) for name, pattern in _PATTERNS.items()
}


def themes(text: str) -> set[str]:
    """What a text speaks of: `@money`, `@back`."""
    plain = text.replace("\u2019", "'")
    return {f"@{name}" for name, pattern in _COMPILED.items() if pattern.search(plain)}
