"""Who we are and who the peer must be: certificate and fingerprints, RFC 8122.

`Identity` is a key pair with a self-signed certificate, made once per process
and shared by all associations; it also keeps the OpenSSL contexts made for it,
because making one costs as much as half a handshake. `check_fingerprints` is the
only place that decides whether a certificate is the described one. Trust comes
from the signalling channel alone (RFC 5763 section 3): issuer, name and validity
of certificates are never looked at.

OpenSSL draws keys, nonces and hello randoms from its own generator; they cannot
be seeded. This is the library's one source of entropy that is not injected.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Callable, Sequence

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from rtcproto.dtls.keying import openssl_profiles

__all__ = ["Fingerprint", "Identity", "check_fingerprints", "has_usable_fingerprint"]

# RFC 8122 section 5 registers these too, but "md5" and "md2" MUST NOT be used
# and SHA-1 is broken: alone they prove nothing.
_STRONG = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_KNOWN = {**_STRONG, "sha-1": "sha1", "sha-224": "sha224"}

# Suites with forward secrecy and authenticated encryption, RFC 5289 and RFC 7905.
# ECDHE_RSA is for peers with an RSA certificate when we are the client.
_CIPHERS = b":".join(
    [
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-RSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-CHACHA20-POLY1305",
    ]
)

# OpenSSL options without a name in pyOpenSSL. The second admits servers without
# the renegotiation_info extension: what it protects is what the first forbids.
_OP_NO_RENEGOTIATION = 1 << 30
_OP_LEGACY_SERVER_CONNECT = 1 << 2

_DTLS_1_2 = 0xFEFD
_DAY = 86400.0


@attrs.frozen
class Fingerprint:
    """A hash of a certificate's DER form: `algorithm` such as "sha-256", `value` as "AA:BB:..".

    Both are compared without regard to case, as browsers do, although RFC 8122
    section 5 writes the value in capitals.
    """

    algorithm: str
    value: str

    @classmethod
    def of(cls, der: bytes, algorithm: str = "sha-256") -> Fingerprint:
        """The fingerprint of a certificate, in capitals. `KeyError` for an unknown algorithm."""
        return cls(algorithm, _digest(der, algorithm))


def _digest(der: bytes, algorithm: str) -> str:
    return hashlib.new(_KNOWN[algorithm], der, usedforsecurity=False).digest().hex(":").upper()


def has_usable_fingerprint(fingerprints: Sequence[Fingerprint]) -> bool:
    """True if at least one is by SHA-256 or better, so that a certificate can match."""
    return any(fingerprint.algorithm.lower() in _STRONG for fingerprint in fingerprints)


def check_fingerprints(der: bytes, fingerprints: Sequence[Fingerprint]) -> bool:
    """True if the certificate `der` is the one that `fingerprints` describe.

    Every fingerprint by a hash we know must match, and one of them must be by
    SHA-256 or better. RFC 8122 section 5 would let one match in the set of the
    preferred hash suffice, for peers with several certificates; a WebRTC peer
    has one, and a description that is wrong about it in part is refused.
    """
    matched = False
    for fingerprint in fingerprints:
        algorithm = fingerprint.algorithm.lower()
        if algorithm not in _KNOWN:
            continue
        expected = _digest(der, algorithm).encode()
        given = fingerprint.value.strip().upper().encode("utf-8", "replace")
        if not hmac.compare_digest(expected, given):
            return False
        matched = matched or algorithm in _STRONG
    return matched


def _accept_any(
    _connection: SSL.Connection, _certificate: object, _error: int, _depth: int, _ok: int
) -> bool:
    # Self-signed certificates have no chain to check; the fingerprint is the check.
    return True


class Identity:
    """An ECDSA P-256 key with its self-signed certificate, shared by all associations."""

    __slots__ = ("_certificate", "_contexts", "_key", "certificate_der")

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key
        # One per order of profiles that is in use; there are at most 64 orders.
        self._contexts: dict[tuple[int, ...], SSL.Context] = {}
        self.certificate_der = certificate.public_bytes(serialization.Encoding.DER)

    @classmethod
    def generate(cls, unix_time: float, entropy: Callable[[int], bytes] | None = None) -> Identity:
        """A new key and a certificate valid from a day before `unix_time` until a year after.

        The subject is a constant, as a name would only be a way to track us;
        `entropy` gives the serial number (without it, OpenSSL does).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])
        serial = (
            x509.random_serial_number()
            if entropy is None
            # RFC 5280 section 4.1.2.2: a positive integer of at most 20 octets.
            else int.from_bytes(entropy(16), "big") | 1
        )
        start = datetime.datetime.fromtimestamp(unix_time - _DAY, datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=366))
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 fingerprint, for `a=fingerprint`."""
        return Fingerprint.of(self.certificate_der)

    def context(self, profiles: tuple[int, ...]) -> SSL.Context:
        """The OpenSSL context for `profiles` in order of preference; made once, for both roles."""
        context = self._contexts.get(profiles)
        if context is None:
            context = self._contexts[profiles] = self._make_context(profiles)
        return context

    def _make_context(self, profiles: tuple[int, ...]) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.use_certificate(self._certificate)
        context.use_privatekey(self._key)
        context.set_cipher_list(_CIPHERS)
        context.set_options(
            SSL.OP_NO_TICKET
            | SSL.OP_NO_COMPRESSION
            | SSL.OP_NO_QUERY_MTU
            | SSL.OP_CIPHER_SERVER_PREFERENCE
            | _OP_NO_RENEGOTIATION
            | _OP_LEGACY_SERVER_CONNECT
        )
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        if profiles:
            context.set_tlsext_use_srtp(openssl_profiles(profiles))
        return context
