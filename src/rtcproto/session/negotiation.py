"""Descriptions of one session: from SDP to what the planes need, and back.

Called by the session's description verbs. The only module that knows SDP
together with ICE, DTLS and SRTP; it holds no protocol state but the offer that
waits for its answer.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from rtcproto.config import SessionConfig
from rtcproto.dtls import Fingerprint, Role
from rtcproto.errors import DescriptionRefused, UsageError
from rtcproto.ice import Candidate, Credentials, advertised_candidates
from rtcproto.sctp import parse_init
from rtcproto.sdp import (
    AnswerConfig,
    AudioNegotiated,
    DataConfig,
    DataNegotiated,
    Negotiated,
    OfferConfig,
    SdpCandidate,
    SessionDescription,
    Setup,
    build_answer,
    build_offer,
    negotiate,
    parse,
)
from rtcproto.session.trickle import draw_credentials, usable_candidates

__all__ = ["Negotiation", "RemoteDescription"]

_LocalFields: TypeAlias = dict[str, Any]


@attrs.frozen(kw_only=True)
class RemoteDescription:
    """What the peer's description says, in the terms of the planes; `role` is our DTLS role."""

    credentials: Credentials
    candidates: tuple[Candidate, ...]
    fingerprints: tuple[Fingerprint, ...]
    role: Role
    audio: AudioNegotiated
    data: DataNegotiated | None = None


class Negotiation:
    """One offer/answer exchange.

    `ufrag` is random by default; `ssrc` is the audio's we send; `init` our SCTP INIT
    chunk, None without data channels.
    """

    __slots__ = ("_config", "_init", "_offer", "_session_id", "_ssrc", "credentials", "local")

    def __init__(
        self, config: SessionConfig, ufrag: str | None, ssrc: int, init: bytes | None = None
    ) -> None:
        self._config = config
        self._init = init
        self.credentials = draw_credentials(config, ufrag)
        self._ssrc = ssrc
        # RFC 9429 section 5.2.1: 64 bits, the highest one zero.
        self._session_id = int.from_bytes(config.entropy(8), "big") >> 1
        self._offer: SessionDescription | None = None
        # The description last given to the peer.
        self.local: str | None = None

    def answer(self, text: str) -> RemoteDescription:
        """Answer an offer into `local`. Raises as `Session.accept_offer`."""
        if self._config.ice_lite and not self._config.addresses:
            # Before the offer is looked at: the fault is ours, not the peer's.
            raise UsageError("a lite agent needs an address to answer with: set `addresses`")
        _require_text(text)
        offer = parse(text)
        config = AnswerConfig(
            setup=self._config.setup, ice_lite=self._config.ice_lite, **self._fields()
        )
        answer, negotiated = build_answer(offer, config)
        if negotiated.remote_ice_lite:
            # Two lite agents would wait for each other's checks for ever, and a full
            # one of ours takes the controlling role only for sessions it offered.
            raise DescriptionRefused("the offerer is ice-lite: nobody would send checks")
        remote = self._remote(negotiated)
        self.local = str(answer)
        return remote

    def offer(self) -> str:
        """Describe ourselves first; the result is also `local`."""
        if self._config.ice_lite:
            raise UsageError("a lite agent answers offers, it does not make them")
        self._offer = build_offer(OfferConfig(**self._fields()))
        self.local = str(self._offer)
        return self.local

    def accept_answer(self, text: str) -> RemoteDescription:
        """Read the answer to our offer. Raises as `Session.accept_answer`."""
        if self._offer is None:
            raise UsageError("no offer was made")
        _require_text(text)
        negotiated = negotiate(self._offer, parse(text))
        remote = self._remote(negotiated)
        if negotiated.remote_candidates and negotiated.remote_ice_lite and not remote.candidates:
            # It sends no checks, and ours have nowhere to go: better now than after a
            # timeout. A full peer behind unusable names may still check us.
            raise DescriptionRefused(
                f"the answer names no usable address, of {len(negotiated.remote_candidates)};"
                " loopback needs allow_loopback"
            )
        return remote

    def local_candidates(self) -> tuple[Candidate, ...]:
        """Our addresses as host candidates of equal priority: the peer's checks choose."""
        return advertised_candidates(self._config.addresses, self._config.tcp_addresses)

    def _fields(self) -> _LocalFields:
        fingerprint = self._config.identity.fingerprint
        return {
            "ufrag": self.credentials.ufrag,
            "pwd": self.credentials.pwd,
            "fingerprint": (fingerprint.algorithm, fingerprint.value),
            "ssrc": self._ssrc,
            "cname": self._config.cname,
            "session_id": self._session_id,
            "opus_parameters": self._config.opus_parameters,
            "data": self._data(),
            "candidates": tuple(
                # Both sides of the conversion speak RFC 8839's grammar.
                SdpCandidate.parse(str(candidate).partition(":")[2], 0)
                for candidate in self.local_candidates()
            ),
        }

    def _data(self) -> DataConfig | None:
        sctp = self._config.sctp
        if sctp is None:
            return None
        return DataConfig(port=sctp.port, max_message_size=sctp.max_message_size, init=self._init)

    def _remote(self, negotiated: Negotiated) -> RemoteDescription:
        data = negotiated.data
        if data is not None and data.remote_init is not None:
            # SNAP: to refuse it now is better than to find out after the handshake.
            parse_init(data.remote_init)
        return RemoteDescription(
            credentials=Credentials(negotiated.remote_ufrag, negotiated.remote_pwd),
            # A lite agent sends no checks and never looks at them: nobody can aim it.
            candidates=()
            if self._config.ice_lite
            else usable_candidates(negotiated.remote_candidates, self._config),
            fingerprints=tuple(
                Fingerprint(algorithm=entry.algorithm, value=entry.value)
                for entry in negotiated.remote_fingerprints
            ),
            role=Role.CLIENT if negotiated.local_setup is Setup.ACTIVE else Role.SERVER,
            audio=negotiated.audio,
            data=data,
        )


def _require_text(text: object) -> None:
    if not isinstance(text, str):
        raise UsageError(f"a description is text, not {type(text).__name__}")
