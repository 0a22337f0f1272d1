"""The report template gives the same bytes as the general codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import UsageError
from rtcproto.rtcp import (
    ReceiverReport,
    ReportBlock,
    ReportTemplate,
    Sdes,
    SenderReport,
    build_compound,
)

u32 = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    ReportBlock, u32, st.integers(0, 255), st.integers(-(1 << 25), 1 << 25), u32, u32, u32, u32
)


@given(
    u32,
    st.binary(max_size=40),
    st.integers(0, (1 << 64) - 1),
    u32,
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.lists(blocks, max_size=3).map(tuple),
)
def test_same_bytes(ssrc, cname, ntp, rtp, packets, octets, reports):
    """Whatever the fields, with none, one or several blocks."""
    template = ReportTemplate(ssrc, cname)
    sdes = Sdes.of(ssrc, cname)
    sender = SenderReport(ssrc, ntp, rtp, packets, octets, reports)
    assert template.sender_report(ntp, rtp, packets, octets, reports) == build_compound(
        [sender, sdes]
    )
    assert template.receiver_report(reports) == build_compound(
        [ReceiverReport(ssrc, reports), sdes]
    )


@pytest.mark.parametrize("count", [0, 1, 2, 31])
def test_number_of_blocks(count):
    """The usual one block has a path of its own; every other number goes the general way."""
    reports = tuple(ReportBlock(n, 1, -1, 3, 4, 5, 6) for n in range(count))
    assert ReportTemplate(9, b"c").sender_report(1, 2, 3, 4, reports) == build_compound(
        [SenderReport(9, 1, 2, 3, 4, reports), Sdes.of(9, b"c")]
    )


@pytest.mark.parametrize("lost", [1 << 23, -(1 << 23) - 1])
def test_loss_is_clamped(lost):
    """RFC 3550 A.3: beyond 24 bits the cumulative loss stays at the limit, on either path."""
    reports = (ReportBlock(1, 0, lost, 0, 0),)
    assert ReportTemplate(9, b"c").sender_report(1, 2, 3, 4, reports) == build_compound(
        [SenderReport(9, 1, 2, 3, 4, reports), Sdes.of(9, b"c")]
    )


@pytest.mark.parametrize("count", [1, 2])
def test_out_of_range(count):
    """A field that does not fit is a UsageError on either path."""
    template = ReportTemplate(1, b"c")
    bad = (ReportBlock(1, 256, 0, 0, 0),) * count
    with pytest.raises(UsageError):
        template.sender_report(0, 0, 0, 0, bad)
    with pytest.raises(UsageError):
        template.receiver_report(bad)
