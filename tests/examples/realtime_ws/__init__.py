"""Tests of the backend `realtime-ws`."""
