"""From descriptions to what the planes need."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from rtcproto.config import SessionConfig
from rtcproto.dtls import Identity, Role
from rtcproto.errors import DescriptionRefused, UsageError
from rtcproto.sdp import Setup, parse
from rtcproto.session.negotiation import Negotiation
from rtcproto.testing import World

ADDRESS = ("192.0.2.1", 5000)


@cache
def identity() -> Identity:
    """One certificate for all."""
    return Identity.generate(1_800_000_000.0)


def negotiation(ufrag: str | None = None, seed: int = 1, **fields: Any) -> Negotiation:
    """One side."""
    settings = {
        "identity": identity(),
        "addresses": (ADDRESS,),
        "ice_lite": False,
        "entropy": World(seed).entropy("n"),
        **fields,
    }
    return Negotiation(SessionConfig(**settings), ufrag, 0x1234)


def test_credentials_are_random_and_long_enough() -> None:
    """K4, RFC 8839 section 5.4: 24 and 128 bits at least; a given ufrag is kept."""
    first, second = negotiation(seed=1), negotiation(seed=2)
    assert len(first.credentials.ufrag) * 6 >= 24
    assert len(first.credentials.pwd) * 6 >= 128
    assert first.credentials != second.credentials
    assert negotiation("chosen").credentials.ufrag == "chosen"


def test_offer_and_answer_agree() -> None:
    """Each side learns the other's credentials, fingerprint and candidates; roles differ."""
    client, server = negotiation(seed=1), negotiation(seed=2, addresses=(("192.0.2.9", 9),))
    at_server = server.answer(client.offer())
    at_client = client.accept_answer(server.local or "")
    assert at_server.credentials == client.credentials
    assert at_client.credentials == server.credentials
    assert at_client.fingerprints == at_server.fingerprints == (identity().fingerprint,)
    assert [c.host for c in at_client.candidates] == ["192.0.2.9"]
    assert [c.host for c in at_server.candidates] == ["192.0.2.1"]
    assert {at_client.role, at_server.role} == {Role.CLIENT, Role.SERVER}
    assert at_client.audio.payload_type == at_server.audio.payload_type


@pytest.mark.parametrize(
    ("setup", "role"), [(Setup.ACTIVE, Role.CLIENT), (Setup.PASSIVE, Role.SERVER)]
)
def test_the_answers_setup_is_the_role(setup: Setup, role: Role) -> None:
    """RFC 8842 section 5.3: active is the DTLS client."""
    server = negotiation(seed=2, setup=setup)
    assert server.answer(negotiation().offer()).role is role


def test_a_lite_agent_ignores_candidates() -> None:
    """R13: it sends no checks, so it keeps no address that a peer names."""
    server = negotiation(seed=2, ice_lite=True)
    assert server.answer(negotiation().offer()).candidates == ()
    assert parse(server.local or "").ice_lite


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "0.0.0.0", "name.local"]
)
def test_a_full_agent_filters_addresses(host: str) -> None:
    """R13: no checks to loopback, link-local, mapped or unspecified addresses, nor to names."""
    offer = negotiation().offer().replace(" 192.0.2.1 5000 typ", f" {host} 5000 typ")
    assert f" {host} 5000 typ host" in offer
    assert negotiation(seed=2).answer(offer).candidates == ()


def test_loopback_can_be_allowed() -> None:
    """For tests and demonstrations on one machine."""
    offer = negotiation().offer().replace(" 192.0.2.1 5000 typ", " 127.0.0.1 5000 typ")
    candidates = negotiation(seed=2, allow_loopback=True).answer(offer).candidates
    assert [candidate.host for candidate in candidates] == ["127.0.0.1"]


def test_two_lite_agents_refuse_each_other() -> None:
    """RFC 8445 section 6.1.1: somebody has to send checks."""
    offer = negotiation().offer().replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")
    with pytest.raises(DescriptionRefused):
        negotiation(seed=2).answer(offer)
    with pytest.raises(UsageError):
        negotiation(ice_lite=True).offer()


def test_a_refused_offer_leaves_no_answer() -> None:
    """Nothing is described to a peer that was not served."""
    server = negotiation(seed=2)
    with pytest.raises(DescriptionRefused):
        server.answer(negotiation().offer().replace("opus/48000/2", "speex/8000"))
    assert server.local is None


def test_an_answer_needs_an_offer() -> None:
    """Order of verbs."""
    with pytest.raises(UsageError, match="no offer"):
        negotiation().accept_answer("v=0\r\n")


def test_a_lite_agent_without_addresses_refuses_to_answer() -> None:
    """The fault is the server's, so the error is not one that blames the offer."""
    server = negotiation(seed=2, ice_lite=True, addresses=())
    with pytest.raises(UsageError, match="needs an address") as caught:
        server.answer("not a description")
    assert type(caught.value) is UsageError


def test_descriptions_are_text() -> None:
    """Bytes, as a web framework hands them over, are named as such."""
    body: Any = b"v=0"
    client = negotiation()
    client.offer()
    with pytest.raises(UsageError, match="text, not bytes"):
        negotiation(seed=2).answer(body)
    with pytest.raises(UsageError, match="text, not bytes"):
        client.accept_answer(body)


def test_an_answer_that_can_lead_nowhere_is_refused() -> None:
    """A lite peer sends no checks: without a usable address of its, nobody does."""
    client = negotiation(seed=1)
    server = negotiation(seed=2, ice_lite=True, addresses=(("127.0.0.1", 9), ("::1", 9)))
    server.answer(client.offer())
    with pytest.raises(DescriptionRefused, match=r"of 2;.*allow_loopback"):
        client.accept_answer(server.local or "")
    allowed = negotiation(seed=1, allow_loopback=True)
    allowed.offer()
    assert len(allowed.accept_answer(server.local or "").candidates) == 2


def test_a_full_peer_behind_hidden_addresses_is_accepted() -> None:
    """A browser names `.local` only, and its checks will still come to us."""
    client, peer = negotiation(seed=1), negotiation(seed=2)
    peer.answer(client.offer())
    hidden = (peer.local or "").replace("192.0.2.1 5000 typ", "hidden.local 5000 typ")
    assert hidden != peer.local
    assert client.accept_answer(hidden).candidates == ()


def test_relays_with_a_tcp_port() -> None:
    """RFC 6544: UDP first and TCP passive beside it, in equal priority over relays."""
    server = negotiation(
        seed=2,
        ice_lite=True,
        addresses=(("192.0.2.9", 3478), ("192.0.2.8", 3478), ("2001:db8::9", 3478)),
        tcp_addresses=(("192.0.2.9", 443), ("192.0.2.8", 443), ("192.0.2.7", 443)),
    )
    client = negotiation(seed=1)
    server.answer(client.offer())
    answer = server.local or ""
    lines = [line.split(" ", 1)[1] for line in answer.splitlines() if "candidate:" in line]
    assert lines == [
        "1 udp 2130706431 192.0.2.9 3478 typ host",
        "1 tcp 1671430143 192.0.2.9 443 typ host tcptype passive",
        "1 udp 2130706431 192.0.2.8 3478 typ host",
        "1 tcp 1671430143 192.0.2.8 443 typ host tcptype passive",
        "1 udp 2130706431 2001:db8::9 3478 typ host",
        "1 tcp 1671430143 192.0.2.7 443 typ host tcptype passive",
    ]
    foundations = [line.split()[0] for line in answer.splitlines() if "candidate:" in line]
    assert len(set(foundations)) == 6


def test_full_agents_leave_tcp_candidates_alone() -> None:
    """Ours makes no connections; the description is used for its UDP candidates."""
    server = negotiation(
        seed=2, ice_lite=True, addresses=(("192.0.2.9", 9),), tcp_addresses=(("192.0.2.9", 443),)
    )
    client = negotiation(seed=1)
    server.answer(client.offer())
    answer = server.local or ""
    remote = client.accept_answer(answer)
    assert [candidate.transport for candidate in remote.candidates] == ["udp"]
