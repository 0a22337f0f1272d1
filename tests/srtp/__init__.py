"""Tests of rtcproto.srtp."""
