"""Tests of rtcproto.stun."""
