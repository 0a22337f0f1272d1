"""The TLS 1.2 pseudorandom function: RFC 5246 section 5.

```text
PRF(secret, label, seed) = P_hash(secret, label + seed)
P_hash(secret, seed)     = HMAC(secret, A(1) + seed) + HMAC(secret, A(2) + seed) + ...
A(0) = seed,  A(i) = HMAC(secret, A(i-1))
```

Called by `keying`, once per association. The hash is the cipher suite's: SHA-256,
or SHA-384 for the AES-256 suites of RFC 5289.
"""

from __future__ import annotations

import hmac

__all__ = ["prf"]


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """`size` bytes of output; `hash_name` as `hashlib` knows it."""
    seed = label + seed
    output = b""
    chained = seed
    while len(output) < size:
        chained = hmac.digest(secret, chained, hash_name)
        output += hmac.digest(secret, chained + seed, hash_name)
    return output[:size]
