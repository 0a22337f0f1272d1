"""The values of a channel."""

from rtcproto.datachannel import DataChannelMessage, SendMessage


def test_reprs_hide_payloads() -> None:
    """What was said stays out of logs."""
    for data in ("secret words", b"secret words"):
        text = repr(DataChannelMessage(channel=1, data=data))
        assert "12 " in text
        assert "secret" not in text
    assert "secret" not in repr(SendMessage(stream=1, ppid=51, data=b"secret"))
