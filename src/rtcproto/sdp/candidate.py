"""The candidate attribute (RFC 8839 section 5.1) as a value, nothing judged, nothing resolved.

Called by `attributes` for each `a=candidate` line, and by callers who write
candidates of their own. The address is kept as the text it was: a browser hides
its own behind `.local` names, lists TCP candidates and second components, and
may name addresses that nobody should send to. Whoever sends to them filters.

Refused (`ParseError`): a missing field, a number out of its range, a name
without a value. Unknown transports, types and extensions are kept, as RFC 8839
section 5.1 asks.
"""

from __future__ import annotations

import attrs

from rtcproto.errors import ParseError
from rtcproto.sdp.lines import bounded_number, is_visible

__all__ = ["SdpCandidate"]


@attrs.frozen(kw_only=True)
class SdpCandidate:
    """`a=candidate` (RFC 8839 section 5.1), nothing judged and nothing resolved.

    `host` is whatever stood there: an address of either family, a `.local`
    name, a domain name. `extensions` are the name and value pairs after the
    known fields, in order (`generation`, `ufrag`, `network-cost` ...).
    """

    foundation: str
    component: int
    transport: str
    priority: int
    host: str
    port: int
    type: str
    related_host: str | None = None
    related_port: int | None = None
    tcptype: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        identity = f"candidate:{self.foundation} {self.component} {self.transport}"
        parts = [f"{identity} {self.priority} {self.host} {self.port} typ {self.type}"]
        if self.related_host is not None:
            parts.append(f"raddr {self.related_host}")
        if self.related_port is not None:
            parts.append(f"rport {self.related_port}")
        if self.tcptype is not None:
            parts.append(f"tcptype {self.tcptype}")
        parts.extend(f"{name} {value}" for name, value in self.extensions)
        return " ".join(parts)

    @classmethod
    def parse(cls, value: str, number: int) -> SdpCandidate:
        """Parse the text after `candidate:`."""
        fields = value.split()
        if len(fields) < 8 or fields[6] != "typ":
            raise ParseError("sdp", "candidate: too few fields, or no type", number)
        if len(fields) % 2:
            raise ParseError("sdp", "candidate: an extension without a value", number)
        if not all(map(is_visible, fields)):
            raise ParseError("sdp", "candidate: not visible ASCII", number)
        known: dict[str, str] = {}
        extensions: list[tuple[str, str]] = []
        for index in range(8, len(fields), 2):
            name, text = fields[index], fields[index + 1]
            if name in ("raddr", "rport", "tcptype") and name not in known:
                known[name] = text
            else:
                extensions.append((name, text))
        rport = known.get("rport")
        return cls(
            foundation=fields[0],
            component=bounded_number(fields[1], 256, "candidate: component", number),
            transport=fields[2],
            priority=bounded_number(fields[3], 0xFFFFFFFF, "candidate: priority", number),
            host=fields[4],
            port=bounded_number(fields[5], 0xFFFF, "candidate: port", number),
            type=fields[7],
            related_host=known.get("raddr"),
            related_port=(
                None
                if rport is None
                else bounded_number(rport, 0xFFFF, "candidate: related port", number)
            ),
            tcptype=known.get("tcptype"),
            extensions=tuple(extensions),
        )
