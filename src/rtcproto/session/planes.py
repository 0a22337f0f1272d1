"""The planes of one session and the pump between them: the coordinator.

Called by `Session`, which is the face; here is what happens behind it. Knows
which plane acts on whose events and nothing of how any of them works.

Theory of operation: control crosses planes twice: *keys ready* (transport to
media and data) and *path changed or lost* (transport to all). Every input ends in
`pump` or its media half, which drain the planes; nothing else moves data between
them. The gate order is an invariant: no DTLS but on a validated path, no SRTP and no
SCTP before the fingerprint matched, neither but to a proven path, and no datagram
that fails its MAC or tag changes anything.
"""

from __future__ import annotations

from typing import assert_never

from rtcproto.config import SessionConfig
from rtcproto.datagram import Datagram
from rtcproto.demux import Kind
from rtcproto.dtls import DataReceived, DtlsClosed, HandshakeCompleted, Role
from rtcproto.events import CloseReason, Connected, Event, PathChanged, SessionClosed
from rtcproto.ice import Credentials, Path, PathLost, PathProven, PathSelected, PathValidated
from rtcproto.sctp import Association
from rtcproto.session.data import DataPlane
from rtcproto.session.lifecycle import Lifecycle
from rtcproto.session.media import MediaPlane
from rtcproto.session.negotiation import RemoteDescription
from rtcproto.session.transport import TransportEvent, TransportPlane, close_reason

__all__ = ["Planes"]


class Planes:
    """Transport, media and data of one session, and what came out of them (`out`, `events`).

    `connected` is the event with that name once it happened. `data` is None unless
    both descriptions agreed on data channels; `association` waits for that.
    """

    __slots__ = (
        "_association",
        "_cipher",
        "_life",
        "connected",
        "data",
        "events",
        "media",
        "out",
        "transport",
    )

    def __init__(
        self,
        config: SessionConfig,
        media: MediaPlane,
        association: Association | None,
        credentials: Credentials,
        life: Lifecycle,
        now: float,
    ) -> None:
        self._life = life
        self._association = association
        self.media = media
        self.data: DataPlane | None = None
        self.transport = TransportPlane(config, credentials, now)
        self._cipher = ""
        self.connected: Connected | None = None
        self.out: list[Datagram] = []
        self.events: list[Event] = []

    # Inputs and verbs

    def begin(self, remote: RemoteDescription, now: float) -> None:
        """Both sides are described."""
        self._life.described(now)
        self.media.negotiate(remote.audio)
        association, self._association = self._association, None
        if remote.data is not None:
            assert association is not None, "data is only accepted with settings for it"
            self.data = DataPlane(association, remote.data, remote.role is Role.CLIENT)
        self.transport.start(remote, now)
        self.pump(now)

    def receive_media(self, data: bytes, kind: Kind, path: Path, now: float) -> bool:
        """Take SRTP or SRTCP; True if its tag is good."""
        # Media is taken only where a check with a good MAC came from: nothing is
        # ever learned from RTP, which anyone can forge, not even that it should be decrypted.
        if not self.transport.is_validated(path):
            return False
        authentic = self.media.receive(data, kind, now)
        self._pump_media(now)
        return authentic

    def handle_timer(self, now: float) -> None:
        """Act on the planes' deadlines at or before `now`."""
        self.transport.handle_timer(now)
        self.media.handle_timer(now)
        if self.data is not None:
            self.data.handle_timer(now)
        self.pump(now)

    def finish(self, reason: CloseReason, now: float, detail: str = "") -> None:
        """End everything: farewells leave, `SessionClosed` is the last event. Idempotent."""
        if self._life.closed:
            return
        self.events += self.media.next_events()
        self.media.close(now)
        self.send_media()
        self.transport.close(now)
        self.out += self.transport.datagrams_to_send()
        self.transport.next_events()
        if self.data is not None:
            self.data.close()
            self.events += self.data.next_events()
        self._life.ended()
        self.events.append(SessionClosed(reason=reason, detail=detail))

    def get_timer(self) -> float | None:
        """The planes' next deadline, or None."""
        deadline = self.transport.get_timer()
        for plane in (self.media, self.data):
            other = None if plane is None else plane.get_timer()
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    # The pump

    def pump(self, now: float) -> None:
        """Move what the planes have for each other, and collect what they have for outside."""
        # Transport first: the keys and paths it yields are what the others act on.
        for event in self.transport.next_events():
            self._on_transport(event, now)
        if self.data is not None and not self._life.closed:
            self.events += self.data.next_events()
            if packets := self.data.packets_to_send():  # SCTP wants DTLS
                self.transport.send_data(packets, now)
        self.out += self.transport.datagrams_to_send()
        self._pump_media(now)

    def _pump_media(self, now: float) -> None:
        # Enough after a media packet, which moves nothing in the transport plane.
        self.events += self.media.next_events()
        if self.media.has_received:
            self._life.reached("first_media", now)
        self.send_media()

    def send_media(self) -> None:
        """Send what the media plane has, to the selected path."""
        packets = self.media.packets_to_send()
        if packets and (path := self.transport.selected_path) is not None:
            self.out += [Datagram(packet, *path) for packet in packets]

    def _on_transport(self, event: TransportEvent, now: float) -> None:
        match event:
            case PathValidated():
                self._life.checked(now)
            case PathSelected(path=path):
                self._life.reached("path", now)
                if self.connected is None:
                    self._try_connect(now)
                else:
                    self.events.append(PathChanged(remote=path[0], local=path[1]))
            case PathLost(silent_for=silence):
                self.finish(CloseReason.CONSENT_EXPIRED, now, f"silent for {silence:.1f} seconds")
            case HandshakeCompleted():
                self._life.reached("dtls", now)
                assert event.profile is not None, "profiles are always configured"
                self._cipher = event.cipher
                self.media.install_keys(event.profile, event.keying_material, event.is_client)
                self._try_connect(now)
            case DtlsClosed(reason=reason, detail=detail):
                self.finish(close_reason(reason), now, detail)
            case DataReceived(data=packet):
                if self.data is not None:
                    self.data.receive((packet,), now)
            case PathProven():
                pass
            case _:
                assert_never(event)

    def _try_connect(self, now: float) -> None:
        path, profile = self.transport.selected_path, self.media.profile
        if path is None or profile is None or self.connected is not None:
            return
        self._life.connected()
        self.connected = Connected(
            remote=path[0], local=path[1], srtp_profile=profile.name, dtls_cipher=self._cipher
        )
        self.events.append(self.connected)
        self.media.start(now)
        if self.data is not None:
            self.data.start(now)
