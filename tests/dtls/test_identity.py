"""Certificates and fingerprints, RFC 8122."""

import datetime
import hashlib

import pytest
from cryptography import x509

from rtcproto.dtls import Fingerprint, Identity
from rtcproto.dtls.identity import check_fingerprints, has_usable_fingerprint
from tests.support.dtls import UNIX_TIME, identity

DER = identity().certificate_der


def right(algorithm: str) -> Fingerprint:
    """The true fingerprint of `DER`, computed independently."""
    digest = hashlib.new(algorithm.replace("-", ""), DER).hexdigest().upper()
    return Fingerprint(algorithm, ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)))


def wrong(algorithm: str) -> Fingerprint:
    """One digit off."""
    value = right(algorithm).value
    return Fingerprint(algorithm, value[:-1] + ("0" if value[-1] != "0" else "1"))


def test_our_certificate() -> None:
    """ECDSA P-256, self-signed, valid for a year around the time that was given."""
    certificate = x509.load_der_x509_certificate(DER)
    assert certificate.issuer == certificate.subject
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key().curve.name == "secp256r1"  # type: ignore[union-attr]
    moment = datetime.datetime.fromtimestamp(UNIX_TIME, datetime.UTC)
    assert certificate.not_valid_before_utc == moment - datetime.timedelta(days=1)
    assert certificate.not_valid_after_utc == moment + datetime.timedelta(days=365)


def test_our_fingerprint() -> None:
    """SHA-256 over the DER form, capitals with colons, as RFC 8122 section 5 writes it."""
    assert identity().fingerprint == right("sha-256")


def test_serial_from_entropy() -> None:
    """The serial number is the injected entropy, and positive."""
    made = Identity.generate(UNIX_TIME, lambda size: b"\x80" * size)
    serial = x509.load_der_x509_certificate(made.certificate_der).serial_number
    assert serial == int.from_bytes(b"\x80" * 15 + b"\x81", "big")


def test_contexts_are_made_once() -> None:
    """One OpenSSL context per order of profiles, shared by all associations and both roles."""
    ours = identity()
    assert ours.context((7, 1)) is ours.context((7, 1))
    assert ours.context((7, 1)) is not ours.context((1, 7))


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_a_right_fingerprint(algorithm: str) -> None:
    """SHA-256 and better; letter case and white space around do not matter."""
    good = right(algorithm)
    assert check_fingerprints(DER, [good])
    assert check_fingerprints(DER, [Fingerprint(algorithm.upper(), f" {good.value.lower()} ")])


@pytest.mark.parametrize(
    "given",
    [
        [],
        [wrong("sha-256")],
        [right("sha-1")],
        [Fingerprint("md5", "00")],
        [right("sha-256"), wrong("sha-512")],
        [right("sha-256"), wrong("sha-256"), right("sha-256")],
        [right("sha-256"), wrong("sha-1")],
        [Fingerprint("sha-256", right("sha-256").value[:-3])],
        [Fingerprint("sha-256", right("sha-256").value + ":00")],
        [Fingerprint("sha-256", right("sha-256").value.replace(":", ""))],
        [Fingerprint("sha-256", "")],
        [Fingerprint("sha-256", "\udcff\u00e9")],
        [Fingerprint("sha-512", right("sha-256").value)],
    ],
)
def test_wrong_fingerprints(given: list[Fingerprint]) -> None:
    """None, weak, wrong, wrong in part, or misshapen: not the described certificate."""
    assert not check_fingerprints(DER, given)


def test_unknown_algorithms_do_not_count() -> None:
    """What we cannot compute neither helps nor harms."""
    unknown = Fingerprint("sha3-256", "00")
    assert check_fingerprints(DER, [unknown, right("sha-256")])
    assert not check_fingerprints(DER, [unknown])


def test_usable_fingerprints() -> None:
    """At least one must be strong enough to prove anything."""
    assert has_usable_fingerprint([right("sha-1"), Fingerprint("SHA-256", "x")])
    assert not has_usable_fingerprint([right("sha-1"), Fingerprint("md5", "x")])
    assert not has_usable_fingerprint([])
