"""Tests of rtcproto.ice."""
