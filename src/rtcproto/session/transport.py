"""The transport plane: ICE and DTLS of one session, and the gate between them.

Called by `Session` for datagrams that demux calls STUN or DTLS. It is the only
place that knows both protocols.

Theory of operation: DTLS is carried by the first *validated* path (a check with
a good MAC came there), moves to a *proven* one (the peer answered a request of
ours there) and follows the *selected* path from then on. A DTLS packet from a
path that is not validated never reaches the DTLS machine, whatever it holds.
Media is not here: the session asks for `selected_path`, which is always proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, assert_never

from rtcproto.config import SessionConfig
from rtcproto.datagram import Address, Datagram
from rtcproto.dtls import Dtls, DtlsCloseReason, DtlsEvent, DtlsState, Role
from rtcproto.events import CloseReason, Connected
from rtcproto.ice import (
    Candidate,
    Credentials,
    IceAgent,
    IceEvent,
    IceGenerations,
    IceLite,
    IceMachine,
    Path,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
    host_candidate,
)
from rtcproto.session.negotiation import RemoteDescription
from rtcproto.session.stats import TransportStats
from rtcproto.session.trickle import IceRestart

__all__ = ["TransportEvent", "TransportPlane", "close_reason"]


def _make_ice(config: SessionConfig, local: Credentials, now: float) -> IceMachine:
    if config.ice_lite:
        return IceLite(config.ice, local, config.entropy, now)
    agent = IceAgent(config.ice, local, True, config.entropy, now)
    for address in config.addresses:
        agent.add_local_candidate(host_candidate(address), now)
    return agent


_STATE_NAMES = {
    DtlsState.NEW: "new",
    DtlsState.HANDSHAKING: "connecting",
    DtlsState.CONNECTED: "connected",
    DtlsState.CLOSED: "closed",
}

_CLOSE_REASONS = {
    DtlsCloseReason.LOCAL: CloseReason.LOCAL,
    DtlsCloseReason.PEER_CLOSED: CloseReason.PEER,
    DtlsCloseReason.TIMEOUT: CloseReason.HANDSHAKE_FAILED,
    DtlsCloseReason.FINGERPRINT_MISMATCH: CloseReason.FINGERPRINT_MISMATCH,
    DtlsCloseReason.NO_SRTP_PROFILE: CloseReason.HANDSHAKE_FAILED,
    DtlsCloseReason.PROTOCOL: CloseReason.HANDSHAKE_FAILED,
    DtlsCloseReason.PEER_ERROR: CloseReason.PEER_ERROR,
}


def close_reason(reason: DtlsCloseReason) -> CloseReason:
    """Why the session ends when DTLS ends for `reason`."""
    return _CLOSE_REASONS[reason]


TransportEvent: TypeAlias = IceEvent | DtlsEvent


class TransportPlane:
    """ICE and DTLS of one session."""

    __slots__ = (
        "_config",
        "_dtls",
        "_dtls_path",
        "_events",
        "_generations",
        "_ice",
        "_out",
        "_rejected",
        "_role",
    )

    def __init__(self, config: SessionConfig, local: Credentials, now: float) -> None:
        self._config = config
        self._ice = _make_ice(config, local, now)
        # The same machine from the first ICE restart on, with what only it can tell.
        self._generations: IceGenerations | None = None
        self._dtls: Dtls | None = None
        self._dtls_path: Path | None = None
        self._role: Role | None = None
        self._rejected: dict[str, int] = {}
        self._out: list[Datagram] = []
        self._events: list[TransportEvent] = []

    # Getters

    @property
    def selected_path(self) -> Path | None:
        """Where media goes, or None."""
        return self._ice.selected_path

    def is_validated(self, path: Path) -> bool:
        """Whether DTLS and media may come from `path`."""
        return self._ice.is_validated(path)

    def is_proven(self, path: Path) -> bool:
        """Whether the peer is known to be at `path`."""
        return self._ice.is_proven(path)

    def stats(self, connected: Connected | None, dropped: dict[str, int]) -> TransportStats:
        """The counters of both machines; `dropped` are other planes' datagrams, by reason."""
        ice = self._ice.stats()
        return TransportStats(
            dtls_state="new" if self._dtls is None else _STATE_NAMES[self._dtls.state],
            dtls_role=None if self._role is None else self._role.value,
            srtp_cipher=None if connected is None else connected.srtp_profile,
            dtls_cipher=None if connected is None else connected.dtls_cipher,
            current_round_trip_time=ice.current_round_trip_time,
            total_round_trip_time=ice.total_round_trip_time,
            requests_received=ice.requests_received,
            requests_sent=ice.requests_sent,
            responses_received=ice.responses_received,
            responses_sent=ice.responses_sent,
            consent_requests_sent=ice.consent_requests_sent,
            rejected={**ice.rejected, **self._rejected, **dropped},
        )

    # Inputs

    def receive_stun(self, data: bytes, source: Address, now: float, local: Address | None) -> bool:
        """Take a STUN message; True if it is authentic."""
        authentic = self._ice.receive_datagram(data, source, now, local)
        self._pump(now)
        return authentic

    def receive_dtls(self, data: bytes, path: Path, now: float) -> bool:
        """Take a DTLS packet; True if it is authentic, which nothing is before there are keys."""
        if self._dtls is None or not self._ice.is_validated(path):
            reason = "dtls_early" if self._dtls is None else "dtls_unvalidated_path"
            self._rejected[reason] = self._rejected.get(reason, 0) + 1
            return False
        keyed = self._dtls.state is DtlsState.CONNECTED
        accepted = self._dtls.receive_packet(data, now)
        self._pump(now)
        return keyed and accepted

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`."""
        self._ice.handle_timer(now)
        if self._dtls is not None:
            self._dtls.handle_timer(now)
        self._pump(now)

    # Verbs

    def start(self, remote: RemoteDescription, now: float) -> None:
        """Begin with what the peer described."""
        self._role = remote.role
        self._dtls = Dtls(
            self._config.dtls(), remote.role, remote.fingerprints, now, self._config.entropy
        )
        self._ice.set_remote(remote.credentials, remote.candidates, now)
        if self._dtls_path is not None:
            self._start_dtls(now)
        self._pump(now)

    def send_data(self, packets: Sequence[bytes], now: float) -> None:
        """Send each as one DTLS record. Only once the handshake is done."""
        assert self._dtls is not None, "there is nothing to send before there are keys"
        for packet in packets:
            self._dtls.send_data(packet, now)
        self._pump(now)

    def restart_ice(self, restart: IceRestart, now: float) -> None:
        """Begin an ICE restart: DTLS and its keys stay as they are."""
        if self._generations is None:
            timeout = self._config.ice.consent_timeout
            self._generations = IceGenerations(self._ice, *restart.previous, timeout, now)
            self._ice = self._generations
        self._generations.restart(restart.local, restart.remote, restart.candidates, now)
        self._pump(now)

    def add_candidates(self, candidates: Sequence[Candidate], now: float) -> None:
        """Take candidates of the peer's that came after its description."""
        for candidate in candidates:
            self._ice.add_remote_candidate(candidate, now)
        self._pump(now)

    def close(self, now: float) -> None:
        """Say goodbye to the peer and stop."""
        if self._dtls is not None:
            self._dtls.close(now)
        self._pump(now)
        self._ice.close(now)

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent, each with its own addresses."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[TransportEvent]:
        """Drain the events of both machines, in the order they happened."""
        events, self._events = self._events, []
        return events

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        ice = self._ice.get_timer()
        dtls = None if self._dtls is None else self._dtls.get_timer()
        if ice is None or dtls is None:
            return dtls if ice is None else ice
        return min(dtls, ice)

    # Private

    def _pump(self, now: float) -> None:
        # Checks leave before DTLS: our STUN answer is what lets the peer take
        # our first flight for more than noise.
        for event in self._ice.next_events():
            self._on_ice(event, now)
        self._out += self._ice.datagrams_to_send()
        if self._dtls is None:
            return
        self._events += self._dtls.next_events()
        packets = self._dtls.packets_to_send()
        if self._generations is not None and self._generations.suspended:
            return
        if packets and self._dtls_path is not None:
            remote, local = self._dtls_path
            self._out += [Datagram(packet, remote, local) for packet in packets]

    def _on_ice(self, event: IceEvent, now: float) -> None:
        self._events.append(event)
        match event:
            case PathValidated(path=path):
                if self._dtls_path is None:
                    self._dtls_path = path
                    if self._dtls is not None:
                        self._start_dtls(now)
            case PathProven(path=path):
                if self._dtls_path is None or not self._ice.is_proven(self._dtls_path):
                    self._dtls_path = path
            case PathSelected(path=path):
                self._dtls_path = path
            case PathLost():
                pass
            case _:
                assert_never(event)

    def _start_dtls(self, now: float) -> None:
        assert self._dtls is not None, "only called once the peer is described"
        self._dtls.start(now)
