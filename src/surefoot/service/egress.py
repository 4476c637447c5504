"""Where a webhook may be sent, and the one road by which it is: checked address, then that very address.

A deployment names its own receivers, but a name can come to mean something else: whoever holds its zone may
point it at this machine's neighbours, or at the address where a cloud hands out credentials. So a name is
resolved once for each request, all of its addresses are judged, and the connection is made to one of those;
TLS is still verified against the name. Redirects are not followed, and no proxy of the environment is asked.

`SUREFOOT_WEBHOOK_HOSTS` lists names (`hooks.example`, or with a port `hooks.example:8443`), addresses and
networks (`10.1.0.0/16`). Where it is set, a receiver must be in it by name or by address; and in any case an
address that is not public must be in it itself, since the name alone says nothing of where it leads.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

import httpx2

from ..errors import UsageError
from .blocking import on_a_thread

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses of a name. Raises OSError."""

PATIENCE = 15.0
"""Seconds for one request, from the name's resolution to the answer."""

HEARD = 1024
"""Bytes of an answer that are read; the rest is left where it is."""

_CARRIES_IPV4 = (ip_network("::/96"), ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""The last four bytes say where it leads to."""

_NEVER_PUBLIC = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"), ip_network("fec0::/10"))
"""Public by some tables, and in truth kept for protocols, a cloud's own host, and sites."""


@dataclass(frozen=True)
class Place:
    """Where a URL leads: `host` in lower case and as DNS writes it, without brackets."""

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """`said` is as much of the body as was read."""

    status: int
    headers: Mapping[str, str]
    said: str


class Egress:
    """`hosts` None: every public address."""

    def __init__(self, hosts: Sequence[str] | None = None) -> None:
        self._all = hosts is None
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for one in hosts or ():
            try:
                self._networks.append(ip_network(one.strip("[]")))
            except ValueError:
                self._names.add(_listed(one))

    def place(self, url: str) -> Place:
        """What can be said of a URL before its name is resolved. Raises UsageError."""
        place = _read(url)
        named, near, literal = self._is_named(place), _is_loopback(place.host), _literal(place.host)
        if not place.secure and not near:
            raise _refused(place, "it is not https, and what is told would pass in the clear")
        if place.port != 443 and not near and not named:
            raise _refused(place, f"port {place.port} is not that of https, and is not listed with its host")
        if literal is not None:
            self.must_allow(place, [literal])
        elif not self._all and not named and not self._networks:
            raise _refused(place, "it is not in SUREFOOT_WEBHOOK_HOSTS")
        return place

    def must_allow(self, place: Place, addresses: Sequence[Address]) -> None:
        """All of them: one that must not be asked, beside others, is no accident. Raises UsageError."""
        named, near = self._is_named(place), _is_loopback(place.host)
        for address in addresses:
            listed = any(address in network for network in self._networks)
            if not (self._all or named or listed):
                raise _refused(place, f"neither it nor {address} is in SUREFOOT_WEBHOOK_HOSTS")
            if near and not address.is_loopback:
                raise _refused(place, f"it leads to {address}")
            if not (near or listed or _is_public(address)):
                raise _refused(place, f"it leads to {address}, which is no public address")

    def _is_named(self, place: Place) -> bool:
        """A name stands for the usual port; another has to be listed with it."""
        usual = place.port == 443 or _is_loopback(place.host)
        return (usual and place.host in self._names) or f"{place.host}:{place.port}" in self._names


async def resolve(host: str, port: int) -> list[str]:
    """In the order in which the system would try them."""
    found = await on_a_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), "resolve")
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Road:
    """Posts to endpoints. It keeps no connection: an address that was judged a while ago is not one that was
    judged."""

    def __init__(
        self, egress: Egress, *, resolve: Resolve = resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        self._egress = egress
        self._resolve = resolve
        self._tls = tls or httpx2.create_ssl_context()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises UsageError where it may not be asked, OSError and httpx2.HTTPError where it cannot be, and
        TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            place = self._egress.place(url)
            literal = _literal(place.host)
            found = [literal] if literal else _addresses(await self._resolve(place.host, place.port))
            if not found:
                raise OSError(f"{place.host} has no address")
            self._egress.must_allow(place, found)
            for address in found[:-1]:
                with suppress(httpx2.ConnectError):  # nothing was sent: the next address may be reached
                    return await self._post(url, place, address, headers, body)
            return await self._post(url, place, found[-1], headers, body)

    async def _post(
        self, url: str, place: Place, address: Address, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        target = httpx2.URL(url).copy_with(host=str(address), port=place.port)
        # The certificate that is asked for, and verified, is the name's.
        options = {"sni_hostname": place.host}
        said = {**headers, "Host": place.authority, "Accept-Encoding": "identity"}
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with (
            httpx2.AsyncClient(verify=self._tls, trust_env=False, timeout=PATIENCE, limits=limits) as client,
            client.stream("POST", target, content=body, headers=said, extensions=options) as response,
        ):
            heard = "" if response.is_success else await _begin_of(response)
            return Answer(response.status_code, response.headers, heard)


async def _begin_of(response: httpx2.Response) -> str:
    """As much of the body as comes soon: it says why, and is worth no wait."""
    heard = b""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(1.0):
            async for part in response.aiter_raw():
                heard += part
                if len(heard) >= HEARD:
                    break
    return heard[:HEARD].decode("utf-8", "replace")


# ── reading ──


def _read(url: str) -> Place:
    """Raises UsageError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if _literal(host) else host.rstrip(".").encode("idna").decode().lower()
        httpx2.URL(url)  # which will make the request
    except (ValueError, UnicodeError, httpx2.InvalidURL) as error:
        raise UsageError(
            "a webhook's URL cannot be read", why=str(error), remedy="Write https://host/path."
        ) from error
    place = Place(parts.scheme == "https", host, port or (443 if parts.scheme == "https" else 80))
    if parts.scheme not in ("https", "http") or not host:
        raise _refused(place, "it is neither https nor, on the loopback address, http")
    if "@" in parts.netloc:
        raise _refused(place, "it has a user name or a password in it, which logs and lists would show")
    if any(letter.isspace() or not letter.isprintable() or letter == "\\" for letter in url):
        raise _refused(place, "it holds letters that no URL has")
    if port == 0:
        raise _refused(place, "there is no port 0")
    return place


def _listed(text: str) -> str:
    name, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        name, port = text, ""
    try:
        name = name.strip("[]").rstrip(".").encode("idna").decode().lower()
    except UnicodeError as error:
        raise UsageError(
            f"SUREFOOT_WEBHOOK_HOSTS: {text!r} is no host",
            why=str(error),
            remedy="List names, name:port, addresses or networks, with commas between.",
        ) from error
    return f"{name}:{port}" if port else name


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _addresses(found: Sequence[str]) -> list[Address]:
    return [ip_address(one.partition("%")[0]) for one in found]


def _is_loopback(host: str) -> bool:
    """By what the URL says: a name that merely leads there is none."""
    literal = _literal(host)
    return host == "localhost" or (literal is not None and literal.is_loopback)


def _is_public(address: Address) -> bool:
    """Where an IPv6 address stands for an IPv4 one, it is that one which is judged."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if any(address in network for network in _CARRIES_IPV4):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    kept = any(address in network for network in _NEVER_PUBLIC)
    return address.is_global and not address.is_multicast and not kept


def _refused(place: Place, why: str) -> UsageError:
    return UsageError(
        f"a webhook may not be sent to {place.authority}",
        why=why,
        remedy="Name an https address that is public, or list the host (and a private address itself) in "
        "SUREFOOT_WEBHOOK_HOSTS.",
    )
