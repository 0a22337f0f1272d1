"""What a client's `response.create` asks for, laid over what the session says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from examples.transceiver.realtime.conversation import Conversation
from examples.transceiver.realtime.items import Item, client_item, item_problem
from examples.transceiver.realtime.schema import Problem
from examples.transceiver.realtime.session_object import SessionObject

__all__ = ["Asked", "asked_response"]

# Pairs of a response's metadata and characters of a key and a value: the published limits.
_MAX_METADATA: Final = 16
_MAX_METADATA_KEY: Final = 64
_MAX_METADATA_VALUE: Final = 512

# Not handed to a backend as parameters: they have places of their own in a request.
_PLACED: Final = ("instructions", "output_modalities", "audio")


@attrs.frozen
class Asked:
    """A response as it will be: its settings, and the items it answers to.

    `own_input` says that the client named these items instead of the conversation.
    """

    settings: Mapping[str, Any]
    items: tuple[Item, ...]
    in_band: bool
    own_input: bool

    @property
    def parameters(self) -> dict[str, Any]:
        """What a backend is told besides the instructions and the modalities."""
        output = self.settings["audio"]["output"]
        rest = {name: each for name, each in self.settings.items() if name not in _PLACED}
        return rest | {name: output[name] for name in ("voice", "speed") if name in output}


def asked_response(
    wanted: Mapping[str, Any], session: SessionObject, conversation: Conversation
) -> Asked | Problem:
    """The response that `wanted` describes, which has the shape `new_response`."""
    settings = session.response_defaults()
    settings.update({name: each for name, each in wanted.items() if name != "audio"})
    output = wanted.get("audio", {}).get("output", {})
    settings["audio"] = {"output": {**settings["audio"]["output"], **output}}
    if settings["audio"]["output"]["format"]["type"] == "audio/pcm":
        settings["audio"]["output"]["format"] = {"type": "audio/pcm", "rate": 24000}
    problem = _metadata_problem(wanted.get("metadata"))
    if problem is None and settings["output_modalities"] == ["audio"]:
        problem = session.voice_problem(output.get("voice", _voice_of(session)))
    items = _own_items(wanted["input"], conversation) if "input" in wanted else None
    if problem is None and isinstance(items, Problem):
        problem = items
    if problem is not None:
        return problem
    return Asked(
        settings=settings,
        items=items if isinstance(items, tuple) else conversation.items(),
        in_band=wanted.get("conversation", "auto") == "auto",
        own_input="input" in wanted,
    )


def _own_items(
    written: list[Mapping[str, Any]], conversation: Conversation
) -> tuple[Item, ...] | Problem:
    items: list[Item] = []
    for index, each in enumerate(written):
        if each["type"] == "item_reference":
            entry = conversation.find(each["id"])
            if entry is None:
                return Problem(
                    "item_not_found",
                    "no item of the conversation has that id",
                    f"response.input[{index}].id",
                )
            items.append(entry.item)
            continue
        item = client_item(each, f"item_input_{index}", f"call_input_{index}")
        problem = item_problem(item)
        if problem is not None:
            return attrs.evolve(problem, param=f"response.input[{index}]")
        items.append(item)
    return tuple(items)


def _metadata_problem(metadata: Mapping[str, Any] | None) -> Problem | None:
    pairs = metadata or {}
    fits = all(
        isinstance(value, str)
        and len(name) <= _MAX_METADATA_KEY
        and len(value) <= _MAX_METADATA_VALUE
        for name, value in pairs.items()
    )
    if fits and len(pairs) <= _MAX_METADATA:
        return None
    return Problem(
        "invalid_value",
        f"metadata holds up to {_MAX_METADATA} texts of {_MAX_METADATA_VALUE} characters",
        "response.metadata",
    )


def _voice_of(session: SessionObject) -> object:
    return session.response_defaults()["audio"]["output"].get("voice")
