"""Tests of rtcproto.sctp."""
