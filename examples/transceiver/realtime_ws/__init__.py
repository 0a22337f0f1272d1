"""The backend `realtime-ws`: a call is answered by a server of the Realtime WebSocket protocol.

`codec` turns Opus into what such a server takes and back, `shapes` knows the events that
are sent to it, `outgoing` is what waits to be sent, `memory` what a new connection is told
of the conversation, `retry` when to connect. `bridge` is the state machine of all that,
without I/O; `connection` runs it on a WebSocket.
"""
