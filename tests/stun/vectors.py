"""The numbers of RFC 5769 section 2 and RFC 8489 appendix B.1 (with erratum 6268)."""

import attrs

from rtcproto.stun import Attribute


@attrs.frozen(kw_only=True)
class Vector:
    """One published message: its bytes, its parts, and what fills its padding."""

    data: bytes
    method: int = 1
    cls: int
    transaction_id: bytes
    attributes: list[tuple[int, object]]
    padding: bytes


PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
_ICE_TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
_TURN_TRANSACTION = bytes.fromhex("78ad3433c6ad72c029da412e")

# RFC 5769 section 2.1: the padding is spaces.
REQUEST = Vector(
    data=bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e20746573"
        "7420636c69656e74002400046e0001ff80290008932ff9b151263b3600060009"
        "6576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
        "c1b571a280280004e57a3bcf"
    ),
    cls=0,
    transaction_id=_ICE_TRANSACTION,
    attributes=[
        (Attribute.SOFTWARE, "STUN test client"),
        (Attribute.PRIORITY, 1845494271),
        (Attribute.ICE_CONTROLLED, 0x932FF9B151263B36),
        (Attribute.USERNAME, "evtj:h6vY"),
    ],
    padding=b" ",
)

# RFC 5769 section 2.2.
RESPONSE_V4 = Vector(
    data=bytes.fromhex(
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563"
        "746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f9"
        "2af9ba53f06be7d780280004c07d4c96"
    ),
    cls=2,
    transaction_id=_ICE_TRANSACTION,
    attributes=[
        (Attribute.SOFTWARE, "test vector"),
        (Attribute.XOR_MAPPED_ADDRESS, ("192.0.2.1", 32853)),
    ],
    padding=b" ",
)

# RFC 5769 section 2.3.
RESPONSE_V6 = Vector(
    data=bytes.fromhex(
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563"
        "746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014"
        "a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
    ),
    cls=2,
    transaction_id=_ICE_TRANSACTION,
    attributes=[
        (Attribute.SOFTWARE, "test vector"),
        (Attribute.XOR_MAPPED_ADDRESS, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
    padding=b" ",
)

USERNAME = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"
REALM = "example.org"
PREPARED_PASSWORD = "TheMatrIX"

# RFC 5769 section 2.4: long-term credentials, no FINGERPRINT.
LONG_TERM_REQUEST = Vector(
    data=bytes.fromhex(
        "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383"
        "aae38383e382afe382b900000015001c662f2f3439396b39353464364f4c3334"
        "6f4c394653547679363473410014000b6578616d706c652e6f72670000080014"
        "f67024656dd64a3e02b8e0712e85c9a28ca89666"
    ),
    cls=0,
    transaction_id=_TURN_TRANSACTION,
    attributes=[
        (Attribute.USERNAME, USERNAME),
        (Attribute.NONCE, "f//499k954d6OL34oL9FSTvy64sA"),
        (Attribute.REALM, REALM),
    ],
    padding=b"\0",
)

USERHASH = bytes.fromhex("4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704")

# RFC 8489 appendix B.1 as corrected by erratum 6268.
SHA256_REQUEST = Vector(
    data=bytes.fromhex(
        "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bd"
        "a952c6780417da0f24819415569e60b205c46e41407f1704001500296f624d61"
        "744a6f733241414143662f2f3439396b39353464364f4c33346f4c3946535476"
        "79363473410000000014000b6578616d706c652e6f726700001d000400020000"
        "001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278c"
        "c6518e65"
    ),
    cls=0,
    transaction_id=_TURN_TRANSACTION,
    attributes=[
        (Attribute.USERHASH, USERHASH),
        (Attribute.NONCE, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"),
        (Attribute.REALM, REALM),
        (Attribute.PASSWORD_ALGORITHM, b"\0\2\0\0"),
    ],
    padding=b"\0",
)

# The same as printed: the length field is wrong and the MAC does not match.
SHA256_AS_PRINTED = bytes.fromhex(
    "0001009c2112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bd"
    "a952c6780417da0f24819415569e60b205c46e41407f1704001500296f624d61"
    "744a6f733241414143662f2f3439396b39353464364f4c33346f4c3946535476"
    "79363473410000000014000b6578616d706c652e6f726700001c0020e4686c8f"
    "0edeb59013e07090010a93efccbcbc544c0a45d9f830aa6d6f735a01"
)
