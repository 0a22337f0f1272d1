"""Many sessions on one socket."""

from rtcproto.endpoint.endpoint import Endpoint, EndpointStats, SessionId

__all__ = ["Endpoint", "EndpointStats", "SessionId"]
