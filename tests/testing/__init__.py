"""Tests of `rtcproto.testing`."""
