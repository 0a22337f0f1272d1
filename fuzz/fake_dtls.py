"""A stand-in for DTLS that agrees on fixed keys in one round trip.

A real handshake costs more than all the rest of a scene. Most scenes are about
what happens around and after it, so they use this and are played ten times as
often; the others, and the targets for DTLS itself, use the real one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rtcproto.config import Entropy
from rtcproto.dtls import (
    DataReceived,
    DtlsClosed,
    DtlsCloseReason,
    DtlsConfig,
    DtlsEvent,
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    Role,
)
from rtcproto.srtp import Profile

__all__ = ["FakeDtls"]

# Record headers, so that demux takes them for DTLS.
HELLO = b"\x16\xfe\xfdhello"
REPLY = b"\x16\xfe\xfdreply"
GOODBYE = b"\x15\xfe\xfdgoodbye"
DATA = b"\x17\xfe\xfd"

# Bytes of a record's number and of its tag.
NUMBER, TAG = 4, 8

RESEND = 0.1
DEADLINE = 30.0
KEYS = bytes(range(Profile.AEAD_AES_128_GCM.keying_material_length))


class FakeDtls:
    """The verbs, inputs and outputs of `rtcproto.dtls.Dtls`."""

    def __init__(
        self,
        config: DtlsConfig,
        role: Role,
        remote_fingerprints: Sequence[Fingerprint],
        now: float,
        entropy: Entropy | None = None,
    ) -> None:
        self.state = DtlsState.NEW
        self._client = role is Role.CLIENT
        self._resend: float | None = None
        self._deadline: float | None = None
        self._sent = 0
        self._seen: set[bytes] = set()
        self._out: list[bytes] = []
        self._events: list[DtlsEvent] = []

    def start(self, now: float) -> None:
        """Begin, once."""
        if self.state is DtlsState.NEW:
            self.state = DtlsState.HANDSHAKING
            self._deadline = now + DEADLINE
            if self._client:
                self._say_hello(now)

    def receive_packet(self, data: bytes, now: float) -> bool:
        """Exactly the three packets, and records of data that nobody changed, once each."""
        if data == GOODBYE and self.state is DtlsState.CONNECTED:
            self._end(DtlsCloseReason.PEER_CLOSED)
        elif data == HELLO and not self._client and self.state is not DtlsState.CLOSED:
            self._out.append(REPLY)
            self._complete()
        elif data == REPLY and self._client and self.state is DtlsState.HANDSHAKING:
            self._complete()
        else:
            return self._receive_data(data)
        return True

    def handle_timer(self, now: float) -> None:
        """Resend, or give up."""
        if self._deadline is not None and self._deadline <= now:
            self._end(DtlsCloseReason.TIMEOUT)
        elif self._resend is not None and self._resend <= now:
            self._say_hello(now)

    def get_timer(self) -> float | None:
        """The next of both."""
        deadlines = [time for time in (self._resend, self._deadline) if time is not None]
        return min(deadlines, default=None)

    def send_data(self, data: bytes, now: float) -> None:
        """One record."""
        assert self.state in (DtlsState.CONNECTED, DtlsState.CLOSED), "nothing without keys"
        if self.state is DtlsState.CONNECTED:
            self._sent += 1
            number = self._sent.to_bytes(NUMBER, "big")
            self._out.append(DATA + number + _tag(self._client, number, data) + data)

    def close(self, now: float) -> None:
        """Say goodbye."""
        if self.state is DtlsState.CONNECTED:
            self._out.append(GOODBYE)
        if self.state is not DtlsState.CLOSED:
            self._end(DtlsCloseReason.LOCAL)

    def packets_to_send(self) -> list[bytes]:
        """Drain."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[DtlsEvent]:
        """Drain."""
        events, self._events = self._events, []
        return events

    def _receive_data(self, record: bytes) -> bool:
        number, tag = record[3 : 3 + NUMBER], record[3 + NUMBER : 3 + NUMBER + TAG]
        data = record[3 + NUMBER + TAG :]
        if self.state is not DtlsState.CONNECTED or not record.startswith(DATA):
            return False
        if number in self._seen or tag != _tag(not self._client, number, data):
            return False
        self._seen.add(number)
        self._events.append(DataReceived(data=data))
        return True

    def _say_hello(self, now: float) -> None:
        self._resend = now + RESEND
        self._out.append(HELLO)

    def _complete(self) -> None:
        if self.state is not DtlsState.CONNECTED:
            self.state = DtlsState.CONNECTED
            self._resend = self._deadline = None
            done = HandshakeCompleted(
                profile=int(Profile.AEAD_AES_128_GCM),
                keying_material=KEYS,
                is_client=self._client,
                cipher="FAKE",
                version=0xFEFD,
            )
            self._events.append(done)

    def _end(self, reason: DtlsCloseReason) -> None:
        self.state = DtlsState.CLOSED
        self._resend = self._deadline = None
        self._events.append(DtlsClosed(reason=reason))


def _tag(by_client: bool, number: bytes, data: bytes) -> bytes:
    return hashlib.blake2s(number + data, digest_size=TAG, key=b"cs"[by_client:]).digest()
