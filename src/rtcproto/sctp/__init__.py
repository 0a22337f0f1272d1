"""SCTP for WebRTC data channels: RFC 9260 over DTLS (RFC 8261)."""

__all__: list[str] = []
