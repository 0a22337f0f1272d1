"""SRTP and SRTCP contexts: indices, replay, and the way in and out of a packet.

RFC 3711 sections 3.2 to 3.4, for the profiles of `rtcproto.srtp.profiles`. A
session makes one sender and one receiver out of the DTLS keying material; they
share nothing, since the two directions have different keys.

Theory of operation: RTP carries 16 bits of a 48-bit packet index. Each side keeps
the index unwrapped, per SSRC. The receiver takes the index nearest to the highest
one it has accepted (RFC 3711 3.3.1), asks the replay window, checks the tag and
only then changes anything: a packet that fails leaves no trace, and a new SSRC has
no state before its first good tag. The sender's index only ever rises: an index
used twice under one key would reveal the XOR of two payloads.

Refused: SRTCP in the clear (E = 0) unless asked for, a master key identifier
(the tag then fails), more than MAX_STREAMS SSRCs, and indices beyond their range.
"""

from __future__ import annotations

import struct

from rtcproto._serial import unwrap
from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.rtp.packet import RtpPacket, header_length
from rtcproto.srtp.aes_cm import AesCm
from rtcproto.srtp.aes_gcm import AesGcm
from rtcproto.srtp.kdf import session_keys
from rtcproto.srtp.profiles import MasterKey, Profile
from rtcproto.srtp.replay import ReplayWindow

__all__ = ["MAX_STREAMS", "RTCP_WINDOW", "RTP_WINDOW", "SrtpReceiver", "SrtpSender"]

# Window sizes in packets; RFC 3711 3.3.2 asks for at least 64. 128 packets of
# 20 ms are 2.5 s, beyond which audio is of no use to anyone.
RTP_WINDOW = 128
RTCP_WINDOW = 64

# A peer of an audio session has a handful of SSRCs. The limit bounds what an
# authenticated peer can make us remember. A new SSRC beyond it is refused, since
# forgetting an old one would open its packets to replay.
MAX_STREAMS = 32

# RFC 3711 9.2: at most 2**48 SRTP and 2**31 SRTCP packets under one key.
_LAST = (1 << 48) - 1
_LAST_RTCP = (1 << 31) - 1

_NOT_RISING = "an outgoing SRTP index must rise, up to 2**48 - 1"

_HEADER = struct.Struct("!BxHxxxxL")  # first byte, sequence number, SSRC
_unpack = _HEADER.unpack_from


class SrtpSender:
    """Protects what one side sends. `UsageError` if the key does not fit the profile."""

    __slots__ = ("_rtcp", "_rtcp_next", "_rtp", "_seal", "_streams", "master_key", "profile")

    def __init__(self, profile: Profile, master_key: MasterKey) -> None:
        self.profile = profile
        self.master_key = master_key
        self._rtp, self._rtcp = _transforms(profile, master_key)
        self._seal = self._rtp.seal
        self._streams: dict[int, _Outgoing] = {}
        # By SSRC, the index of the next SRTCP packet.
        self._rtcp_next: dict[int, int] = {}

    def protect_parts(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        """The SRTP packet of a header (with CSRCs and extension) and a payload.

        The way for a sender that builds its own headers. `ssrc` must be the header's
        and `index` the unwrapped sequence number, of which the header carries the low
        16 bits. `UsageError` if the index is not above the last one of this SSRC, or
        beyond 2**48 - 1: the key is then used up.
        """
        try:
            stream = self._streams[ssrc]
        except KeyError:
            stream = self._new_stream(ssrc, index)
        if not stream.next <= index <= _LAST:
            raise UsageError(_NOT_RISING)
        stream.next = index + 1
        return self._seal(header, payload, stream.base, index)

    def protect(self, packet: bytes) -> bytes:
        """The SRTP packet of a whole RTP packet; sequence numbers must rise, wraps included.

        `ParseError` if it is not an RTP packet, `UsageError` as `protect_parts`.
        """
        try:
            first, sequence, ssrc = _unpack(packet)
        except struct.error:
            raise ParseError("rtp", "shorter than the fixed header") from None
        length = 12 if first == 0x80 else header_length(packet)
        try:
            stream = self._streams[ssrc]
        except KeyError:
            stream = self._new_stream(ssrc, sequence)
        index = stream.next
        if index & 0xFFFF != sequence or not (sequence or index <= _LAST):
            # Half the sequence space ahead is new, the other half was sent before.
            index += (sequence - index) & 0xFFFF
            if index - stream.next >= 0x8000 or index > _LAST:
                raise UsageError(_NOT_RISING)
        stream.next = index + 1
        return self._seal(packet[:length], packet[length:], stream.base, index)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The SRTCP packet of a (compound) RTCP packet.

        `ParseError` if it is shorter than one RTCP header, `UsageError` when the
        2**31 packets of this key are used up.
        """
        if len(packet) < 8:
            raise ParseError("srtp", "shorter than an RTCP header")
        ssrc = int.from_bytes(packet[4:8], "big")
        index = self._rtcp_next.get(ssrc, 0)
        if index > _LAST_RTCP:
            raise UsageError("the SRTCP indices of this key are used up")
        if not index and len(self._rtcp_next) >= MAX_STREAMS:
            raise UsageError(f"at most {MAX_STREAMS} SSRCs send under one key")
        self._rtcp_next[ssrc] = index + 1
        return self._rtcp.seal_rtcp(packet, self._rtcp.base(ssrc), index)

    def _new_stream(self, ssrc: int, index: int) -> _Outgoing:
        if not 0 <= index <= _LAST:
            raise UsageError(_NOT_RISING)
        if len(self._streams) >= MAX_STREAMS:
            raise UsageError(f"at most {MAX_STREAMS} SSRCs send under one key")
        stream = self._streams[ssrc] = _Outgoing(self._rtp.base(ssrc), index)
        return stream


class SrtpReceiver:
    """Opens what the other side sent. `UsageError` if the key does not fit the profile.

    `allow_plain_rtcp` accepts authenticated SRTCP whose E bit is zero.
    """

    __slots__ = (
        "_open",
        "_rtcp",
        "_rtcp_streams",
        "_rtp",
        "_streams",
        "allow_plain_rtcp",
        "master_key",
        "profile",
    )

    def __init__(
        self, profile: Profile, master_key: MasterKey, *, allow_plain_rtcp: bool = False
    ) -> None:
        self.profile = profile
        self.master_key = master_key
        self.allow_plain_rtcp = allow_plain_rtcp
        self._rtp, self._rtcp = _transforms(profile, master_key)
        self._open = self._rtp.open
        self._streams: dict[int, _Incoming] = {}
        self._rtcp_streams: dict[int, ReplayWindow] = {}

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """The SSRCs from which an authentic RTP packet has arrived, in that order."""
        return tuple(self._streams)

    def unprotect_packet(self, data: bytes) -> tuple[int, RtpPacket]:
        """`(index, packet)`: the index is the unwrapped sequence number, in 48 bits.

        `ParseError` if the header or, once deciphered, the padding is malformed;
        `AuthenticationError` for a wrong tag, a replay, a packet older than the
        window, or one SSRC too many. Only a packet with a good tag changes state.
        """
        # The same steps as `unprotect`: sharing them costs a tenth of the whole.
        try:
            first, sequence, ssrc = _unpack(data)
        except struct.error:
            raise ParseError("srtp", "shorter than an RTP header") from None
        length = 12 if first == 0x80 else header_length(data)
        header = data[:length]
        try:
            stream = self._streams[ssrc]
        except KeyError:
            index, payload = self._first_of_ssrc(data, header, ssrc, sequence)
        else:
            index = stream.top + 1
            if index & 0xFFFF == sequence and (sequence or index <= _LAST):
                payload = self._open(data, header, length, stream.base, index)
                stream.top = index
            else:
                index, payload = self._out_of_order(data, header, stream, sequence)
        return index, RtpPacket.from_parts(header, payload)

    def unprotect(self, data: bytes) -> bytes:
        """The RTP packet as bytes; errors as `unprotect_packet`, but padding is not looked at."""
        try:
            first, sequence, ssrc = _unpack(data)
        except struct.error:
            raise ParseError("srtp", "shorter than an RTP header") from None
        length = 12 if first == 0x80 else header_length(data)
        header = data[:length]
        try:
            stream = self._streams[ssrc]
        except KeyError:
            return header + self._first_of_ssrc(data, header, ssrc, sequence)[1]
        index = stream.top + 1
        if index & 0xFFFF == sequence and (sequence or index <= _LAST):
            payload = self._open(data, header, length, stream.base, index)
            stream.top = index
            return header + payload
        return header + self._out_of_order(data, header, stream, sequence)[1]

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """The (compound) RTCP packet as bytes, its content not looked at.

        `ParseError` if it is too short or not version 2, `AuthenticationError` for a
        wrong tag, a replay, an E bit of zero, or one SSRC too many.
        """
        if len(data) < 12 + self._rtcp.tag_length:
            raise ParseError("srtp", "shorter than the smallest SRTCP packet")
        if data[0] >> 6 != 2:
            raise ParseError("srtp", "not RTCP version 2")
        word = self._rtcp.rtcp_word(data)
        index = word & _LAST_RTCP
        encrypted = word > _LAST_RTCP
        if not encrypted and not self.allow_plain_rtcp:
            raise AuthenticationError("SRTCP that is not encrypted")
        ssrc = int.from_bytes(data[4:8], "big")
        window = self._rtcp_streams.get(ssrc)
        if window is None:
            if len(self._rtcp_streams) >= MAX_STREAMS:
                raise AuthenticationError("SRTCP from too many SSRCs")
        elif not window.accepts(index):
            raise AuthenticationError("SRTCP packet replayed or too old")
        packet = self._rtcp.open_rtcp(data, self._rtcp.base(ssrc), index, encrypted)
        if window is None:
            self._rtcp_streams[ssrc] = ReplayWindow(index, RTCP_WINDOW)
        else:
            window.commit(index)
        return packet

    def _out_of_order(
        self, data: bytes, header: bytes, stream: _Incoming, sequence: int
    ) -> tuple[int, bytes]:
        """Index and payload of a packet that is not the next one of its SSRC."""
        # RFC 3711 3.3.1: of the rollover counters v - 1, v and v + 1, the one that
        # brings the index nearest to the highest so far. Half the space away is
        # taken for ahead, since behind it would be long out of the window.
        index = unwrap(sequence, stream.top + 1, 16)
        if index > _LAST or not stream.accepts(index):
            raise AuthenticationError("SRTP packet replayed or too old")
        payload = self._open(data, header, len(header), stream.base, index)
        stream.commit(index)
        return index, payload

    def _first_of_ssrc(
        self, data: bytes, header: bytes, ssrc: int, sequence: int
    ) -> tuple[int, bytes]:
        if len(self._streams) >= MAX_STREAMS:
            raise AuthenticationError("SRTP from too many SSRCs")
        base = self._rtp.base(ssrc)
        index = sequence
        try:
            payload = self._open(data, header, len(header), base, index)
        except AuthenticationError:
            # RFC 3711 3.3.1 starts the rollover counter at zero; but a sender that
            # began just below 65536 and whose first packets were lost is at one.
            if sequence >= 0x8000:
                raise
            index = sequence + 0x10000
            payload = self._open(data, header, len(header), base, index)
        self._streams[ssrc] = _Incoming(index, base)
        return index, payload


class _Outgoing:
    """The lowest index that an SSRC may still use, and its IV base."""

    __slots__ = ("base", "next")

    def __init__(self, base: int, index: int) -> None:
        self.base = base
        self.next = index


class _Incoming(ReplayWindow):
    """The replay window of an SSRC, and its IV base."""

    __slots__ = ("base",)

    def __init__(self, index: int, base: int) -> None:
        super().__init__(index, RTP_WINDOW)
        self.base = base


def _transforms(profile: Profile, master: MasterKey) -> tuple[AesGcm | AesCm, AesGcm | AesCm]:
    transform = AesGcm if profile.is_aead else AesCm
    rtp, rtcp = session_keys(profile, master)
    return transform(rtp, profile.rtp_tag_length), transform(rtcp, profile.rtcp_tag_length)
