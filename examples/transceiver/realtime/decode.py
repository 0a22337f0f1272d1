"""From the bytes of a client event to a dict, or to what is wrong with them.

A client may send anything, so everything that makes JSON awkward later is refused here,
once: what is too long or nested too deep, numbers that no JSON has, text that is no
Unicode. Nothing below has to think of it again.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from examples.transceiver.realtime.schema import Problem
from examples.transceiver.realtime.tables import CLIENT, MAX_EVENT_ID, SCHEMA

__all__ = ["MAX_CHANNEL_EVENT", "MAX_SIDEBAND_EVENT", "decode", "encode", "load", "size_of"]

# Bytes of one client event. The first is what our answers advertise as max-message-size,
# the second what the published interface allows, for audio sent over a WebSocket.
MAX_CHANNEL_EVENT: Final = 1024 * 1024
MAX_SIDEBAND_EVENT: Final = 15 * 1024 * 1024

# Objects within objects. Far above what tools' parameters need, far below recursion limits.
MAX_DEPTH: Final = 32

# Where the event id of an unreadable event is looked for: clients write it near either end.
_EDGE: Final = 1024
_EVENT_ID = re.compile(r'"event_id"\s*:\s*"([^"\\\x00-\x1f]{1,512})"')


def decode(
    data: str | bytes, max_bytes: int
) -> tuple[dict[str, Any] | None, str | None, Problem | None]:
    """(event, its event id, problem): the event if there is no problem, the id if readable."""
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "replace"))
    if size > max_bytes:
        problem = Problem("event_too_large", f"an event may have {max_bytes} bytes, not {size}")
        return None, _guess_event_id(data), problem
    try:
        event = load(data)
    except ValueError:
        problem = Problem("invalid_json", "the event is no JSON that can be read")
        return None, _guess_event_id(data), problem
    if not isinstance(event, dict):
        return None, None, Problem("invalid_type", "an event has to be a JSON object")
    event_id = event.get("event_id")
    if not isinstance(event_id, str) or len(event_id) > MAX_EVENT_ID:
        event_id = None
    kind = event.get("type")
    if kind is None:
        return None, event_id, Problem("missing_required_parameter", "type is missing", "type")
    if not isinstance(kind, str):
        return None, event_id, Problem("invalid_type", "type has to be string", "type")
    if kind not in CLIENT:
        return None, event_id, Problem("unknown_event", "no event of that type is taken", "type")
    problem_found = SCHEMA.first(f"client.{kind}", event)
    return (event if problem_found is None else None), event_id, problem_found


def load(data: str | bytes) -> object:
    """The value of a JSON text that may come from anyone. Raises ValueError."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_float)
    except RecursionError:
        raise ValueError("nested too deep") from None
    _check_tree(value)
    return value


def encode(event: dict[str, Any]) -> str:
    """An event as it is sent: compact, and not blown up by escapes."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def size_of(value: object) -> int:
    """The bytes that a value takes on the wire. Raises ValueError if it cannot be sent."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return len(text.encode("utf-8"))


def _guess_event_id(data: str | bytes) -> str | None:
    """The id of an event that is not parsed, by its spelling alone."""
    for edge in (data[:_EDGE], data[-_EDGE:]):
        text = edge if isinstance(edge, str) else edge.decode("utf-8", "replace")
        if (match := _EVENT_ID.search(text)) is not None and _is_unicode(match[1]):
            return match[1]
    return None


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number without end")
    return value


def _check_tree(root: object) -> None:
    """Raise ValueError for what is nested too deep and for text that UTF-8 cannot carry."""
    level: list[object] = [root]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str) and not _is_unicode(value):
                raise ValueError("half of a surrogate pair")
        if not below:
            return
        level = below
    raise ValueError("nested too deep")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
