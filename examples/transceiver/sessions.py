"""Session configurations in requests: what they amount to, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.transceiver.ports import InvalidSession

__all__ = ["check_session"]


def check_session(session: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole session object for `session`. Raises InvalidSession."""
    said = {} if session is None else session
    if said.get("type", "realtime") != "realtime":
        raise InvalidSession("session.type has to be realtime", "session.type", "invalid_value")
    if not isinstance(said.get("audio", {}), dict):
        raise InvalidSession("session.audio has to be object", "session.audio", "invalid_type")
    return {**said, "type": "realtime", "object": "realtime.session"}
