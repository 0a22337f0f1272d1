"""RFC 7714 sections 16 and 17: published packets, both ways."""

import pytest

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.srtp.aes_gcm import AesGcm
from rtcproto.srtp.kdf import SessionKeys

KEY = bytes(range(32))
SALT = bytes.fromhex("517569642070726f2071756f")
RTP = bytes.fromhex(
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e20706172746573"
    "2074726573"
)
RTP_INDEX, RTP_SSRC = 61819, 0x5501A0B2
SRTP = {
    16: "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b"
    "36de3adf8833899d7f27beb16a9152cf765ee4390cce",
    32: "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f"
    "1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
}
RTCP = bytes.fromhex(
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeef"
    "deadbeef"
)
RTCP_INDEX, RTCP_SSRC = 1492, 0x4D617273
SRTCP = {
    16: "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b46"
    "86303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    32: "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658"
    "c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
}
SRTCP_PLAIN = {
    16: "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeef"
    "deadbeefdeadbeef841dd9683dd78ec92ae58790125f62b3000005d4",
    32: "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeef"
    "deadbeefdeadbeef91db4afbfeee5a978fab4393ed2615fe000005d4",
}

both = pytest.mark.parametrize("size", [16, 32], ids=["AES-128", "AES-256"])


def transform(size):
    """The transform of the RFC's session keys."""
    return AesGcm(SessionKeys(cipher=KEY[:size], salt=SALT))


@both
def test_srtp(size):
    """RFC 7714 16.1.1 and 16.2.1 (encryption), read backwards 16.1.2 and 16.2.2."""
    gcm = transform(size)
    sealed = bytes.fromhex(SRTP[size])
    assert gcm.seal(RTP[:12], RTP[12:], gcm.base(RTP_SSRC), RTP_INDEX) == sealed
    assert gcm.open(sealed, sealed[:12], 12, gcm.base(RTP_SSRC), RTP_INDEX) == RTP[12:]


@both
def test_srtcp(size):
    """RFC 7714 17.1 and 17.2."""
    gcm = transform(size)
    sealed = bytes.fromhex(SRTCP[size])
    assert gcm.seal_rtcp(RTCP, gcm.base(RTCP_SSRC), RTCP_INDEX) == sealed
    assert gcm.rtcp_word(sealed) == 0x800005D4
    assert gcm.open_rtcp(sealed, gcm.base(RTCP_SSRC), RTCP_INDEX, True) == RTCP


@both
def test_srtcp_authenticated_only(size):
    """RFC 7714 17.3 and 17.4: without the E bit everything is covered and nothing enciphered."""
    gcm = transform(size)
    sealed = bytes.fromhex(SRTCP_PLAIN[size])
    assert gcm.rtcp_word(sealed) == 0x000005D4
    assert gcm.open_rtcp(sealed, gcm.base(RTCP_SSRC), RTCP_INDEX, False) == RTCP
    for at in range(len(sealed)):
        broken = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
        with pytest.raises(AuthenticationError):
            gcm.open_rtcp(broken, gcm.base(RTCP_SSRC), RTCP_INDEX, False)


@both
def test_every_flipped_bit_is_noticed(size):
    """No bit of header, payload or tag may change, and nothing may be cut off."""
    gcm = transform(size)
    sealed = bytes.fromhex(SRTP[size])
    for at in range(8 * len(sealed)):
        broken = bytearray(sealed)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(AuthenticationError):
            gcm.open(bytes(broken), bytes(broken[:12]), 12, gcm.base(RTP_SSRC), RTP_INDEX)
    with pytest.raises(ParseError):
        gcm.open(sealed[:27], sealed[:12], 12, gcm.base(RTP_SSRC), RTP_INDEX)
