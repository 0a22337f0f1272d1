"""Settings of a DTLS association."""

import pytest

from rtcproto.dtls import DtlsConfig
from tests.support.dtls import config, identity


@pytest.mark.parametrize("profiles", [(3,), (1, 1), (7, 9)])
def test_profiles_we_do_not_have(profiles: tuple[int, ...]) -> None:
    """Unknown or repeated profiles are a mistake of the caller's."""
    with pytest.raises(ValueError, match="profiles"):
        DtlsConfig(identity=identity(), profiles=profiles)


@pytest.mark.parametrize("mtu", [0, 255, 20000])
def test_mtu_out_of_range(mtu: int) -> None:
    """A record header and a handshake header must fit, and a record must not be exceeded."""
    with pytest.raises(ValueError, match="mtu"):
        config(mtu=mtu)


def test_times() -> None:
    """100 ms doubling to 3 s, over after 30 s."""
    settings = config()
    assert (settings.first_resend, settings.max_resend, settings.handshake_timeout) == (0.1, 3, 30)
