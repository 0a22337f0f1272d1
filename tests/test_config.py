"""Settings of sessions and endpoints."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

import attrs
import pytest

from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig, check_address
from rtcproto.dtls import Identity
from rtcproto.errors import UsageError
from rtcproto.routing import PlaintextTokenCodec
from rtcproto.sdp import Setup
from rtcproto.srtp import Profile

IDENTITY = Identity.generate(1_800_000_000.0)


def test_defaults_are_a_servers() -> None:
    """Lite, active, AEAD first, operating-system randomness, loopback refused."""
    config = SessionConfig(identity=IDENTITY)
    assert config.ice_lite
    assert config.setup is Setup.ACTIVE
    assert config.srtp_profiles[0] is Profile.AEAD_AES_128_GCM
    assert config.entropy is os.urandom
    assert not config.allow_loopback
    assert EndpointConfig(session=config).relays == ()


def test_every_stage_of_a_session_has_a_deadline() -> None:
    """P4, H4: positive and finite; an abandoned call is reaped within 15 s."""
    config = SessionConfig(identity=IDENTITY)
    assert 0 < config.check_timeout <= 15
    assert config.check_timeout < config.setup_timeout <= 60
    assert 0 < config.answer_timeout <= 60
    assert config.ice.consent_timeout <= 30


def test_dtls_settings_follow_the_sessions() -> None:
    """Identity and profiles, in order, as their code points."""
    profiles = (Profile.AES_CM_128_HMAC_SHA1_32, Profile.AEAD_AES_256_GCM)
    dtls = SessionConfig(identity=IDENTITY, srtp_profiles=profiles).dtls()
    assert dtls.identity is IDENTITY
    assert dtls.profiles == (2, 8)


def test_relays_are_networks() -> None:
    """Texts become networks, of both families; anything else is refused at once."""
    session = SessionConfig(identity=IDENTITY)
    config = EndpointConfig(session=session, relays=("10.0.0.0/8", "2001:db8::/32"))
    assert config.relays == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("2001:db8::/32"),
    )
    for wrong in ("10.0.0.0/99", "relay.example.org", ""):
        with pytest.raises(ValueError, match="IPv4 or IPv6 network"):
            EndpointConfig(session=session, relays=(wrong,))


def test_values_are_frozen_and_evolve() -> None:
    """Shared by any number of sessions, so nobody may change one."""
    config = SessionConfig(identity=IDENTITY)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.ice_lite = False  # type: ignore[misc]
    assert not attrs.evolve(config, ice_lite=False).ice_lite
    routing = RoutingConfig(codec=PlaintextTokenCodec("p"), cluster=1, owner=2, epoch=3)
    assert attrs.evolve(routing, epoch=4).epoch == 4


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "a pair of an IP address and a port"),
        ("192.0.2.1", "a pair"),
        (("192.0.2.1",), "a pair"),
        ((b"192.0.2.1", 1), "a pair"),
        (("[::1]", 1), "numeric IP address without brackets"),
        (("localhost", 1), "no host name"),
        (("", 1), "no host name"),
        (("fe80::1%eth0", 1), "no scope"),
        (("::ffff:192.0.2.1", 1), "its own form"),
        (("192.0.2.1", 99999), "port from 0 to 65535"),
        (("192.0.2.1", -1), "port from"),
        (("192.0.2.1", "80"), "port from"),
        (("192.0.2.1", True), "port from"),
    ],
)
def test_addresses_are_numeric(value: object, sentence: str) -> None:
    """One sentence says which part is wrong, and of what."""
    with pytest.raises(UsageError, match=f"^x must .*{sentence}"):
        check_address(value, "x")
    check_address(("0.0.0.0", 0), "x")
    check_address(("2001:db8::1", 65535), "x")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"identity": None}, "identity must be an instance of Identity"),
        ({"identity": Identity}, "identity must be"),
        ({"addresses": ("192.0.2.1", 5000)}, "each of addresses must be a pair"),
        ({"addresses": [("192.0.2.1", 5000)]}, "addresses must be a tuple"),
        ({"addresses": (("example.org", 5000),)}, "no host name"),
        ({"addresses": (("0.0.0.0", 5000),)}, "0.0.0.0: name the address clients can reach"),
        ({"addresses": (("::", 5000),)}, "holds ::: name the address clients can reach"),
        ({"addresses": (("224.0.0.1", 5000),)}, "name the address"),
        ({"setup": Setup.ACTPASS}, "setup must be"),
        ({"srtp_profiles": ()}, "one at least"),
        ({"srtp_profiles": [Profile.AEAD_AES_128_GCM]}, "a tuple"),
        ({"srtp_profiles": (Profile.AEAD_AES_128_GCM,) * 2}, "distinct"),
        ({"srtp_profiles": (7,)}, "Profiles"),
        ({"ice": None}, "ice must be an instance of IceConfig"),
        ({"answer_timeout": 0}, "answer_timeout must be"),
        ({"check_timeout": -1.0}, "check_timeout must be"),
        ({"setup_timeout": float("nan")}, "setup_timeout must be"),
        ({"setup_timeout": "35"}, "setup_timeout must be"),
        ({"cname": ""}, "cname must be"),
        ({"cname": "two words"}, "cname must be"),
        ({"cname": "x" * 256}, "1 to 255"),
        ({"opus_parameters": ""}, "opus_parameters must be"),
        ({"opus_parameters": "a=1\r\na=evil"}, "opus_parameters must be"),
    ],
)
def test_what_can_never_work_is_refused(fields: dict[str, Any], sentence: str) -> None:
    """At once, where it is written, and not at the first call."""
    with pytest.raises(UsageError, match=re.escape(sentence)):
        SessionConfig(**{"identity": IDENTITY, **fields})


@pytest.mark.parametrize(
    "fields", [{"session": None}, {"max_sessions": 0}, {"max_connecting": 0}, {"max_sessions": 1.5}]
)
def test_endpoints_have_room_for_one_session(fields: dict[str, Any]) -> None:
    """Limits of 0 would refuse every call."""
    with pytest.raises(UsageError, match=next(iter(fields))):
        EndpointConfig(**{"session": SessionConfig(identity=IDENTITY), **fields})
