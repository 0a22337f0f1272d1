"""The guard in front of OpenSSL: what may reach it before anyone is authenticated.

One malformed hello, plaintext alert or empty Certificate ends an OpenSSL
connection for good, and anyone who can spoof the peer's address can send one.
So every plaintext handshake message is judged here first; a refused one is
counted and forgotten, and the real one can still come.

What this cannot catch: a forged message that is well-formed, of the right type
and has the right sequence number, and that arrives before the real one. It
spoils a DTLS 1.2 handshake by design of the protocol (nothing is authenticated
before Finished). Certificates are the exception: they must match the fingerprint.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from rtcproto._wire import Reader
from rtcproto.dtls.config import DtlsConfig
from rtcproto.dtls.events import Role
from rtcproto.dtls.handshake import (
    ClientHello,
    Extension,
    HandshakeType,
    ServerHello,
    parse_certificates,
    parse_use_srtp,
)
from rtcproto.dtls.identity import Fingerprint, check_fingerprints
from rtcproto.dtls.reassembly import Message
from rtcproto.dtls.record import DTLS_1_2
from rtcproto.errors import ParseError

__all__ = ["LAST_PLAINTEXT", "Refusal", "vet"]

_T = HandshakeType

# What may follow what, RFC 5246 section 7.3 with client authentication. None is
# the start. A full handshake is the only kind: nothing is ever resumed.
_NEXT: dict[Role, dict[int | None, frozenset[int]]] = {
    Role.SERVER: {
        None: frozenset({_T.CLIENT_HELLO}),
        _T.CLIENT_HELLO: frozenset({_T.CERTIFICATE}),
        _T.CERTIFICATE: frozenset({_T.CLIENT_KEY_EXCHANGE}),
        _T.CLIENT_KEY_EXCHANGE: frozenset({_T.CERTIFICATE_VERIFY}),
    },
    Role.CLIENT: {
        None: frozenset({_T.SERVER_HELLO, _T.HELLO_VERIFY_REQUEST}),
        _T.HELLO_VERIFY_REQUEST: frozenset({_T.SERVER_HELLO, _T.HELLO_VERIFY_REQUEST}),
        _T.SERVER_HELLO: frozenset({_T.CERTIFICATE}),
        _T.CERTIFICATE: frozenset({_T.SERVER_KEY_EXCHANGE}),
        _T.SERVER_KEY_EXCHANGE: frozenset({_T.CERTIFICATE_REQUEST, _T.SERVER_HELLO_DONE}),
        _T.CERTIFICATE_REQUEST: frozenset({_T.SERVER_HELLO_DONE}),
    },
}

# The peer's last message before its ChangeCipherSpec.
LAST_PLAINTEXT = {Role.SERVER: _T.CERTIFICATE_VERIFY, Role.CLIENT: _T.SERVER_HELLO_DONE}

# ECDHE with an AEAD, by who signs: RFC 5289 section 3.2, RFC 7905 section 2.
_ECDSA_SUITES = frozenset({0xC02B, 0xC02C, 0xCCA9})
_RSA_SUITES = frozenset({0xC02F, 0xC030, 0xCCA8})

# x25519, the P-curves and x448, RFC 8422 section 5.1.1. Unknown groups, the
# post-quantum ones among them, are what a peer may offer besides.
_GROUPS = frozenset({23, 24, 25, 29, 30})

# ecdsa_secp256r1_sha256, RFC 8446 section 4.2.3: what our certificate signs with.
_OUR_SIGNATURE = 0x0403

# What our own hello offers; a server that answers anything else breaks
# RFC 5246 section 7.4.1.4, and OpenSSL would end the connection over it.
_OFFERED = frozenset(
    {
        Extension.RENEGOTIATION_INFO,
        Extension.EC_POINT_FORMATS,
        Extension.SUPPORTED_GROUPS,
        Extension.ENCRYPT_THEN_MAC,
        Extension.EXTENDED_MASTER_SECRET,
        Extension.USE_SRTP,
    }
)


class Refusal(enum.Enum):
    """Why a handshake message was not let through."""

    MALFORMED = "it does not parse"
    WRONG_TYPE = "not the message that comes next"
    VERSION = "no DTLS 1.2"
    NO_SUITE = "no cipher suite of ours"
    COMPRESSION = "compression"
    NO_GROUP = "no key exchange group of ours"
    NO_SIGNATURE = "no signature algorithm of ours"
    NO_SESSION_HASH = "no extended master secret"
    NO_SRTP_PROFILE = "no SRTP protection profile of ours"
    EXTENSIONS = "extensions that nobody asked for"
    FINGERPRINT = "not the certificate that was described"


def vet(
    message: Message,
    previous: int | None,
    role: Role,
    config: DtlsConfig,
    fingerprints: Sequence[Fingerprint],
) -> Refusal | None:
    """Why `message`, which follows one of type `previous`, is refused; None if it may pass."""
    if message.message_type not in _NEXT[role].get(previous, ()):
        return Refusal.WRONG_TYPE
    body = message.body
    try:
        match message.message_type:
            case _T.CLIENT_HELLO:
                return _vet_client_hello(ClientHello.parse(body), config)
            case _T.SERVER_HELLO:
                return _vet_server_hello(ServerHello.parse(body), config)
            case _T.CERTIFICATE:
                return _vet_certificate(body, fingerprints)
            case _:
                _check_shape(message.message_type, body)
                return None
    except ParseError:
        return Refusal.MALFORMED


def _vet_client_hello(hello: ClientHello, config: DtlsConfig) -> Refusal | None:
    extensions = hello.extensions
    versions = hello.numbers(Extension.SUPPORTED_VERSIONS, 1)
    # RFC 9147 section 5.3: a DTLS 1.3 hello says 1.2 in the old field and means its list.
    if hello.version != DTLS_1_2 or (versions is not None and DTLS_1_2 not in versions):
        return Refusal.VERSION
    if not _ECDSA_SUITES.intersection(hello.suites):
        return Refusal.NO_SUITE
    if 0 not in hello.compressions:
        return Refusal.COMPRESSION
    groups = hello.numbers(Extension.SUPPORTED_GROUPS, 2)
    if groups is not None and not _GROUPS.intersection(groups):
        return Refusal.NO_GROUP
    signatures = hello.numbers(Extension.SIGNATURE_ALGORITHMS, 2)
    if signatures is not None and _OUR_SIGNATURE not in signatures:
        return Refusal.NO_SIGNATURE
    if (ems := _vet_extended_master_secret(extensions, config)) is not None:
        return ems
    if config.profiles:
        offered = extensions.get(Extension.USE_SRTP)
        if offered is None or not set(config.profiles).intersection(parse_use_srtp(offered)):
            return Refusal.NO_SRTP_PROFILE
    return None


def _vet_server_hello(hello: ServerHello, config: DtlsConfig) -> Refusal | None:
    extensions = hello.extensions
    if hello.version != DTLS_1_2:
        return Refusal.VERSION
    if hello.suite not in _ECDSA_SUITES | _RSA_SUITES:
        return Refusal.NO_SUITE
    if hello.compression != 0:
        return Refusal.COMPRESSION
    if not extensions.keys() <= _OFFERED:
        return Refusal.EXTENSIONS
    # Whatever OpenSSL would abort over is refused here: a client cannot begin again,
    # since the server has taken its first hello for good.
    # RFC 5746 section 3.4: empty in an initial handshake, or the client must abort.
    if extensions.get(Extension.RENEGOTIATION_INFO, b"\0") != b"\0":
        return Refusal.EXTENSIONS
    # RFC 8422 section 5.2: the list, if there, contains "uncompressed" (0).
    reader = Reader(extensions.get(Extension.EC_POINT_FORMATS, b"\1\0"), "dtls")
    formats = reader.vector(1)
    reader.finish()
    if 0 not in formats:
        return Refusal.EXTENSIONS
    if (ems := _vet_extended_master_secret(extensions, config)) is not None:
        return ems
    if config.profiles:
        # RFC 5764 section 4.1.1: the server's answer has exactly one profile.
        # (length 2, the profile, no MKI, since we offer none).
        chosen = extensions.get(Extension.USE_SRTP, b"")
        if len(chosen) != 5 or parse_use_srtp(chosen)[0] not in config.profiles:
            return Refusal.NO_SRTP_PROFILE
    return None


def _vet_extended_master_secret(extensions: dict[int, bytes], config: DtlsConfig) -> Refusal | None:
    body = extensions.get(Extension.EXTENDED_MASTER_SECRET)
    if body is None:
        missing = config.require_extended_master_secret
        return Refusal.NO_SESSION_HASH if missing else None
    return Refusal.MALFORMED if body else None  # RFC 7627 section 5.1: it is empty


def _vet_certificate(body: bytes, fingerprints: Sequence[Fingerprint]) -> Refusal | None:
    certificates = parse_certificates(body)
    # A DER certificate is a SEQUENCE; an empty list or an empty entry is what
    # OpenSSL answers with a fatal alert.
    if not certificates or any(certificate[:1] != b"\x30" for certificate in certificates):
        return Refusal.MALFORMED
    return None if check_fingerprints(certificates[0], fingerprints) else Refusal.FINGERPRINT


def _check_shape(message_type: int, body: bytes) -> None:
    """Raise `ParseError` unless the message has the outline that RFC 5246 section 7.4 draws."""
    reader = Reader(body, "dtls")
    match message_type:
        case _T.HELLO_VERIFY_REQUEST:
            reader.take(2)
            reader.vector(1)
        case _T.SERVER_KEY_EXCHANGE:
            # RFC 8422 section 5.4: named_curve (3), the group, the point, the signature.
            if reader.uint(1) != 3 or reader.uint(2) not in _GROUPS or not reader.vector(1):
                raise reader.fail("no ephemeral key on a named curve")
            reader.take(2)
            reader.vector(2)
        case _T.CERTIFICATE_REQUEST:
            reader.vector(1)
            reader.vector(2)
            reader.vector(2)
        case _T.CLIENT_KEY_EXCHANGE:
            if not reader.vector(1):
                raise reader.fail("no ephemeral key")
        case _T.CERTIFICATE_VERIFY:
            reader.take(2)
            reader.vector(2)
        case _:
            pass  # ServerHelloDone: empty, as finish() checks
    reader.finish()
