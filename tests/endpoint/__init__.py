"""Tests of rtcproto.endpoint."""
