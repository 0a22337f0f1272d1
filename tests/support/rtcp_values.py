"""Strategies for RTCP packets, and one sample of each kind as bytes."""

from __future__ import annotations

from hypothesis import strategies as st

from rtcproto.rtcp import (
    App,
    Bye,
    Dlrr,
    DlrrEntry,
    Fir,
    Nack,
    Pli,
    ReceiverReferenceTime,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtcpPacket,
    Sdes,
    SdesChunk,
    SenderReport,
    TransportFeedback,
    Unknown,
    UnknownXrBlock,
    Xr,
    build_compound,
)

__all__ = ["rtcp_packets", "rtcp_samples"]

_u8 = st.integers(0, 0xFF)
_u16 = st.integers(0, 0xFFFF)
_u32 = st.integers(0, 0xFFFFFFFF)
_u64 = st.integers(0, 0xFFFFFFFFFFFFFFFF)
_words = st.integers(0, 5).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


def _tuples(
    element: st.SearchStrategy[object], low: int = 0, high: int = 31
) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(element, min_size=low, max_size=high).map(tuple)


@st.composite
def _transport_feedback(draw: st.DrawFn) -> TransportFeedback:
    # Runs, holes and single packets, so that every kind of chunk is built.
    received: list[tuple[int, int]] = []
    offset = 0
    for _ in range(draw(st.integers(0, 6))):
        offset += draw(st.integers(0, 40) | st.integers(8000, 9000))
        delta = st.integers(0, 255) | st.integers(-0x8000, 0x7FFF)
        for value in draw(st.lists(delta, max_size=30)):
            received.append((offset, value))
            offset += 1
    return TransportFeedback(
        draw(_u32),
        draw(_u32),
        draw(_u16),
        min(0xFFFF, offset + draw(st.integers(0, 9000))),
        draw(st.integers(-0x800000, 0x7FFFFF)),
        draw(_u8),
        tuple(received),
    )


def rtcp_packets() -> st.SearchStrategy[RtcpPacket]:
    """Any packet that can be built, of every type."""
    block = st.builds(
        ReportBlock, _u32, _u8, st.integers(-0x800000, 0x7FFFFF), _u32, _u32, _u32, _u32
    )
    item = st.tuples(st.integers(1, 255), st.binary(max_size=20) | st.binary(max_size=255))
    xr_block = st.one_of(
        st.builds(ReceiverReferenceTime, _u64),
        st.builds(Dlrr, _tuples(st.builds(DlrrEntry, _u32, _u32, _u32), high=4)),
        st.builds(UnknownXrBlock, st.sampled_from([0, 1, 2, 3, 6, 7, 255]), _u8, _words),
    )
    remb_rate = st.builds(lambda m, e: m << e, st.integers(0, 0x3FFFF), st.integers(0, 63))
    return st.one_of(
        st.builds(SenderReport, _u32, _u64, _u32, _u32, _u32, _tuples(block), _words),
        st.builds(ReceiverReport, _u32, _tuples(block), _words),
        st.builds(Sdes, _tuples(st.builds(SdesChunk, _u32, _tuples(item, high=4)), high=5)),
        st.builds(Bye, _tuples(_u32), st.binary(max_size=255)),
        st.builds(App, st.integers(0, 31), _u32, st.binary(min_size=4, max_size=4), _words),
        st.builds(Nack, _u32, _u32, _tuples(st.tuples(_u16, _u16), low=1)),
        st.builds(Pli, _u32, _u32),
        st.builds(Fir, _u32, _u32, _tuples(st.tuples(_u32, _u8), low=1)),
        st.builds(Remb, _u32, _u32, remb_rate, _tuples(_u32)),
        _transport_feedback(),
        st.builds(Xr, _u32, _tuples(xr_block, high=6)),
        st.builds(Unknown, st.sampled_from([0, 192, 199, 208, 255]), st.integers(0, 31), _words),
        st.builds(Unknown, st.sampled_from([205, 206]), st.sampled_from([0, 2, 3, 31]), _words),
    )


def rtcp_samples() -> list[bytes]:
    """One compound for each kind of packet, and one of several."""
    block = ReportBlock(0x55, 3, -7, 0x10070, 12, 999, 88)
    report = SenderReport(1, 0xDCB40A3D12345678, 1722342718, 269, 13557, (block,))
    kinds: list[RtcpPacket] = [
        report,
        ReceiverReport(1, (block, block), b"ext\0"),
        Sdes((SdesChunk(1, ((1, b"cname"), (6, b"tool"))), SdesChunk(2, ((1, b"abc"),)))),
        Bye((1, 2), b"camera malfunction"),
        App(3, 1, b"test", b"data"),
        Nack.of(1, 2, [65535, 0, 4, 900]),
        Pli(1, 2),
        Fir(1, 0, ((2, 7), (3, 8))),
        Remb(1, 0, 128_000, (2, 3)),
        TransportFeedback.of(1, 2, 9, [(65534, 10.0), (65535, 10.02), (65600, 11.5)]),
        Xr(1, (ReceiverReferenceTime(1 << 40), Dlrr((DlrrEntry(2, 3, 4),)))),
        Unknown(208, 5, b"whatever"),
    ]
    return [build_compound([kind]) for kind in kinds] + [
        build_compound([report, Sdes.of(1, b"name"), *kinds[5:]])
    ]
