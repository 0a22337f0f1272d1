"""The AES-CM keystream of RFC 3711 B.2, and tags of both lengths."""

import hashlib
import hmac

import pytest

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.srtp.aes_cm import AesCm
from rtcproto.srtp.kdf import SessionKeys

SALT = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd")
AES_128 = "2b7e151628aed2a6abf7158809cf4f3c"
AES_256 = "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98"
AES_192 = "eab234764e517b2d3d160d587d8c86219740f65f99b6bcf7"
KEYSTREAMS = {
    AES_128: {
        0: "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"
        "41e95b3bb0a2e8dd477901e4fca894c0",
        65279: "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae"
        "6a2cc3787889374fbeb4c81b17ba6c44",
    },
    AES_256: {
        0: "92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac"
        "63c4868b7096d88421b563b8c94c9a31",
        65279: "cea518c90fd91ced9cbb18c078a547113dbc4814f4da5f00a08772b63c6a046d"
        "6eb246913062a16891433e97dd01a57f",
    },
    AES_192: {
        0: "35096cba4610028dc1b57503804ce37c5de986291dcce161d5165ec4568f5c9a"
        "474a40c77894bc17180202272a4c264d",
        65279: "d108d1a31a00bad6367ec23eb044b415c8f57129fdeb970b59f917b257662d4c"
        "a5dab625811034e8cebdfeb6dc158dd3",
    },
}


def transform(key=AES_128, tag_length=10):
    """A transform with a known authentication key."""
    keys = SessionKeys(cipher=bytes.fromhex(key), salt=SALT, authentication=bytes(range(20)))
    return AesCm(keys, tag_length)


@pytest.mark.parametrize("key", KEYSTREAMS, ids=["RFC 3711 B.2", "RFC 6188 7.1", "RFC 6188 7.3"])
def test_published_keystreams(key):
    """Enciphering zeros gives the published blocks, early and late in one packet; both ways."""
    cm = transform(key)
    zeros = bytes(16 * 65282)
    sealed = cm.seal(b"", zeros, cm.base(0), 0)
    for block, expected in KEYSTREAMS[key].items():
        assert sealed[16 * block : 16 * block + 48] == bytes.fromhex(expected)
    assert cm.open(sealed, b"", 0, cm.base(0), 0) == zeros


@pytest.mark.parametrize("tag_length", [10, 4])
@pytest.mark.parametrize("index", [5, 0x12345678_0005])
def test_tag_covers_packet_and_roc(tag_length, index):
    """RFC 3711 4.2: the tag is HMAC-SHA1 over the packet and the ROC, cut short."""
    cm = transform(tag_length=tag_length)
    sealed = cm.seal(b"header", b"payload", cm.base(77), index)
    packet = sealed[:-tag_length]
    mac = hmac.digest(bytes(range(20)), packet + (index >> 16).to_bytes(4, "big"), hashlib.sha1)
    assert sealed[-tag_length:] == mac[:tag_length]
    assert cm.open(sealed, b"header", 6, cm.base(77), index) == b"payload"


def test_iv_depends_on_ssrc_and_index():
    """RFC 3711 4.1.1: another SSRC, sequence number or ROC is another keystream."""
    cm = transform()
    seen = {
        cm.seal(b"", bytes(16), cm.base(ssrc), index)[:16]
        for ssrc in (0, 1, 0xFFFFFFFF)
        for index in (0, 1, 0x10000)
    }
    assert len(seen) == 9


def test_every_flipped_bit_is_noticed():
    """No bit of header, payload or tag may change, and nothing may be cut off."""
    cm = transform(tag_length=4)
    sealed = cm.seal(b"head", b"body", cm.base(1), 9)
    for at in range(8 * len(sealed)):
        broken = bytearray(sealed)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(AuthenticationError):
            cm.open(bytes(broken), bytes(broken[:4]), 4, cm.base(1), 9)
    with pytest.raises(ParseError):
        cm.open(sealed[:7], b"head", 4, cm.base(1), 9)


def test_rtcp_layout():
    """RFC 3711 3.4: eight bytes in the clear, ciphertext, E bit and index, tag over all of it."""
    cm = transform()
    packet = bytes.fromhex("80c90001000000ff") + b"reports!"
    sealed = cm.seal_rtcp(packet, cm.base(255), 1492)
    assert sealed[:8] == packet[:8]
    assert sealed[8:16] != packet[8:]
    assert sealed[16:20] == bytes.fromhex("800005d4")
    assert sealed[20:] == hmac.digest(bytes(range(20)), sealed[:20], hashlib.sha1)[:10]
    assert cm.rtcp_word(sealed) == 0x800005D4
    assert cm.open_rtcp(sealed, cm.base(255), 1492, True) == packet
    plain = packet + bytes.fromhex("000005d4")
    plain += hmac.digest(bytes(range(20)), plain, hashlib.sha1)[:10]
    assert cm.open_rtcp(plain, cm.base(255), 1492, False) == packet
    with pytest.raises(AuthenticationError):
        cm.open_rtcp(plain[:-1] + b"\0", cm.base(255), 1492, False)
