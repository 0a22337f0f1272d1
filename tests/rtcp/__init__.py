"""Tests of rtcproto.rtcp."""
