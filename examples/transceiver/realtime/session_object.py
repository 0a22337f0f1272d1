"""The session object of a call: what `session.created` shows and `session.update` changes.

Only fields that are present change. `audio.input` and `audio.output` are changed field
by field, turn detection too as long as its type stays; every other value is replaced as
a whole. An update with anything wrong in it changes nothing.

What this program cannot do it still keeps and shows, and hands to the backend, whose
matter it is: voice, speed, transcription, noise reduction, truncation, reasoning. The
audio formats are those of audio inside events; the call's own audio is Opus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from examples.transceiver.realtime.decode import size_of
from examples.transceiver.realtime.schema import Problem
from examples.transceiver.realtime.tables import SCHEMA

__all__ = ["MAX_SESSION_BYTES", "SESSION_SECONDS", "InvalidSession", "SessionObject"]

# How long a session may last, seconds; the published limit.
SESSION_SECONDS: Final = 60 * 60

# Bytes of a session object. It has to fit into one event, and browsers take messages of
# 256 KiB: an update beyond is refused.
MAX_SESSION_BYTES: Final = 128 * 1024

_SERVER_VAD: Final[Mapping[str, Any]] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Final[Mapping[str, Any]] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_TURN_DETECTION: Final = {"server_vad": _SERVER_VAD, "semantic_vad": _SEMANTIC_VAD}

# Nothing here knows whether a sentence is complete, so eagerness is read as how long a
# silence has to be before the caller is taken to have finished, ms.
_SILENCE_OF_EAGERNESS: Final = {"low": 1200, "medium": 700, "auto": 700, "high": 400}

_DEFAULTS: Final[Mapping[str, Any]] = {
    "type": "realtime",
    "object": "realtime.session",
    "output_modalities": ["audio"],
    "instructions": "",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": dict(_SERVER_VAD),
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.0},
    },
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "include": None,
}


class InvalidSession(ValueError):
    """A session configuration that cannot be used: HTTP 400 where it came in a request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class SessionObject:
    """One session's configuration. Raises InvalidSession if `config` cannot be used.

    `config` is the `session` of a request as `decode.load` read it, or None for the
    defaults; `unix_time` is now.
    """

    __slots__ = ("_audio_started", "_value", "lifetime")

    def __init__(
        self,
        config: object = None,
        *,
        session_id: str,
        unix_time: float,
        lifetime: float = SESSION_SECONDS,
    ) -> None:
        # Seconds from the beginning of the session to its end.
        self.lifetime = lifetime
        self._audio_started = False
        expires_at = int(unix_time + lifetime)
        self._value: dict[str, Any] = {**_DEFAULTS, "id": session_id, "expires_at": expires_at}
        if config is not None:
            problem = self.update(config)
            if problem is not None:
                raise InvalidSession(problem)

    def value(self) -> Mapping[str, Any]:
        """The object in the shape it has on the wire. It is never changed, but replaced."""
        return self._value

    def update(self, update: object) -> Problem | None:
        """Take over what `update` holds, or nothing of it and say what is wrong."""
        problem = SCHEMA.first("session_update", update, "session")
        if problem is not None or not isinstance(update, dict):
            return problem
        merged = _merged(self._value, update)
        problem = self._fixed(merged) or self._too_large(merged)
        if problem is None:
            self._value = merged
        return problem

    def audio_sent(self, voice: object) -> None:
        """The caller has heard a voice, perhaps one that a response asked for: it stays."""
        if self._audio_started:
            return
        self._audio_started = True
        if voice is not None:
            audio = self._value["audio"]
            audio = {**audio, "output": {**audio["output"], "voice": voice}}
            self._value = {**self._value, "audio": audio}

    def voice_problem(self, voice: object) -> Problem | None:
        """What is wrong with answering in this voice, given what was heard before."""
        if self._audio_started and voice != self._value["audio"]["output"].get("voice"):
            return Problem(
                "cannot_update_voice",
                "the voice is fixed once the session has had audio of it",
                "session.audio.output.voice",
            )
        return None

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """How turns are detected, in the terms of `server_vad`; None: by the client."""
        asked = self._value["audio"]["input"]["turn_detection"]
        if asked is None or asked["type"] == "server_vad":
            return None if asked is None else dict(asked)
        return {
            **_SERVER_VAD,
            "silence_duration_ms": _SILENCE_OF_EAGERNESS[asked["eagerness"]],
            "create_response": asked["create_response"],
            "interrupt_response": asked["interrupt_response"],
        }

    @property
    def input_format(self) -> str:
        """The type of the audio that comes in events."""
        return str(self._value["audio"]["input"]["format"]["type"])

    @property
    def transcribes(self) -> bool:
        """Whether the client wants to know what the caller said."""
        return self._value["audio"]["input"]["transcription"] is not None

    def response_defaults(self) -> dict[str, Any]:
        """What a response takes from the session unless its request says otherwise."""
        value = self._value
        names = ("output_modalities", "instructions", "tools", "tool_choice", "max_output_tokens")
        defaults = {name: value[name] for name in names}
        for name in ("prompt", "parallel_tool_calls", "reasoning"):
            if value.get(name) is not None:
                defaults[name] = value[name]
        defaults["audio"] = {"output": value["audio"]["output"]}
        return defaults

    def _fixed(self, merged: Mapping[str, Any]) -> Problem | None:
        """What may not change any more: the model once named, the voice once heard."""
        model = self._value.get("model")
        if model is not None and merged["model"] != model:
            return Problem(
                "cannot_update_model", "the model of a session is fixed", "session.model"
            )
        return self.voice_problem(merged["audio"]["output"].get("voice"))

    def _too_large(self, merged: Mapping[str, Any]) -> Problem | None:
        try:
            size = size_of(merged)
        except (ValueError, RecursionError):
            message = "the session holds what no JSON text can"
            return Problem("invalid_value", message, "session")
        if size <= MAX_SESSION_BYTES:
            return None
        message = f"a session object may have {MAX_SESSION_BYTES} bytes"
        return Problem("session_too_large", message, "session")


def _merged(value: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """A new session object; `value` stays as it is."""
    merged = {**value, **update, "type": "realtime"}
    audio = {side: dict(fields) for side, fields in value["audio"].items()}
    for side, fields in update.get("audio", {}).items():
        for name, new in fields.items():
            if name == "turn_detection":
                new = _merged_detection(audio[side][name], new)
            elif name == "format":
                new = {"type": "audio/pcm", "rate": 24000} if new["type"] == "audio/pcm" else new
            audio[side][name] = new
    merged["audio"] = audio
    return merged


def _merged_detection(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if new is None:
        return None
    same = old is not None and old["type"] == new["type"]
    return {**(old if same and old is not None else _TURN_DETECTION[new["type"]]), **new}
