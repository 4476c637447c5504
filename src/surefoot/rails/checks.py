"""Arithmetic that tells a number somebody holds from any other number: check digits and issued ranges.

Each function takes what a detector has cut out, already without separators, and answers yes or no. The
facts are those of the standards named beside them; nothing here knows where in a text the number stood.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from functools import cache

_DOUBLED = str.maketrans("0123456789", "0246813579")


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1: from the right every second digit doubled, all digits added, the sum divides by ten."""
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


_CARDS: tuple[tuple[int, int, frozenset[int]], ...] = (
    # first digits from, to (four of them), and the lengths in use
    (4000, 4999, frozenset({13, 16, 19})),  # Visa
    (5100, 5599, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard, the newer range
    (3400, 3499, frozenset({15})),  # American Express
    (3700, 3799, frozenset({15})),
    (3000, 3059, frozenset({14, 16, 17, 18, 19})),  # Diners Club
    (3095, 3095, frozenset({14, 16, 17, 18, 19})),
    (3600, 3699, frozenset({14, 15, 16, 17, 18, 19})),
    (3800, 3999, frozenset({14, 16, 17, 18, 19})),
    (6011, 6011, frozenset({16, 17, 18, 19})),  # Discover
    (6440, 6599, frozenset({16, 17, 18, 19})),
    (6282, 6288, frozenset({16, 17, 18, 19})),
    (6200, 6299, frozenset({16, 17, 18, 19})),  # UnionPay
    (8100, 8171, frozenset({16, 17, 18, 19})),
    (3500, 3599, frozenset({16, 17, 18, 19})),  # JCB (3528 to 3589 are issued)
    (2131, 2131, frozenset({15})),
    (1800, 1800, frozenset({15})),
    (2200, 2204, frozenset({16, 17, 18, 19})),  # Mir
    (6304, 6304, frozenset(range(12, 20))),  # Maestro
    (6759, 6763, frozenset(range(12, 20))),
    (5018, 5038, frozenset(range(12, 20))),
    (5600, 5899, frozenset(range(12, 20))),
    (5000, 5099, frozenset({16})),  # Elo, Aura, Verve
    (6362, 6363, frozenset({16})),  # Elo
    (6370, 6390, frozenset({16})),  # InstaPayment
    (6521, 6522, frozenset({16})),  # RuPay
    (6060, 6069, frozenset({16})),  # Hipercard, RuPay
    (9792, 9792, frozenset({16})),  # Troy
)


def card_of_any_issuer(digits: str) -> bool:
    """For where the text itself says that a card's number follows: the length and Luhn's digit alone."""
    in_use = digits[0] != "1" or len(digits) == 15  # UATP has those; other such numbers are moments
    return 12 <= len(digits) <= 19 and in_use and len(set(digits)) > 2 and luhn(digits)


def card(digits: str) -> bool:
    """A payment card's number: of an issuer's range, in a length that it uses, with Luhn's digit."""
    if not 12 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    return len(digits) in _lengths_by_head().get(int(digits[:4]), ()) and luhn(digits)


def article(digits: str) -> bool:
    """A number of the world's articles (GTIN): from the right every second digit thrice, the sum divides by
    ten."""
    total = sum(map(int, digits[-1::-2])) + 3 * sum(map(int, digits[-2::-2]))
    return total % 10 == 0


@cache
def _lengths_by_head() -> dict[int, frozenset[int]]:
    found: dict[int, frozenset[int]] = {}
    for low, high, lengths in _CARDS:
        for head in range(low, high + 1):
            found[head] = found.get(head, frozenset()) | lengths
    return found


IBAN_LENGTHS = {
    country: int(length)
    for country, length in (
        pair.split(":")
        for pair in (
            "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 "
            "DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 "
            "GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 "
            "LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 "
            "PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 "
            "SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30"
        ).split()
    )
}
"""Length in characters, by the two letters of the country (the register of ISO 13616)."""


def iban(text: str) -> bool:
    """ISO 13616: the country's length, and the rest of 97 is one."""
    text = text.upper()
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def ssn(digits: str) -> bool:
    """A number that the US Social Security Administration may have issued: no 000, 666 or 9xx first, no zeros
    in group or serial. Those that advertising made famous are among them: people write them where theirs
    should stand."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        len(digits) == 9
        and area not in {"000", "666"}
        and area[0] != "9"
        and group != "00"
        and serial != "0000"
        and len(set(digits)) > 1
    )


def outside_address(text: str) -> bool:
    """An IP address that tells who or where somebody is: globally routable, or from the ranges kept for
    documentation, which stand for such addresses. Not loopback, private, multicast or unspecified."""
    if ":" not in text:
        return _outside_v4(text)
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local:
        return False
    if address in _LOCAL:
        return False
    if address.ipv4_mapped is not None:
        return _outside_v4(str(address.ipv4_mapped))
    # What is written out in full is an address, allotted or not; a short form may be something else.
    return address.is_global or any(address in network for network in _DOCUMENTATION) or "::" not in text


_LOCAL = ipaddress.IPv6Network("fc00::/7")
_DOCUMENTATION = (ipaddress.IPv6Network("2001:db8::/32"), ipaddress.IPv6Network("3fff::/20"))


def _outside_v4(text: str) -> bool:
    """By hand, because logs are full of addresses and the ipaddress module takes twenty times as long."""
    parts = text.split(".")
    if len(parts) != 4 or any(
        len(part) > 3 or not part or (part[0] == "0" and part != "0") for part in parts
    ):
        return False
    one, two, three, four = map(int, parts)
    if max(two, three, four) > 255 or one in (0, 10, 127) or one >= 224:
        return False
    return not (
        (one == 172 and 16 <= two <= 31)
        or (one == 192 and (two == 168 or (two == 0 and three == 0)))
        or (one == 169 and two == 254)
        or (one == 100 and 64 <= two <= 127)
        or (one == 198 and two in (18, 19))
    )


def entropy(text: str) -> float:
    """Shannon's, in bits for a character: 0 for `aaaa`, 4 for sixteen different ones."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())
