"""Who is told of what: the endpoints that a deployment's settings name.

A webhook is told of everything, or of the types that it names. A group's mail is told only of items that this
group is to decide (or anyone), and of those only what a person must know. The store keeps an endpoint without
what follows its host: whoever reads the store learns no address at which news is taken, and whoever writes it
can send news nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from ..errors import UsageError
from ..settings import Settings
from ..state.deliveries import TYPES, EndpointRow

FOR_PEOPLE = ("item.opened", "item.expired")
"""What is told by mail to those who decide."""

MAILTO = "mailto:"


@dataclass(frozen=True)
class Endpoint:
    """`groups` None: items of all groups, and runs."""

    id: str
    name: str
    url: str
    types: tuple[str, ...]
    groups: frozenset[str] | None = None

    @property
    def address(self) -> str | None:
        """Of a mailbox; None where it is no mail."""
        return self.url.removeprefix(MAILTO) if self.url.startswith(MAILTO) else None

    @property
    def view(self) -> str:
        if self.address is not None:
            return f"{MAILTO}…@{self.address.rpartition('@')[2]}"
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}/…"

    def wants(self, queue: str | None) -> bool:
        """Whether it is to hear of an item for this group; "" is anyone."""
        return self.groups is None or not queue or queue in self.groups

    def row(self, now: int) -> EndpointRow:
        return EndpointRow(self.id, self.view, self.types, now)


def endpoints_of(settings: Settings) -> list[Endpoint]:
    """Raises UsageError."""
    found: dict[str, Endpoint] = {}
    for name, webhook in settings.webhooks.items():
        unknown = [one for one in webhook.types if one not in TYPES]
        if unknown:
            raise UsageError(
                f"the webhook {name} wants to hear of {unknown[0]!r}, which is never told",
                why=f"there are {', '.join(TYPES)}",
                remedy="Mend its types in [tool.surefoot.webhooks].",
            )
        one = Endpoint(_id(webhook.url), name, webhook.url, webhook.types or TYPES)
        if one.id in found:
            raise UsageError(
                f"the webhooks {found[one.id].name} and {name} have one URL",
                why="it would be told everything twice",
                remedy="Take one of them out, and give the other the types of both.",
            )
        found[one.id] = one
    return [*found.values(), *_mailboxes(settings.mail)]


def _mailboxes(mail: Mapping[str, tuple[str, ...]]) -> list[Endpoint]:
    """One for each address, which may be that of several groups."""
    groups: dict[str, list[str]] = {}
    for group, addresses in mail.items():
        for address in addresses:
            groups.setdefault(address, []).append(group)
    names: dict[str, int] = {}
    found = []
    for address, its in groups.items():
        name = f"mail-{'-'.join(its)}"
        names[name] = number = names.get(name, 0) + 1
        shown = name if number == 1 else f"{name}-{number}"
        # Not the digest of its URL alone: a webhook may be `mailto:` the same mailbox, for other news.
        key = _id(f"for people {MAILTO}{address}")
        found.append(Endpoint(key, shown, MAILTO + address, FOR_PEOPLE, frozenset(its)))
    return found


def _id(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
