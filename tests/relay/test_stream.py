"""The TCP leg: who may connect, who may stay, and what waits."""

from __future__ import annotations

from rtcproto.datagram import Address
from rtcproto.relay.framing import FrameReader, build_frame
from rtcproto.relay.stream import MAX_JUNK, StreamConfig, StreamEnd, StreamLeg

CLIENT = ("192.0.2.1", 50000)
CHECK = b"\0\1" + bytes(40)
RTP = b"\x80\x6f" + bytes(40)
CONFIG = StreamConfig(
    max_connections=10,
    max_per_host=3,
    first_frame_timeout=5.0,
    frame_timeout=4.0,
    owner_timeout=30.0,
    max_output=500,
)


def make_leg(*clients: Address, admitted: bool = True) -> StreamLeg:
    """A port with connections that have shown a check, unless not `admitted`."""
    leg = StreamLeg(CONFIG)
    for client in clients:
        assert leg.connected(client, 0.0)
        if admitted:
            assert leg.receive(client, build_frame(CHECK), 0.0) == [CHECK]
            assert leg.judge(client, True, 0.0)
    return leg


def written(leg: StreamLeg, client: Address = CLIENT, room: int = 10**6) -> list[bytes]:
    """What a client reads until nothing waits or `room` bytes went."""
    reader, packets = FrameReader(), []
    while room and (data := leg.take(client)[:room]):
        packets += reader.receive(data)
        leg.wrote(client, len(data))
        room -= len(data)
    return packets


def only(leg: StreamLeg) -> StreamEnd:
    """Why the one connection ended; it is to be closed, once."""
    assert leg.connections_to_close() == [CLIENT]
    assert leg.connections_to_close() == []
    assert CLIENT not in leg
    (reason,) = leg.stats().ends
    return reason


def test_packets_both_ways() -> None:
    """Frames in, frames out, in whatever pieces."""
    leg = make_leg(CLIENT)
    stream = build_frame(RTP) + build_frame(CHECK)
    packets = [p for n in range(len(stream)) for p in leg.receive(CLIENT, stream[n : n + 1], 0.1)]
    assert packets == [RTP, CHECK]
    assert leg.send(CLIENT, RTP, 0.2)
    assert leg.send(CLIENT, CHECK, 0.2)
    assert written(leg) == [RTP, CHECK]
    assert leg.take(CLIENT) == b""
    assert leg.connections_to_close() == []


def test_the_first_frame_must_lead_somewhere() -> None:
    """Junk, or a check that no key of ours signed: closed at once."""
    leg = make_leg(CLIENT, admitted=False)
    leg.receive(CLIENT, build_frame(RTP), 0.0)
    assert not leg.judge(CLIENT, False, 0.0)
    assert only(leg) is StreamEnd.JUNK


def test_frame_after_frame_of_junk() -> None:
    """Some early media is no crime; a good frame in between starts the count anew."""
    leg = make_leg(CLIENT)
    for n in range(MAX_JUNK - 1):
        assert leg.judge(CLIENT, False, n)
    assert leg.judge(CLIENT, True, 0.0)
    for n in range(MAX_JUNK - 1):
        assert leg.judge(CLIENT, False, n)
    assert not leg.judge(CLIENT, False, 0.0)
    assert only(leg) is StreamEnd.JUNK
    assert not leg.judge(CLIENT, True, 0.0)


def test_an_unreadable_stream() -> None:
    """HTTP, for example: its first two bytes are a length of 18,245."""
    leg = make_leg(CLIENT, admitted=False)
    assert leg.receive(CLIENT, b"GET / HTTP/1.1\r\n\r\n", 0.0) == []
    assert only(leg) is StreamEnd.UNREADABLE
    assert leg.receive(CLIENT, b"more", 0.0) == []


def test_a_silent_connection() -> None:
    """Nothing shown in time."""
    leg = make_leg(CLIENT, admitted=False)
    assert leg.get_timer() == 5.0
    leg.handle_timer(4.99)
    assert CLIENT in leg
    leg.handle_timer(5.0)
    assert only(leg) is StreamEnd.SILENT
    assert leg.get_timer() is None


def test_a_slow_frame() -> None:
    """R-style slow loris: a byte now and then keeps nothing open."""
    leg = make_leg(CLIENT)
    stream = build_frame(RTP)
    for n in range(4):
        leg.handle_timer(float(n))
        leg.receive(CLIENT, stream[n : n + 1], float(n))
        leg.send(CLIENT, RTP, float(n))
    leg.handle_timer(3.99)
    assert CLIENT in leg
    leg.handle_timer(4.0)
    assert only(leg) is StreamEnd.SLOW


def test_slow_frames_that_end_in_time() -> None:
    """A new frame has its own time, even if it begins with the last bytes of the one before."""
    leg = make_leg(CLIENT)
    stream = build_frame(RTP) * 20
    position = 0
    for second in range(1, 25):
        now = float(second)
        leg.send(CLIENT, RTP, now)
        leg.handle_timer(now)
        assert CLIENT in leg
        leg.receive(CLIENT, stream[position : position + 15], now)
        position += 15
    assert len(leg._deadlines) < 10


def test_the_owner_keeps_a_connection_open() -> None:
    """What the client sends does not; when its owner falls silent it is closed."""
    leg = make_leg(CLIENT)
    for now in range(0, 100, 10):
        leg.handle_timer(float(now))
        leg.send(CLIENT, RTP, float(now))
    for now in range(100, 120, 10):
        leg.receive(CLIENT, build_frame(CHECK), float(now))
        leg.judge(CLIENT, True, float(now))
        leg.handle_timer(float(now))
        assert CLIENT in leg
    leg.handle_timer(120.0)
    assert only(leg) is StreamEnd.ABANDONED


def test_release() -> None:
    """The owner says so; other clients are not touched."""
    leg = make_leg(CLIENT, ("192.0.2.2", 1))
    leg.released(("192.0.2.9", 9), 0.0)
    leg.released(CLIENT, 0.0)
    assert only(leg) is StreamEnd.RELEASED
    assert not leg.send(CLIENT, RTP, 0.0)
    assert len(leg) == 1


def test_the_client_hangs_up() -> None:
    """Nothing is left, nothing is to be closed; a new connection begins anew."""
    leg = make_leg(CLIENT)
    leg.receive(CLIENT, b"\0", 0.0)
    leg.disconnected(CLIENT)
    leg.disconnected(CLIENT)
    assert leg.stats().ends == {StreamEnd.PEER: 1}
    assert leg.connections_to_close() == []
    assert leg.connected(CLIENT, 1.0)
    leg.handle_timer(5.5)
    assert CLIENT in leg
    leg.handle_timer(6.0)
    assert CLIENT not in leg


def test_a_slow_reader_loses_the_oldest() -> None:
    """Bounded output; a frame that has been begun is ended, so the stream stays readable."""
    leg = make_leg(CLIENT)
    packets = [RTP + bytes((n,)) for n in range(30)]
    reader = FrameReader()
    leg.send(CLIENT, packets[0], 0.0)
    begun = leg.take(CLIENT)[:7]
    leg.wrote(CLIENT, 7)
    for packet in packets[1:]:
        leg.send(CLIENT, packet, 0.0)
        assert leg._connections[CLIENT].queued <= CONFIG.max_output
    read = reader.receive(begun)
    while data := leg.take(CLIENT):
        read += reader.receive(data)
        leg.wrote(CLIENT, len(data))
    frame = len(build_frame(packets[0]))
    kept = CONFIG.max_output // frame
    assert read == [packets[0], *packets[-(kept - 1) :]]
    assert leg.stats().frames_dropped == 30 - kept
    assert leg._connections[CLIENT].queued == 0


def test_connections_are_capped() -> None:
    """In all, and per host, where a /64 is one host; places come free again."""
    leg = make_leg(*((f"192.0.2.{n}", 1) for n in range(9)))
    assert leg.connected(("2001:db8::1", 1), 0.0)
    assert not leg.connected(("192.0.2.99", 1), 0.0)
    assert leg.stats().ends == {StreamEnd.FULL: 1}
    six = StreamLeg(CONFIG)
    for n in range(3):
        assert six.connected((f"2001:db8::{n + 1}", 1), 0.0)
    assert not six.connected(("2001:db8::ff", 1), 0.0)
    assert six.connected(("2001:db8:0:1::1", 1), 0.0)
    six.disconnected(("2001:db8::1", 1))
    assert six.connected(("2001:db8::ff", 1), 0.0)
    assert six.stats().ends == {StreamEnd.FULL_HOST: 1, StreamEnd.PEER: 1}


def test_connections_that_come_and_go_leave_nothing() -> None:
    """Neither hosts nor deadlines pile up."""
    leg = StreamLeg(CONFIG)
    for n in range(10_000):
        client = (f"198.51.{n >> 8}.{n & 255}", 5)
        assert leg.connected(client, n * 1e-4)
        leg.disconnected(client)
    assert len(leg) == len(leg._hosts) == 0
    assert len(leg._deadlines) <= 65
