"""The adapter that gives an address to a machine without one."""

from rtcproto.datagram import Datagram
from rtcproto.testing.machine import Machine, PacketAdapter
from tests.support.toys import PacketEcho


def test_adapter_passes_everything_through() -> None:
    """Packets in, datagrams to the one peer out; timer and events are the inner machine's."""
    inner = PacketEcho()
    adapter: Machine = PacketAdapter(inner, ("192.0.2.1", 9))
    assert adapter.receive_datagram(b"x", ("198.51.100.1", 1), 0.0) is True
    assert adapter.datagrams_to_send() == [Datagram(b"x", ("192.0.2.1", 9))]
    assert adapter.datagrams_to_send() == []
    assert adapter.get_timer() is None
    assert adapter.next_events() == []
    adapter.handle_timer(1.0)
    assert inner.received == [b"x"]
