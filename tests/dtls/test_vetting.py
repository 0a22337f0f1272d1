"""What may reach OpenSSL before anyone is authenticated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto._wire import Writer
from rtcproto.dtls import Dtls, Role
from rtcproto.dtls.handshake import ClientHello, HandshakeType, parse_fragments
from rtcproto.dtls.reassembly import Message
from rtcproto.dtls.record import parse_records
from rtcproto.dtls.vetting import _OFFERED, Refusal, vet
from tests.support.dtls import (
    EXTENSIONS,
    SUITES,
    client_hello,
    config,
    identity,
    post_quantum_hello,
)

T = HandshakeType
FINGERPRINTS = [identity().fingerprint]


def judge(
    message_type: int,
    body: bytes,
    role: Role = Role.SERVER,
    previous: int | None = None,
    **changes: object,
) -> Refusal | None:
    """The verdict on one message under the default configuration with `changes`."""
    return vet(Message(message_type, 0, body), previous, role, config(**changes), FINGERPRINTS)


def server_hello(
    *,
    version: int = 0xFEFD,
    suite: int = 0xC02B,
    compression: int = 0,
    extensions: dict[int, bytes] | None = None,
) -> bytes:
    """The body of a ServerHello."""
    if extensions is None:
        extensions = {23: b"", 0xFF01: b"\0", 11: b"\1\0", 14: bytes.fromhex("0002000700")}
    listed = Writer()
    for code, body in extensions.items():
        listed.uint(code, 2).vector(body, 2)
    fixed = Writer().uint(version, 2).put(bytes(32)).vector(b"", 1).uint(suite, 2)
    return bytes(fixed.uint(compression, 1).vector(bytes(listed), 2))


def without(code: int) -> dict[int, bytes]:
    """The ordinary extensions of a client without one."""
    return {key: body for key, body in EXTENSIONS.items() if key != code}


@pytest.mark.parametrize(
    "body",
    [
        client_hello(),
        post_quantum_hello(),
        client_hello(suites=[0xC02B, 0x00FF]),
        client_hello(extensions={**EXTENSIONS, 43: bytes.fromhex("02fefd")}),
        client_hello(extensions={**EXTENSIONS, 0x0A0A: b"grease"}),
        client_hello(extensions=without(13)),
        client_hello(extensions=without(10)),
        client_hello(compressions=b"\1\0"),
    ],
)
def test_good_client_hellos(body: bytes) -> None:
    """Ordinary, post-quantum and sparse hellos pass."""
    assert judge(T.CLIENT_HELLO, body) is None


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", Refusal.MALFORMED),
        (client_hello()[:-1], Refusal.MALFORMED),
        (client_hello(version=0xFEFF), Refusal.VERSION),
        (client_hello(version=0xFEFC), Refusal.VERSION),
        (client_hello(version=0x0303), Refusal.VERSION),
        (client_hello(extensions={**EXTENSIONS, 43: bytes.fromhex("02fefc")}), Refusal.VERSION),
        (client_hello(suites=[0x0000]), Refusal.NO_SUITE),  # NULL with NULL
        (client_hello(suites=[0x003B, 0xC006]), Refusal.NO_SUITE),  # NULL ciphers
        (client_hello(suites=[]), Refusal.NO_SUITE),
        (client_hello(suites=[0x1301]), Refusal.NO_SUITE),  # DTLS 1.3 only
        (client_hello(suites=[0xC02F]), Refusal.NO_SUITE),  # our certificate is not RSA
        (client_hello(compressions=b"\1"), Refusal.COMPRESSION),
        (client_hello(compressions=b""), Refusal.COMPRESSION),
        (client_hello(extensions={**EXTENSIONS, 10: b"\0\2\x11\xec"}), Refusal.NO_GROUP),
        (client_hello(extensions={**EXTENSIONS, 10: b"\0\3\0\x1d"}), Refusal.MALFORMED),
        (client_hello(extensions={**EXTENSIONS, 13: b"\0\2\x08\x04"}), Refusal.NO_SIGNATURE),
        (client_hello(extensions=without(23)), Refusal.NO_SESSION_HASH),
        (client_hello(extensions={**EXTENSIONS, 23: b"x"}), Refusal.MALFORMED),
        (client_hello(extensions=without(14)), Refusal.NO_SRTP_PROFILE),
        (client_hello(extensions={**EXTENSIONS, 14: b"\0\2\0\5\0"}), Refusal.NO_SRTP_PROFILE),
        (client_hello(extensions={**EXTENSIONS, 14: b"\0\2\0\7"}), Refusal.MALFORMED),
        (client_hello(extensions={}), Refusal.NO_SESSION_HASH),
    ],
)
def test_bad_client_hellos(body: bytes, refusal: Refusal) -> None:
    """Each reason for which a hello is dropped, D1 and D10."""
    assert judge(T.CLIENT_HELLO, body) is refusal


def test_requirements_can_be_lifted() -> None:
    """Extended master secret and SRTP are required by configuration, not by nature."""
    bare = client_hello(extensions={k: EXTENSIONS[k] for k in (10, 11, 13)})
    changes = {"require_extended_master_secret": False, "profiles": ()}
    assert judge(T.CLIENT_HELLO, bare, **changes) is None
    assert judge(T.SERVER_HELLO, server_hello(extensions={}), Role.CLIENT, **changes) is None


def test_good_server_hellos() -> None:
    """ECDSA and RSA suites pass."""
    for suite in SUITES:
        assert judge(T.SERVER_HELLO, server_hello(suite=suite), Role.CLIENT) is None


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", Refusal.MALFORMED),
        (server_hello(version=0xFEFF), Refusal.VERSION),
        (server_hello(suite=0x003B), Refusal.NO_SUITE),
        (server_hello(compression=1), Refusal.COMPRESSION),
        (server_hello(extensions={}), Refusal.NO_SESSION_HASH),
        (server_hello(extensions={23: b""}), Refusal.NO_SRTP_PROFILE),
        (server_hello(extensions={23: b"", 14: b"\0\4\0\7\0\1\0"}), Refusal.NO_SRTP_PROFILE),
        (server_hello(extensions={23: b"", 14: b"\0\2\0\5\0"}), Refusal.NO_SRTP_PROFILE),
        (server_hello(extensions={23: b"", 14: b"\0\2\0\7\0", 16: b""}), Refusal.EXTENSIONS),
        (server_hello(extensions={23: b"", 0xFF01: b"\1x"}), Refusal.EXTENSIONS),
        (server_hello(extensions={23: b"", 11: b"\2\0"}), Refusal.MALFORMED),
        (server_hello(extensions={23: b"", 11: b"\1\1"}), Refusal.EXTENSIONS),
        (server_hello(extensions={23: b"", 11: b""}), Refusal.MALFORMED),
        (server_hello(extensions={23: b"", 14: b"\0\2\0\7\1x"}), Refusal.NO_SRTP_PROFILE),
    ],
)
def test_bad_server_hellos(body: bytes, refusal: Refusal) -> None:
    """Each reason for which an answer to our hello is dropped."""
    assert judge(T.SERVER_HELLO, body, Role.CLIENT) is refusal


def test_our_own_hello_offers_what_the_vetting_believes() -> None:
    """What a server may answer is what our OpenSSL offers, no more; and our hello is vettable."""
    dtls = Dtls(config(), Role.CLIENT, FINGERPRINTS, 0.0)
    dtls.start(0.0)
    (packet,) = dtls.packets_to_send()
    (record,) = parse_records(packet)
    (fragment,) = parse_fragments(record.payload)
    hello = ClientHello.parse(fragment.body)
    assert set(hello.extensions) >= _OFFERED
    assert set(hello.extensions) - _OFFERED == {13}  # not answered by servers
    assert not set(hello.suites) - {*SUITES, 0x00FF}
    assert judge(T.CLIENT_HELLO, fragment.body) is None


def certificates(*ders: bytes) -> bytes:
    """The body of a Certificate message."""
    inner = b"".join(bytes(Writer().vector(der, 3)) for der in ders)
    return bytes(Writer().vector(inner, 3))


@pytest.mark.parametrize("role", list(Role))
def test_certificates(role: Role) -> None:
    """Empty, misshapen and foreign certificates stay out; the described one passes."""
    previous = T.CLIENT_HELLO if role is Role.SERVER else T.SERVER_HELLO
    ours = identity().certificate_der
    foreign = identity("foreign").certificate_der
    assert judge(T.CERTIFICATE, certificates(ours), role, previous) is None
    assert judge(T.CERTIFICATE, certificates(ours, foreign), role, previous) is None
    for bad in (certificates(), certificates(b""), certificates(ours, b""), b"", ours):
        assert judge(T.CERTIFICATE, bad, role, previous) is Refusal.MALFORMED
    for bad in (foreign, ours[:-1], ours + b"\0"):
        assert judge(T.CERTIFICATE, certificates(bad), role, previous) is Refusal.FINGERPRINT
    two = certificates(foreign, ours)
    assert judge(T.CERTIFICATE, two, role, previous) is Refusal.FINGERPRINT


ORDER = {
    Role.SERVER: [1, 11, 16, 15],
    Role.CLIENT: [3, 2, 11, 12, 13, 14],
}


@pytest.mark.parametrize("role", list(Role))
def test_order(role: Role) -> None:
    """Every type is refused where the protocol has no place for it."""
    places: list[int | None] = [None, *ORDER[role]]
    allowed = {
        Role.SERVER: {(None, 1), (1, 11), (11, 16), (16, 15)},
        Role.CLIENT: {
            (None, 3), (None, 2), (3, 3), (3, 2), (2, 11), (11, 12), (12, 13), (12, 14), (13, 14),
        },
    }[role]  # fmt: skip
    for previous in places:
        for message_type in range(256):
            refused = judge(message_type, b"", role, previous) is Refusal.WRONG_TYPE
            assert refused == ((previous, message_type) not in allowed)


@pytest.mark.parametrize(
    ("message_type", "previous", "role", "good", "bad"),
    [
        (3, None, Role.CLIENT, "feff 02 aabb", "feff 02 aa"),
        (12, 11, Role.CLIENT, "03 001d 01 aa 0403 0001 bb", "03 001d 00 0403 0001 bb"),
        (12, 11, Role.CLIENT, "03 0017 01 aa 0403 0001 bb", "01 0017 01 aa 0403 0001 bb"),
        (12, 11, Role.CLIENT, "03 0017 01 aa 0403 0001 bb", "03 0017 01 aa 0403 0001 bbcc"),
        (13, 12, Role.CLIENT, "01 40 0002 0403 0000", "01 40 0002 0403 0001"),
        (14, 13, Role.CLIENT, "", "00"),
        (16, 11, Role.SERVER, "01 aa", "00"),
        (15, 16, Role.SERVER, "0403 0001 aa", "0403 0002 aa"),
    ],
)
def test_shapes(message_type: int, previous: int | None, role: Role, good: str, bad: str) -> None:
    """The other messages must have the outline of RFC 5246 section 7.4."""
    verdicts = [
        judge(message_type, bytes.fromhex(text.replace(" ", "")), role, previous)
        for text in (good, bad)
    ]
    assert verdicts == [None, Refusal.MALFORMED]


@given(st.sampled_from(Role), st.integers(0, 255), st.binary(max_size=100))
def test_any_bytes(role: Role, message_type: int, body: bytes) -> None:
    """The verdict is total."""
    for previous in (None, *ORDER[role]):
        assert judge(message_type, body, role, previous) in (None, *Refusal)
