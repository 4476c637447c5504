"""`surefoot tokens`: who may ask the service, and for what."""

from __future__ import annotations

import click

from ..core.clock import iso
from ..core.jsons import dumps
from ..errors import UsageError
from ..orchestrator.clock import SystemClock
from ..service.access import PREFIX, SCOPES, Access
from ..settings import Settings
from ..state.access import TokenRow
from .formats import Duration, clock_time
from .opening import Opened, go, open_store
from .options import Given, command
from .output import Cell, Column, Style, one_line


@click.group("tokens")
def tokens() -> None:
    """Who may ask the service, and for what.

    As long as there is none, the service listens on its own machine only, and whoever is there may do
    everything. With the first token that is over, for good.

    \b
    Scopes:
      runs:read      look at runs, the inbox and what they have cost; views only
      runs:write     start runs, cancel and retry them
      runs:reveal    exact values of runs that others have started; journaled each time
      inbox:decide   decide approvals and reviews
      admin          all of these but runs:reveal
    \b
    Examples:
      surefoot tokens create --person kim --scope inbox:decide,runs:read --expires 90d
      surefoot tokens list
      surefoot tokens revoke k3v9x0a7b2m5
    """


@command("create", group=tokens)
@click.option("--person", required=True, metavar="NAME", help="Who acts with it; kept with what they decide.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help=f"What it may be used for: {', '.join(SCOPES)}. Again for more, or commas between.",
)
@click.option("--note", default="", metavar="TEXT", help="What it is for; shown in lists.")
@click.option("--expires", type=Duration(), metavar="TIME", help="Ends by itself after this: 12h, 90d.")
def create(given: Given, person: str, scopes: tuple[str, ...], note: str, expires: int | None) -> None:
    """Make a token, and print it this once.

    It stands alone on stdout, so that it can go straight to where it is needed. The store keeps only a digest
    of it: whoever reads the store can be nobody else.
    """
    settings = given.settings
    wanted = [part.strip() for scope in scopes for part in scope.split(",") if part.strip()]

    async def make() -> tuple[str, TokenRow, bool]:
        async with open_store(settings, make=True) as opened:
            is_first = not await opened.store.tokens()
            until = None if expires is None else SystemClock().now() + expires
            text, row = await access_to(opened, settings).make_token(person, wanted, note=note, expires=until)
            return text, row, is_first

    text, row, is_first = go(make())
    output = given.output
    if output.json:
        output.document({"token": text, **as_json(row, SystemClock().now())})
    else:
        output.answer(text)
    ends = f", until {clock_time(row.expires)}" if row.expires is not None else ""
    output.say(f"{row.id}: {one_line(row.person)} may {', '.join(row.scopes)}{ends}", "good")
    output.say("It is not shown again. Send it as  Authorization: Bearer TOKEN", "dim")
    if is_first:
        output.say("From now on everybody needs a token, also at this machine.", "warn")


@command("list", group=tokens)
def list_tokens(given: Given) -> None:
    """Every token that was ever made, oldest first; never the token itself."""

    async def read() -> list[TokenRow]:
        async with open_store(given.settings) as opened:
            return await opened.store.tokens()

    found, now = go(read()), SystemClock().now()
    if given.output.json:
        for row in found:
            given.output.line(dumps(as_json(row, now)))
        return
    if not found:
        given.output.say("There is none: whoever is at this machine may do everything.", "dim")
        return
    columns = [Column(name) for name in ("token", "person", "scopes", "state", "made", "used")]
    rows = [
        [
            Cell(row.id),
            Cell(one_line(row.person)),
            Cell(", ".join(row.scopes)),
            Cell(state_of(row, now), _STYLES[state_of(row, now)]),
            Cell(clock_time(row.created), "dim"),
            Cell(clock_time(row.used) or "never", "dim"),
            Cell(one_line(row.note, 60)),
        ]
        for row in found
    ]
    given.output.table([*columns, Column("note", wide=True)], rows)


@command("revoke", group=tokens)
@click.argument("token")
def revoke(given: Given, token: str) -> None:
    """Take a token back, at once and for good, with every login to the console that was made with it.

    TOKEN is its id, as `surefoot tokens list` shows it, or the token itself.
    """
    name = token.split("_")[1] if token.startswith(f"{PREFIX}_") else token

    async def take_back() -> bool:
        async with open_store(given.settings) as opened:
            return await opened.store.revoke_token(name)

    if not go(take_back()):
        raise UsageError(
            f"no token {name!r} holds",
            why="there is none of that id, or it was revoked before",
            remedy="See `surefoot tokens list`.",
        )
    if given.output.json:
        given.output.document({"revoked": name})
    else:
        given.output.answer(f"{name} is revoked: nobody gets in with it any more.", "good")


_STYLES: dict[str, Style] = {"holds": "good", "expired": "dim", "revoked": "dim"}


def state_of(row: TokenRow, now: int) -> str:
    if row.revoked is not None:
        return "revoked"
    return "holds" if row.holds(now) else "expired"


def as_json(row: TokenRow, now: int) -> dict[str, object]:
    return {
        "id": row.id,
        "person": row.person,
        "scopes": list(row.scopes),
        "note": row.note,
        "state": state_of(row, now),
        "created": iso(row.created),
        "expires": iso(row.expires),
        "revoked": iso(row.revoked),
        "used": iso(row.used),
    }


def access_to(opened: Opened, settings: Settings) -> Access:
    return Access(opened.store, opened.keyring, SystemClock(), person=settings.person or "")
