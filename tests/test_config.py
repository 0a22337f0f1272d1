"""Settings of sessions and endpoints."""

from __future__ import annotations

import ipaddress
import os

import attrs
import pytest

from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.dtls import Identity
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
