"""What the HTTP side needs of the calls, and what it gives them.

`CallTable` is all calls of this transceiver, `CallHandle` one of them; whoever
implements them knows nothing of HTTP. A `Listener` is a side band: it gets every
server event of a call as JSON text, and may hand in client events.

Everything runs on the event loop's thread, and no method blocks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Protocol

from examples.transceiver.callid import CallId
from rtcproto.events import CloseReason

__all__ = [
    "CallHandle",
    "CallTable",
    "InvalidSession",
    "Listener",
    "Over",
    "SessionCheck",
    "why_over",
]


class InvalidSession(Exception):
    """A session configuration that cannot be taken; `param` says where it is wrong."""

    def __init__(
        self, message: str, param: str | None = None, code: str = "invalid_session"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class Over(enum.Enum):
    """Why a call is over, in a word for programs. Open: later versions may add words."""

    CLOSE_REQUESTED = "close_requested"
    """It was hung up over HTTP or the side band, or this transceiver ends."""
    REMOTE_HANGUP = "remote_hangup"
    """The browser said goodbye."""
    CONNECTION_LOST = "connection_lost"
    """The browser is gone without a goodbye, or never came."""
    EXPIRED = "expired"
    """The longest time that a call may take has passed."""
    ERROR = "error"
    """Something failed."""


def why_over(reason: CloseReason) -> Over:
    """The word for why a session of the library ended."""
    match reason:
        case CloseReason.LOCAL:
            return Over.CLOSE_REQUESTED
        case CloseReason.PEER:
            return Over.REMOTE_HANGUP
        case CloseReason.CONSENT_EXPIRED | CloseReason.NO_CHECK | CloseReason.SETUP_TIMEOUT:
            return Over.CONNECTION_LOST
        case _:
            return Over.ERROR


class Listener(Protocol):
    """Who hears what a call says. Neither method raises."""

    def hear(self, text: str) -> None:
        """One server event, as JSON. In order; nothing is left out while attached."""

    def over(self, why: Over, detail: str) -> None:
        """The call is over; `detail` is a sentence for people. The last thing it hears."""


class CallHandle(Protocol):
    """One call."""

    @property
    def connected(self) -> bool:
        """Whether the client has proved that it is there: ICE and DTLS are done."""

    def attach(self, listener: Listener) -> None:
        """Begin to tell `listener`, with a `session.created` of its own first."""

    def detach(self, listener: Listener) -> None:
        """Stop; no effect if it is not attached."""

    def receive_event(self, text: str | bytes) -> None:
        """One client event from a listener, any text at all. Never raises."""

    def restart_ice(self, fragment: str) -> str:
        """Restart ICE with the client's fragment; ours. Raises as `Call.restart_ice`."""

    def add_candidates(self, fragment: str) -> None:
        """Take candidates that the client found later. Raises as `Call.add_candidates`."""


class CallTable(Protocol):
    """All calls of this transceiver."""

    def create(
        self, offer: str, session: Mapping[str, Any] | None, owner_key: str | None
    ) -> tuple[CallId, str]:
        """Answer an offer. `session` was checked; `owner_key` names who calls, for logs.

        Raises ParseError, DescriptionRefused or CapacityExceeded.
        """

    def find(self, call_id: CallId) -> CallHandle | None:
        """The live call with this id, or None."""

    def hang_up(self, call_id: CallId) -> None:
        """End a call; no effect if it is over."""


class SessionCheck(Protocol):
    """Says what a session configuration amounts to."""

    def __call__(self, session: Mapping[str, Any] | None) -> dict[str, Any]:
        """The whole session object for what was asked. Raises InvalidSession."""
