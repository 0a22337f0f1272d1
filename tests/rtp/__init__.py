"""Tests of rtcproto.rtp."""
