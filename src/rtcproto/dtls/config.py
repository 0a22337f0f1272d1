"""What an association is made with; shared by as many as like."""

from __future__ import annotations

import attrs

from rtcproto.dtls.identity import Identity

__all__ = ["DtlsConfig"]


def _check_profiles(_config: object, _attribute: object, value: tuple[int, ...]) -> None:
    if len(set(value)) != len(value) or not set(value) <= {1, 2, 7, 8}:
        raise ValueError(f"profiles must be distinct use_srtp code points we know: {value}")


@attrs.frozen(kw_only=True)
class DtlsConfig:
    """Settings of a DTLS association. Times are seconds, sizes bytes."""

    identity: Identity
    # use_srtp code points, most wanted first. As server we choose by this order.
    # AEAD first: cheaper to compute and better protected than AES-CM with SHA-1.
    profiles: tuple[int, ...] = attrs.field(default=(7, 8, 1), validator=_check_profiles)
    # RFC 7627: without it a man in the middle can make two sessions share keys.
    require_extended_master_secret: bool = True
    # The largest datagram we make. 1200 passes every path that carries IPv6.
    mtu: int = attrs.field(default=1200, validator=attrs.validators.in_(range(256, 16385)))
    # RFC 6347 section 4.2.4.1 suggests 1 s; browsers use 50 to 60 ms, and with
    # 1 s a lost last flight costs the user seconds.
    first_resend: float = 0.1
    max_resend: float = 3.0
    # From `start` to keys, or the association is over.
    handshake_timeout: float = 30.0
    # From the first certificate that is not the described one to giving up,
    # unless the right one arrives: a forged one alone must not end the call.
    mismatch_grace: float = 2.0
