"""Transport-wide feedback: every chunk form, both delta sizes, and what claims too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp import TransportFeedback, build_compound, parse_compound

HEAD = "00000001 00000002"


def packet(body: str) -> bytes:
    """A transport feedback of this body in hex, filled up to whole words."""
    data = bytes.fromhex(HEAD + body)
    data += bytes(-len(data) % 4)
    return bytes.fromhex(f"8fcd{len(data) // 4:04x}") + data


def parse(body: str) -> TransportFeedback:
    """The one packet in `packet(body)`."""
    (feedback,) = parse_compound(packet(body))
    assert isinstance(feedback, TransportFeedback)
    return feedback


def test_header_fields():
    """Base sequence, count, the signed reference time and the feedback count."""
    feedback = parse("fffe 0001 ffffff 09 2001 10")
    assert feedback == TransportFeedback(1, 2, 0xFFFE, 1, -1, 9, ((0, 0x10),))
    assert feedback.arrivals() == [(0xFFFE, pytest.approx(-0.064 + 0.004))]


def test_run_length_chunks():
    """Draft 3.1.3: a symbol and how often; runs of packets not received cost nothing."""
    feedback = parse("0000 2002 000000 00 2002 1fff 4001 0102 8000")
    assert feedback.count == 0x2002
    assert feedback.received == ((0, 1), (1, 2), (0x2001, -0x8000))


def test_one_bit_vector():
    """Draft 3.1.4: fourteen packets, received with a small delta or not at all."""
    feedback = parse("0000 000e 000000 00 a001 05 06")
    assert feedback.received == ((0, 5), (13, 6))


def test_two_bit_vector():
    """Draft 3.1.4: seven packets of two bits, small and large deltas mixed."""
    feedback = parse("0000 0007 000000 00 d802 05 0100 fffe")
    assert feedback.received == ((0, 5), (1, 256), (6, -2))


def test_symbols_beyond_the_count():
    """What a last chunk says beyond the status count is not declared."""
    assert parse("0000 0001 000000 00 bfff 05").received == ((0, 5),)
    assert parse("0000 0002 000000 00 2005 05 06").received == ((0, 5), (1, 6))


def test_many_packets_declared_missing_are_not_built():
    """65535 packets not received in nine chunks leave an empty tuple, not a list of them."""
    feedback = parse("0000 ffff 000000 00" + "1fff" * 8 + "0007")
    assert (feedback.count, feedback.received) == (0xFFFF, ())


@pytest.mark.parametrize(
    "body",
    [
        "0000 0001 000000",  # no feedback count
        "0000 0008 000000 00 0001 0002",  # chunks cover three packets of eight
        "0000 0001 000000 00 0000",  # a run of none
        "0000 0001 000000 00 6001 0000",  # reserved symbol in a run
        "0000 0001 000000 00 f000 0000",  # reserved symbol in a vector
        "0000 0002 000000 00 4002 0001",  # a large delta missing
        "0000 0003 000000 00 d540 0001",  # small deltas missing
        "0000 ffff 000000 00" + "3fff" * 9,  # received packets without deltas
        "0000 0001 000000 00 2001 05 00 00000000",  # a word left over
        "0000 0000 000000 00 00000000",  # a word where nothing is declared
    ],
)
def test_malformed(body):
    """Chunks and deltas that end early, reserved symbols, bytes left over."""
    with pytest.raises(ParseError):
        parse_compound(packet(body))


def test_runs_cannot_multiply():
    """Runs of received packets are bounded by the deltas there are, over all chunks."""
    claims = "2200" * 100
    with pytest.raises(ParseError, match="without deltas"):
        parse_compound(packet("0000 c800 000000 00" + claims + "00" * 400))


@given(
    st.integers(0, 1 << 20),
    st.floats(0, 1e6),
    st.lists(st.tuples(st.integers(1, 3) | st.integers(1, 900), st.floats(-0.5, 8.0)), max_size=60),
)
def test_arrivals_come_back(first, start, steps):
    """Sequence numbers survive; times to the 250 us of a delta, from any origin."""
    arrivals = [(first, start)]
    for ahead, later in steps:
        arrivals.append((arrivals[-1][0] + ahead, arrivals[-1][1] + later))
    (feedback,) = parse_compound(build_compound([TransportFeedback.of(1, 2, 3, arrivals)]))
    found = feedback.arrivals()
    assert [sequence for sequence, _ in found] == [sequence & 0xFFFF for sequence, _ in arrivals]
    shift = found[0][1] - start
    for (_, at), (_, expected) in zip(found, arrivals, strict=True):
        assert at - shift == pytest.approx(expected, abs=0.0006)


def test_what_does_not_fit():
    """Nothing to say, a step back, a span of 65536, or 8.2 s between neighbours."""
    for arrivals in (
        [],
        [(5, 1.0), (5, 1.1)],
        [(5, 1.0), (4, 1.1)],
        [(0, 1.0), (0xFFFF, 1.1)],
        [(0, 1.0), (1, 9.3)],
    ):
        with pytest.raises(UsageError):
            TransportFeedback.of(1, 2, 3, arrivals)
    for received in (((1, 0),), ((0, 0), (0, 0))):
        with pytest.raises(UsageError):
            build_compound([TransportFeedback(1, 2, 3, 1, 0, 0, received)])
