"""RFC 7587 sections 6.1 and 7: format parameters, read with tolerance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.opus import OpusParameters, build_fmtp, parse_fmtp
from rtcproto.opus.fmtp import MAX_UNKNOWN


def test_defaults():
    """RFC 7587 6.1: what holds when nothing is said."""
    assert parse_fmtp("") == OpusParameters()
    parameters = OpusParameters()
    assert (parameters.maxplaybackrate, parameters.maxptime, parameters.ptime) == (48000, 120, 20)
    assert (parameters.minptime, parameters.maxaveragebitrate) == (3, None)
    assert not any((parameters.stereo, parameters.sprop_stereo, parameters.cbr))
    assert not any((parameters.useinbandfec, parameters.usedtx))
    assert build_fmtp(parameters) == ""


def test_chromium():
    """What Chromium offers."""
    parameters = parse_fmtp("minptime=10;useinbandfec=1")
    assert parameters == OpusParameters(minptime=10, useinbandfec=True)
    assert build_fmtp(parameters) == "minptime=10;useinbandfec=1"


def test_rfc_examples():
    """RFC 7587 section 7: the examples, with their spaces."""
    assert parse_fmtp(
        "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000"
    ) == OpusParameters(maxplaybackrate=16000, sprop_maxcapturerate=16000, maxaveragebitrate=20000)
    assert parse_fmtp(
        "maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0"
    ) == OpusParameters(maxaveragebitrate=20000, stereo=True, useinbandfec=True)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("MaxPtime=40", "maxptime", 40),
        (" maxptime = 40 ;; ", "maxptime", 40),
        ("maxptime=1000", "maxptime", 120),
        ("maxptime=1", "maxptime", 3),
        ("maxptime=99999999999999999999", "maxptime", 120),
        ("maxptime=-5", "maxptime", 120),
        ("maxptime=ten", "maxptime", 120),
        ("maxptime=\u0661\u0662", "maxptime", 120),
        ("maxptime", "maxptime", 120),
        ("ptime=40;ptime=60", "ptime", 60),
        ("maxaveragebitrate=1", "maxaveragebitrate", 6000),
        ("maxaveragebitrate=900000", "maxaveragebitrate", 510000),
        ("maxplaybackrate=96000", "maxplaybackrate", 48000),
        ("usedtx=1", "usedtx", True),
        ("usedtx=yes", "usedtx", False),
        ("sprop-stereo=1", "sprop_stereo", True),
        ("cbr=1", "cbr", True),
    ],
)
def test_tolerance(text, field, value):
    """Case, spaces, ranges, what is no number, what is said twice."""
    assert getattr(parse_fmtp(text), field) == value


def test_unknown_parameters_are_kept():
    """In order, with and without a value, up to a limit."""
    text = "x-google-min-bitrate=5;flag;stereo=1"
    parameters = parse_fmtp(text)
    assert parameters.unknown == (("x-google-min-bitrate", "5"), ("flag", ""))
    assert build_fmtp(parameters) == "stereo=1;x-google-min-bitrate=5;flag"
    many = parse_fmtp(";".join(f"p{index}=1" for index in range(100)))
    assert len(many.unknown) == MAX_UNKNOWN


@given(st.text(max_size=80) | st.text("maxptime=;0123456789 stereocbr", max_size=80))
def test_any_text(text):
    """Any text gives parameters, and what is built from them means the same."""
    parameters = parse_fmtp(text)
    assert parse_fmtp(build_fmtp(parameters)) == parameters


@given(
    st.builds(
        OpusParameters,
        maxplaybackrate=st.integers(8000, 48000),
        sprop_maxcapturerate=st.integers(8000, 48000),
        maxptime=st.integers(3, 120),
        ptime=st.integers(3, 120),
        minptime=st.integers(3, 120),
        maxaveragebitrate=st.none() | st.integers(6000, 510000),
        **{
            field: st.booleans()
            for field in ("stereo", "sprop_stereo", "cbr", "useinbandfec", "usedtx")
        },
    )
)
def test_round_trip(parameters):
    """Every value in range survives."""
    assert parse_fmtp(build_fmtp(parameters)) == parameters
