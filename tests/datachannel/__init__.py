"""Tests of rtcproto.datachannel."""
