"""Tests of rtcproto.sdp."""
