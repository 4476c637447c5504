"""Slowing down who guesses: failed logins are counted by the address they come from.

Each address may fail a few times in a row, and gets a further try every few seconds. Behind a proxy all the
world may have one address, so whoever has shown a token that holds is let through meanwhile: somebody's
guesses lock nobody out who was in before. All of it is in memory, and bounded.
"""

from __future__ import annotations

from collections import OrderedDict

from ..core.clock import MICROS, Clock
from ..errors import TooManyLogins

IN_A_ROW = 10
EVERY = 6
"""Seconds until one more may fail."""
MOST = 10_000
"""Addresses, and tokens, that are remembered: the latest."""


class Throttle:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: OrderedDict[str, int] = OrderedDict()
        """By address: when all its failures are worked off."""
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """(address, name of a token) that were let in."""

    def must_be_open(self, address: str, name: str) -> None:
        """Raises TooManyLogins."""
        ahead = self._until.get(address, 0) - self._clock.now()
        most = (IN_A_ROW - 1) * EVERY * MICROS
        if ahead > most and (address, name) not in self._known:
            raise TooManyLogins(
                "too many logins have failed",
                why=f"{IN_A_ROW} from this address did, one soon after the other",
                retry_after=(ahead - most) / MICROS,
            )

    def failed(self, address: str, name: str) -> None:
        """One that held before, and was revoked or has expired, is no guess."""
        if (address, name) in self._known:
            return
        now = self._clock.now()
        self._until[address] = max(self._until.pop(address, 0), now) + EVERY * MICROS
        while len(self._until) > MOST:
            self._until.popitem(last=False)

    def let_in(self, address: str, name: str) -> None:
        if (address, name) not in self._known:
            self._known[address, name] = None
            while len(self._known) > MOST:
                self._known.popitem(last=False)
