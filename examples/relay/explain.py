"""Says what a routing token means: `python -m examples.relay.explain --keys FILE UFRAG`.

UFRAG is the server's ufrag from an answer (`a=ice-ufrag:`) or a whole USERNAME. The exit
status is 1 if none of the keys wrote it, 2 if the question cannot be answered.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from examples.cli import LineParser, SettingsError, token_codec
from rtcproto.routing import TokenCodec

__all__ = ["explain", "main"]


def explain(ufrag: str, codec: TokenCodec) -> str | None:
    """One line about a token, or None if the codec did not write it."""
    text = ufrag.partition(":")[0]
    token = codec.decode(text.encode())
    if token is None:
        return None
    return (
        f"configuration {text[0]}, cluster {token.cluster}, owner {token.owner},"
        f" epoch {token.epoch}, nonce {token.nonce:06x}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain the token on the command line."""
    parser = LineParser(prog="python -m examples.relay.explain", allow_abbrev=False)
    parser.add_argument("--keys", required=True, metavar="FILE", help="the relay's key file")
    parser.add_argument("--allow-plaintext-tokens", action="store_true")
    parser.add_argument("ufrag", help="the server's ufrag, or a whole USERNAME")
    try:
        options = parser.parse_args(arguments)
        plaintext = options.allow_plaintext_tokens
        codec = token_codec(options.keys, "--keys", allow_plaintext=plaintext)
    except SettingsError as error:
        print(f"explain: {error}", file=sys.stderr)
        return 2
    line = explain(options.ufrag, codec)
    if line is None:
        print("not a token of these keys")
        return 1
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
