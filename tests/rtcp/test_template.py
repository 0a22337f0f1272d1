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


@pytest.mark.parametrize("count", [1, 2])
def test_out_of_range(count):
    """A field that does not fit is a UsageError on either path."""
    template = ReportTemplate(1, b"c")
    bad = (ReportBlock(1, 256, 0, 0, 0),) * count
    with pytest.raises(UsageError):
        template.sender_report(0, 0, 0, 0, bad)
    with pytest.raises(UsageError):
        template.receiver_report(bad)
