"""Private data with a shape of its own: e-mail, card, IBAN, SSN, IP address, telephone.

The one pass over a text stops at what such a value must contain (an @, two groups of digits with a dot
between, a country's letters and two digits); each function here reads the value around that place, and
says yes only where check digits, issued ranges or the words beside it do.
"""

from __future__ import annotations

import re

from . import checks

Found = tuple[int, int, str] | None
"""Start, end, kind."""

# ── e-mail ──

_LOCAL_BACKWARDS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~\-]{1,64}")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9\-]{2,59}|[^\W\d_]{2,24})")
_LITERAL_DOMAIN = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3})\]")
_QUOTED_LOCAL_BACKWARDS = re.compile(r'\\?"[^"\\\n@]{1,64}\\?"')
_NO_TOP_DOMAIN = frozenset(
    "png jpg jpeg gif svg webp ico css js mjs json html htm xml yaml yml toml txt lock map tsx jsx local "
    "localhost internal localdomain lan service socket target timer mount git exe dll md5 sha256 py".split()
)
_NOBODY = frozenset({"openssh.com", "libssh.org", "lists.sourceforge.net"})
_LETTER_ESCAPES = "nrtbf"


def email(text: str, start: int, end: int) -> Found:
    """Around an @."""
    domain = _DOMAIN.match(text, end) or _LITERAL_DOMAIN.match(text, end)
    if domain is None:
        return None
    stop = domain.end()
    host = domain[0].lower()
    if host.rpartition(".")[2] in _NO_TOP_DOMAIN or host in _NOBODY or host[:3] in ("2x.", "3x.", "1x."):
        return None
    before = text[max(0, start - 66) : start][::-1]
    local = _LOCAL_BACKWARDS.match(before)
    if local is None:
        quoted = _QUOTED_LOCAL_BACKWARDS.match(before)
        return None if quoted is None else (start - quoted.end(), stop, "email")
    begin = start - local.end()
    begin = _after_escape(text, begin, start)
    name = text[begin:start]
    # What a sentence, a link or a piece of code has put in front.
    for sign in ("=", "?", "&", "|", "`", "{", "}", "'", "/", "*"):
        if sign in name:
            cut = name.rindex(sign) + 1
            if sign == "'" and 0 < cut - 1 < len(name) - 1 and name[0] != "'":
                continue  # o'neill
            if sign == "/" and text[max(0, begin - 2) : begin + cut].endswith("//"):
                return None  # the user of a URL
            begin += cut
            name = name[cut:]
    while name[:1] in (".", "-", "#", "!", "$", "%", "^", "~", "+"):
        begin, name = begin + 1, name[1:]
    if not name or name.endswith(".") or ".." in name:
        return None
    if name == "git" and text[stop : stop + 1] in (":", "/"):
        return None
    head = text[max(0, begin - 80) : begin]
    if "://" in head and _USERINFO_HEAD.search(head):
        return None
    return begin, stop, "email"


_USERINFO_HEAD = re.compile(r"://[^\s/\"'<>@]*$")


def _after_escape(text: str, begin: int, end: int) -> int:
    """Where a value begins that may stand right behind an escape of JSON, as in `\\nkim@...`."""
    if begin and text[begin - 1] == "\\" and begin < end:
        if text[begin] in _LETTER_ESCAPES:
            return begin + 1
        if text[begin] == "u":
            return min(begin + 5, end)
    return begin


# ── user and password in a URL ──

_USERINFO = re.compile(
    r"[a-zA-Z][a-zA-Z0-9+.\-]{0,30}:\\?/\\?/([^\s/\"'<>`\\:@?#]{0,128}):([^\s\"'<>`\\]{1,256})$"
)
_NO_PASSWORD = re.compile(r"[\$<{%\[*].*|x{3,}|\*+|\.{3}|(?:your|my)?[-_]?pass(?:word)?[-_]?here", re.I)


def url_password(text: str, start: int, end: int) -> Found:
    """Around an @."""
    head = text[max(0, start - 400) : start]
    at = head.rfind("://")
    if at < 0:
        at = head.rfind(":\\/\\/")
        if at < 0:
            return None
    begin = max(0, at - 31)
    # Only the scheme that is nearest: an earlier address in the text is another one.
    found = _USERINFO.search(head, begin)
    if found is None:
        return None
    password = found[2]
    if "/" in password and "@" not in password and not re.match(r"[\w.\-\[$]", text[end : end + 1]):
        return None
    if "/" in password and re.match(r"\d{1,5}/", password):
        return None  # a port and a path, and an @ further on
    if _NO_PASSWORD.fullmatch(password):
        return None
    offset = start - len(head)
    return offset + found.start(2), offset + found.end(2), "password"


# ── numbers ──

_CARD_RUN = re.compile(r"\d{12,19}(?!\d)")
_CARD_GROUPS = tuple(
    re.compile(groups + r"(?!\d)")
    for groups in (
        r"\d{4}([ \-.])\d{4}\1\d{4}\1\d{4}\1\d{3}",
        r"\d{4}([ \-.])\d{4}\1\d{4}\1\d{4}",
        r"\d{4}([ \-.])\d{6}\1\d{4,5}",
        r"\d{4}([ \-.])\d{4}\1\d{4}\1\d{1,3}",
        r"\d{4}([ \-.])(?:\d{4}\1\d{5}|\d{5}\1\d{6}|\d{3}\1\d{3}\1\d{3})",
    )
)
_GROUPED = re.compile(r"\d{4}([ \-.])\d{3,6}\1\d{3}")
"""How all of those begin: one look for the many numbers that are none."""
_SEPARATORS = str.maketrans("", "", " -.")


def card(text: str, start: int, end: int) -> Found:
    """At a group of digits that may be the first of a card's number."""
    if start and text[start - 1].isdigit():
        return None  # the search stops at every digit of a long number; the first stop was enough
    if run := _CARD_RUN.match(text, start):
        return (start, run.end(), "card") if _is_card(text, start, run.end(), run[0]) else None
    for groups in _CARD_GROUPS if _GROUPED.match(text, start) else ():
        found = groups.match(text, start)
        if found is not None and _is_card(text, start, found.end(), found[0], found[1]):
            return start, found.end(), "card"
    return None


def _is_card(text: str, start: int, end: int, said: str, mark: str = "") -> bool:
    digits = said.translate(_SEPARATORS) if mark else said
    known = checks.card(digits) and (len(digits) > 13 or (not mark and _is_no_article(text, start, digits)))
    if not known and not checks.card_of_any_issuer(digits):
        return False
    if _glued(text, start, end + 2 if _AS_A_FLOAT.match(text, end) else end):
        return False
    announced = _has_word(text, start, _CARD_WORD)
    if mark and not announced and _in_a_row(text, start, end, mark):
        return False  # a table of numbers, not one number
    if not mark and not announced and _has_word(text, start, _NAMED_ID):
        return False  # one in thirty of all such numbers has a card's form
    return known or announced


_AS_A_FLOAT = re.compile(r"\.0(?!\d)")
"""As tables write a column of numbers in which some are missing."""
_NAMED_ID = re.compile(r"(?:(?<![A-Za-z])id|_id|[a-z]Id|ID)[\"']?\s?[:=]\s?[\"']?\Z")
_OTHER_NUMBER = re.compile(r"id\b|_id|ean|gtin|upc|barcode|order|item|sku|article|track|time|\bref", re.I)


def _is_no_article(text: str, start: int, digits: str) -> bool:
    """Of the few digits that old cards have. Articles have as many, with a check digit of their own."""
    return not checks.article(digits) and not _has_word(text, start, _OTHER_NUMBER)


def _in_a_row(text: str, start: int, end: int, mark: str) -> bool:
    """Groups of four go on before or behind."""
    around = text[max(0, start - 5) : start], text[end : end + 5]
    return any(
        len(part) == 5 and mark in (part[0], part[-1]) and part.strip(mark).isdigit() for part in around
    )


def _glued(text: str, start: int, end: int) -> bool:
    """Part of a longer word or number: a decimal, an identifier, a hash."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and (before.isalnum() or before == "_") and not _is_escape(text, start):
        return True
    if before in (".", "-") and before and text[max(0, start - 2) : start - 1].isalnum() and start >= 2:
        return True
    if after and (after.isalnum() or after == "_"):
        return True
    return after in (".", "-") and bool(after) and text[end + 1 : end + 2].isalnum() and after == "."


def _is_escape(text: str, start: int) -> bool:
    """Right behind `\\n` or `%20`: the letter before belongs to the escape."""
    if start >= 2 and text[start - 2] == "\\" and text[start - 1] in _LETTER_ESCAPES:
        return True
    if start >= 6 and text[start - 6 : start - 4] == "\\u":
        return True
    return start >= 3 and text[start - 3] == "%"


_CARD_WORD = re.compile(
    r"card|\bcc\b|\bpan\b|visa|maestro|amex|credit|debit|payment|karte|carte\b|tarjeta", re.I
)


def iban(text: str, start: int, end: int) -> Found:
    """At a country's two letters and two digits."""
    before = text[start - 1 : start]
    if before and (before.isalnum() or before == "_") and not _is_escape(text, start):
        return None
    if before == "-":
        return None
    length = checks.IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    for groups in _IBAN_GROUPS:
        found = groups.match(text, start)
        if found is None:
            continue
        said = found[0].translate(_SEPARATORS)
        stop = start + length + (len(found[0]) - len(said) and (length - 1) // 4)
        said = text[start:stop].translate(_SEPARATORS)
        after = text[stop : stop + 1]
        if len(said) != length or (after.isalnum() and after.isascii()) or after == "_":
            continue
        if said.islower() and not _has_word(text, start, _IBAN_WORD):
            continue  # as a piece of something hexadecimal would look
        if (said.isupper() or said.islower()) and checks.iban(said):
            return start, stop, "iban"
    return None


_IBAN_WORD = re.compile(r"iban|account|konto|compte|cuenta", re.I)
_IBAN_GROUPS = (
    re.compile(r"[A-Za-z]{2}\d{2}[A-Za-z0-9]{11,30}"),
    re.compile(r"[A-Za-z]{2}\d{2}(?: [A-Za-z0-9]{4}){2,7}(?: [A-Za-z0-9]{1,3}(?![A-Za-z0-9]))?"),
    re.compile(r"[A-Za-z]{2}\d{2}(?:-[A-Za-z0-9]{4}){2,7}(?:-[A-Za-z0-9]{1,3}(?![A-Za-z0-9]))?"),
)


_SSN = re.compile(r"(\d{3})([\- .])(\d{2})\2(\d{4})")
_SSN_BARE = re.compile(r"[^0-9\n]{0,40}?(?<!\d)(\d{3})[\- .]?(\d{2})[\- .]?(\d{4})(?![\d\-])")


def ssn(text: str, start: int, end: int) -> Found:
    """At three digits, two and four."""
    found = _SSN.match(text, start)
    if found is None or _glued(text, start, found.end()) or text[found.end() : found.end() + 1] == "-":
        return None
    if found[2] == "." and not _has_word(text, start, _SSN_WORDS):
        return None
    if found[2] == " " and (
        text[max(0, start - 2) : max(0, start - 1)].isdigit()
        or re.match(r"[ \-]\d", text[found.end() : found.end() + 2])
    ):
        return None
    digits = found[1] + found[3] + found[4]
    return (start, found.end(), "ssn") if checks.ssn(digits) else None


_SSN_WORDS = re.compile(r"\bssn\b|social.?security|\bsocial\b", re.I)


def _has_word(text: str, start: int, words: re.Pattern[str], reach: int = 40) -> bool:
    return words.search(text, max(0, start - reach), start) is not None


def bare_ssn(text: str, start: int, end: int) -> Found:
    """Behind the words that announce one."""
    before = text[start - 1 : start]
    if before.isalpha() and not _is_escape(text, start):
        return None
    found = _SSN_BARE.match(text, end)
    if found is None or not checks.ssn("".join(found.groups())):
        return None
    return found.start(1), found.end(3), "ssn"


_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_OFTEN_INSIDE = ("10.", "127.", "192.168.", "0.")
"""Logs are full of these, which lead to nobody: they need no closer look."""
_VERSION_WORD = re.compile(
    r"(?:\bv|\bver|version|section|\brfc|chapter|clause|§|release|firmware|build|revision|\brev|chrome/|firefox/|safari/|\w/|[=~^><!]=|[=~^><]|@|-)[\s\"':=]{0,4}$",
    re.I,
)
_ADDRESS_WORD = re.compile(
    r"(?:\bip|addr|host|from|client|remote|server|peer|source|src|dst|gateway|https?:/)[\w\s\"':=\-/]{0,12}$"
    r"|<[\w \"'=\-]{1,20}>$",
    re.I,
)


def ipv4(text: str, start: int, end: int) -> Found:
    """Around a dot between digits."""
    begin = start
    while begin > 0 and start - begin < 3 and text[begin - 1].isdigit():
        begin -= 1
    if text.startswith(_OFTEN_INSIDE, begin):
        return None
    found = _IPV4.match(text, begin)
    if found is None:
        return None
    stop = found.end()
    after = text[stop : stop + 1]
    if _glued(text, begin, stop) or after in ("-", "+") or (text[begin - 1 : begin] == "."):
        return None
    if not checks.outside_address(found[0]):
        return None
    head = text[max(0, begin - 24) : begin]
    sign = _VERSION_WORD.search(head)
    if sign is None or _ADDRESS_WORD.search(head):
        return begin, stop, "ip"
    # `name=1.2.3.4` pins a version; versions do not count to a hundred in their second and third part.
    if sign[0].strip(" \"'") != "=" or max(map(int, found[0].split(".")[1:3])) < 100:
        return None
    return begin, stop, "ip"


COLONS = re.compile(r":[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:")
"""Hexadecimal groups have nothing that the one pass could stop at; its literal first sign makes it cheap."""
_HEX = "0123456789abcdefABCDEF"
_IPV6 = re.compile(r"[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}")


def ipv6(text: str, start: int, end: int) -> Found:
    """Around colons between hexadecimal digits."""
    begin = start
    if begin and text[begin - 1] == ":":
        return None  # a row of colons; the first stop was enough
    while begin > 0 and start - begin < 40 and (text[begin - 1] in _HEX or text[begin - 1] == ":"):
        begin -= 1
    begin = _after_escape(text, begin, start)
    while text[begin : begin + 1] == ":" and text[begin : begin + 2] != "::":
        begin += 1
    found = _IPV6.match(text, begin)
    if found is None:
        return None
    said = found[0]
    while said and (said[-1] in ":." and not said.endswith("::")):
        said = said[:-1]
    stop = begin + len(said)
    if (
        said.count(":") < 2
        or ("::" not in said and said.count(":") != 7 and "." not in said)
        or len(said) < 6
    ):
        return None
    after, before = text[stop : stop + 1], text[begin - 1 : begin]
    if (after.isalnum() or after == "_") or (
        (before.isalnum() or before in ("_", "$")) and before and not _is_escape(text, begin)
    ):
        return None
    if sum(sign.isdigit() for sign in said) < 2 or not checks.outside_address(said):
        return None
    return begin, stop, "ip"


# ── telephone ──

_INTERNATIONAL = re.compile(r"\+\d(?:[ .\-/\u00a0]?\(?\d\)?|\(\d{1,4}\)[ ]?){6,16}")
_NORTH_AMERICAN = re.compile(
    r"(?:1[ .\-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([.\-]))[0-9]\d{2}[.\- ]\d{4}(?:(?: ?x| ext\.? ?)\d{1,6})?"
)
_COUNTRY_ONE = re.compile(r"(?:\+1|001|1)[ .\-]$")
_TRUNK = re.compile(r"\(0\d{1,4}\)[ \-]{0,2}\d{2,5}(?:[ \-]?\d{2,4}){1,3}")
_NATIONAL = re.compile(
    r"[^0-9\n(+]{0,24}?(?:\([a-z ]{1,16}\)[^0-9\n(+]{0,8}?)?(\+?\(?\d(?:[ .\-/()]{0,3}\d){6,14})(?![\d])"
)


_COUNTRIES = re.compile(
    r"\+(?:1|7|2(?:[07]|[1245]\d|6\d|9\d)|3(?:[0-469]|[578]\d)|4(?:[013-9]|2[013])|5(?:[1-8]|[09]\d)|6(?:[0-6]|[789]\d)"
    r"|8(?:[1246]|[058]\d)|9(?:[0-58]|[679]\d))"
)
"""The codes that the ITU has given out, as far as their digits tell."""


def international(text: str, start: int, end: int) -> Found:
    """At a + and a digit."""
    before = text[start - 1 : start]
    if before and (before.isalnum() or before in "+_=") and not _is_escape(text, start) and before != "=":
        return None
    found = _INTERNATIONAL.match(text, start)
    if found is None:
        return None
    stop = found.end()
    while not text[stop - 1].isdigit() and text[stop - 1] != ")":
        stop -= 1
    digits = re.sub(r"\D", "", text[start:stop])
    after = text[stop : stop + 1]
    if not 8 <= len(digits) <= 15 or digits[0] == "0" or after.isalpha() or len(set(digits)) < 3:
        return None
    if _COUNTRIES.match("+" + digits) is None:
        return None
    if re.fullmatch(r"\+\d{1,4}(?:\.\d+)?", text[start:stop]):
        return None
    extension = _EXTENSION.match(text, stop)
    return start, extension.end() if extension else stop, "phone"


_ABROAD = re.compile(r"00[1-9](?:[ ]?(?:\(0\))?\d){7,14}(?![\d])")


def dialled_abroad(text: str, start: int, end: int) -> Found:
    """At two noughts and a country's code, with gaps as people leave them."""
    before = text[start - 1 : start]
    if before and (before.isalnum() or before in "_-.#/+") and not _is_escape(text, start):
        return None
    found = _ABROAD.match(text, start)
    if found is None or text[found.end() : found.end() + 1].isalpha():
        return None
    digits = found[0].replace(" ", "").replace("(0)", "")[2:]
    if not 9 <= len(digits) <= 15 or len(set(digits)) < 4 or _COUNTRIES.match("+" + digits) is None:
        return None
    return start, found.end(), "phone"


_EXTENSION = re.compile(r"(?: ?x| ext\.? ?)\d{1,6}\b")


def north_american(text: str, start: int, end: int) -> Found:
    """At three digits, three and four, as North America writes them."""
    found = _NORTH_AMERICAN.match(text, start)
    if found is None:
        return None
    country = _COUNTRY_ONE.search(text, max(0, start - 5), start)
    begin = start if country is None else country.start()
    stop = found.end()
    before, after = text[begin - 1 : begin], text[stop : stop + 1]
    if before and (before.isalnum() or before in "_-.#/+") and not _is_escape(text, begin):
        return None
    if after.isalnum() or (after in (".", "-") and text[stop + 1 : stop + 2].isdigit()):
        return None
    return begin, stop, "phone"


def trunk_phone(text: str, start: int, end: int) -> Found:
    """At a bracket and a nought: an area code as much of the world writes it."""
    found = _TRUNK.match(text, start)
    if found is None:
        return None
    digits = re.sub(r"\D", "", found[0])
    after = text[found.end() : found.end() + 1]
    if not 8 <= len(digits) <= 12 or after.isalnum() or text[start - 1 : start].isalnum():
        return None
    return found.start(), found.end(), "phone"


def announced_phone(text: str, start: int, end: int) -> Found:
    """Behind `phone`, `mobile`, `tel` and the like, where a number in any country's manner may stand."""
    before = text[start - 1 : start]
    if before.isalpha() and before.islower() and not _is_escape(text, start):
        return None
    found = _NATIONAL.match(text, end)
    if found is None:
        return None
    said = found[1]
    digits = re.sub(r"\D", "", said)
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3 or re.match(r"(?:19|20)\d\d[-/.]\d\d?[-/.]", said):
        return None
    middle = text[end : found.start(1)]
    if re.search(
        r"id|order|item|article|error|count|ms\b|price|code|model|case|#|\$|€|£|at$|version|[{\[]",
        middle,
        re.I,
    ):
        return None
    stop = found.end(1)
    if text[stop : stop + 1].isalpha() or (len(digits) == len(said) and len(digits) not in (9, 10, 11, 12)):
        return None
    return found.start(1), stop, "phone"
