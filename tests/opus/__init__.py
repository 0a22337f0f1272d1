"""Tests of rtcproto.opus."""
