"""Tests of rtcproto.session."""
