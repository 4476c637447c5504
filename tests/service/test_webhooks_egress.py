"""Where webhooks may be sent: to public addresses over TLS, to what the deployment has listed, and nowhere else,
whatever a name comes to mean between one look and the next."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.receiving import Receiver, listening
from surefoot.errors import UsageError
from surefoot.service.egress import Egress, Resolve, Road

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
TRUST = ssl.create_default_context()


def resolving(*answers: Sequence[str]) -> Resolve:
    """Gives these in turn, the last one again and again."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def refused(url: str, addresses: Sequence[str] = (PUBLIC,), hosts: Sequence[str] | None = None) -> str:
    """Why a request is not made."""
    road = Road(Egress(hosts), resolve=resolving(addresses), tls=TRUST)
    with pytest.raises(UsageError) as error:
        await road.post(url, {}, b"{}")
    return error.value.why


def allowed(url: str, addresses: Sequence[str] = (PUBLIC,), hosts: Sequence[str] | None = None) -> None:
    from ipaddress import ip_address

    egress = Egress(hosts)
    egress.must_allow(egress.place(url), [ip_address(one) for one in addresses])


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "http://93.184.215.14/x",
        "ftp://hooks.example/x",
        "file:///etc/passwd",
        "//hooks.example/x",
        "https:///x",
        "https://user@hooks.example/x",
        "https://user:password@hooks.example/x",
        "https://hooks.example@127.0.0.1/x",
        "https://hooks.example\\@127.0.0.1/x",
        "https://hooks.example:22/x",
        "https://hooks.example:6379/x",
        "https://hooks.example:0/x",
        "https://hooks.example:99999/x",
        "https://hooks.example/x y",
        "https://hooks.example/x\r\nHost: other",
        "https://[::1/x",
        "http://localhost.hooks.example/x",
        "http://127.0.0.1.hooks.example/x",
    ],
)
async def test_a_url_that_is_not_plain_https_is_refused(url: str) -> None:
    assert await refused(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.7",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:a00:1::",
        "2001:db8::1",
    ],
)
async def test_a_name_that_leads_to_an_address_of_ours_is_refused(address: str) -> None:
    assert "no public address" in await refused("https://hooks.example/x", [address])
    assert "no public address" in await refused("https://hooks.example/x", [PUBLIC, address])
    assert "no public address" in await refused("https://hooks.example/x", [address], ["hooks.example"])


@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.7/x", "https://[fd00::1]/x", "https://169.254.169.254/x", "https://[::ffff:10.0.0.7]/x"],
)
async def test_an_address_of_ours_is_refused_before_anything_is_resolved(url: str) -> None:
    assert "no public address" in await refused(url, [])


@pytest.mark.parametrize("name", ["0x7f.1", "2130706433", "127.1", "017700000001"])
async def test_other_ways_to_write_loopback_are_judged_by_where_they_lead(name: str) -> None:
    assert "127.0.0.1" in await refused(f"https://{name}/x", ["127.0.0.1"])


@pytest.mark.parametrize(
    ("url", "addresses", "hosts"),
    [
        ("https://hooks.example/x", [PUBLIC], None),
        ("https://HOOKS.example./x", [PUBLIC, "2606:4700::1111"], ["hooks.example"]),
        ("https://hooks.example/x", [PUBLIC], ["Hooks.Example."]),
        ("https://bücher.example/x", [PUBLIC], ["bücher.example"]),
        ("https://bücher.example/x", [PUBLIC], ["xn--bcher-kva.example"]),
        ("https://hooks.example:8443/x", [PUBLIC], ["hooks.example:8443"]),
        ("https://hooks.internal/x", ["10.1.2.3"], ["hooks.internal", "10.1.0.0/16"]),
        ("https://hooks.internal/x", ["10.1.2.3"], ["10.1.0.0/16"]),
        ("https://10.1.2.3/x", ["10.1.2.3"], ["10.1.2.3"]),
        ("https://[fd00::7]/x", ["fd00::7"], ["fd00::/8"]),
        ("http://127.0.0.1:8080/x", ["127.0.0.1"], None),
        ("http://localhost:8080/x", ["::1", "127.0.0.1"], None),
        ("http://localhost:8080/x", ["127.0.0.1"], ["localhost"]),
    ],
)
def test_what_is_public_or_listed_may_be_asked(
    url: str, addresses: list[str], hosts: list[str] | None
) -> None:
    allowed(url, addresses, hosts)


@pytest.mark.parametrize(
    ("url", "addresses", "hosts"),
    [
        ("https://other.example/x", [PUBLIC], ["hooks.example"]),
        ("https://a.hooks.example/x", [PUBLIC], ["hooks.example"]),
        ("https://hooks.example:8443/x", [PUBLIC], ["hooks.example"]),
        ("https://other.example/x", [PUBLIC], ["hooks.example", "10.0.0.0/8"]),
        ("https://hooks.internal/x", ["10.2.2.3"], ["hooks.internal", "10.1.0.0/16"]),
        ("https://hooks.internal/x", ["10.1.2.3", "10.2.2.3"], ["10.1.0.0/16"]),
        ("http://127.0.0.1:8080/x", ["127.0.0.1"], ["hooks.example"]),
        ("http://localhost:8080/x", ["10.0.0.7"], None),
        ("http://localhost:8080/x", [PUBLIC], None),
    ],
)
async def test_what_is_not_listed_is_refused(url: str, addresses: list[str], hosts: list[str] | None) -> None:
    assert await refused(url, addresses, hosts)


# ── over real sockets ──


def authority(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for these names, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{names[0]}.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(pem).decode())


async def test_it_connects_to_the_address_that_was_judged_and_verifies_the_name(tmp_path: Path) -> None:
    """The name is resolved once: what it means a moment later leads nowhere."""
    server, trust = authority(tmp_path, "hooks.example")
    with listening(Receiver(), server) as receiver:
        port = int(receiver.url.rsplit(":", 1)[1].split("/")[0])
        egress = Egress([f"hooks.example:{port}", "127.0.0.1"])
        url = f"https://hooks.example:{port}/hook?a=b"
        road = Road(egress, resolve=resolving(["127.0.0.1"], ["10.255.255.1"]), tls=trust)
        answer = await road.post(url, {"webhook-id": "m1"}, b"{}")
        assert answer.status == 204
        with pytest.raises(UsageError):
            await road.post(url, {"webhook-id": "m2"}, b"{}")
    (request,) = receiver.requests
    assert request.path == "/hook?a=b"
    assert request.headers["host"] == f"hooks.example:{port}"


async def test_a_certificate_for_another_name_is_not_accepted(tmp_path: Path) -> None:
    server, trust = authority(tmp_path, "other.example")
    with listening(Receiver(), server) as receiver:
        port = int(receiver.url.rsplit(":", 1)[1].split("/")[0])
        egress = Egress([f"hooks.example:{port}", "127.0.0.1"])
        road = Road(egress, resolve=resolving(["127.0.0.1"]), tls=trust)
        with pytest.raises(httpx2.ConnectError):
            await road.post(f"https://hooks.example:{port}/hook", {}, b"{}")
        stranger = Road(egress, resolve=resolving(["127.0.0.1"]))
        with pytest.raises(httpx2.ConnectError):
            await stranger.post(f"https://other.example:{port}/hook".replace("other", "hooks"), {}, b"{}")
    assert receiver.requests == []


async def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    with listening(Receiver()) as receiver:
        port = int(receiver.url.rsplit(":", 1)[1].split("/")[0])
        road = Road(Egress(), resolve=resolving(["127.0.0.2", "127.0.0.1"]))
        answer = await road.post(f"http://localhost:{port}/hook", {}, b"{}")
    assert answer.status == 204
    assert len(receiver.requests) == 1


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(Receiver()) as receiver, listening(Receiver()) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await Road(Egress(), tls=TRUST).post(receiver.url, {}, b"{}")).status == 204
    assert len(receiver.requests) == 1
    assert proxy.requests == []


async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    with listening(Receiver(lambda number: (500, {}, "x" * 500_000))) as receiver:
        answer = await Road(Egress(), tls=TRUST).post(receiver.url, {}, b"{}")
    assert len(answer.said) == 1024
