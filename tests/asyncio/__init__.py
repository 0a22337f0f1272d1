"""Tests of rtcproto.asyncio, without an event loop or a socket."""
