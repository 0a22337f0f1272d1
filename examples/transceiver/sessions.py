"""Session configurations in requests: what they amount to, or what is wrong with them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from examples.transceiver import ports
from examples.transceiver.realtime.session_object import InvalidSession, SessionObject

__all__ = ["check_session"]


def check_session(session: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole session object for `session`. Raises `ports.InvalidSession`."""
    try:
        session_id = f"sess_{secrets.token_hex(12)}"
        return dict(SessionObject(session, session_id=session_id, unix_time=time.time()).value())
    except InvalidSession as error:
        problem = error.problem
        raise ports.InvalidSession(problem.message, problem.param, problem.code) from None
