"""Tests of rtcproto.dtls."""
