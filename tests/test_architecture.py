"""The shape of the source, enforced: imports, sizes, bans, mirrored tests.

Everything is read from the syntax trees; nothing is imported. Where a rule has
exceptions they are listed with their reason, and an exception that is no longer
needed fails the test, so the lists only shrink.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "rtcproto"
TESTS = ROOT / "tests"

# -- The layers (L1 at the bottom)

KERNEL = {"errors", "datagram", "clock", "_timers", "_wire", "_serial", "_attrs"}
PROTOCOLS = {
    "datachannel", "demux", "dtls", "ice", "jitter", "opus", "routing", "rtcp", "rtp", "sctp",
    "sdp", "srtp", "stun",
}  # fmt: skip
SESSION = {"config", "endpoint", "events", "session"}
RELAY = {"relay"}
SHELLS = {"asyncio", "testing"}

# Between protocols, and up from the relay: importer -> what it may import.
# A dotted name on either side means that module only.
SIDEWAYS = {
    "ice": {"stun"},
    "routing": {"stun", "demux"},
    "srtp": {"rtp.packet"},
    "rtp.receive_stream": {"rtcp.reports"},
    "rtp.send_stream": {"rtcp.reports"},
    "jitter": {"rtp.packet"},
    "datachannel": {"sctp"},
}

# What only reads and writes bytes, text or keys: these import no other module of their package.
CODECS = {
    "datachannel.dcep", "dtls.handshake", "dtls.record", "ice.candidate", "opus.fmtp", "opus.toc",
    "routing.proxy", "routing.token", "rtcp.feedback", "rtcp.header", "rtcp.packet", "rtcp.reports",
    "rtcp.sdes_bye", "rtcp.twcc", "rtcp.xr", "rtp.extensions", "rtp.packet", "sctp.chunks",
    "sctp.control_chunks", "sctp.packet", "sctp.parameters", "sdp.attributes", "sdp.candidate",
    "sdp.description", "sdp.lines", "srtp.aes_cm", "srtp.aes_gcm", "srtp.kdf", "srtp.profiles",
    "stun.attributes", "stun.integrity", "stun.message", "stun.peek",
}  # fmt: skip

DEPENDENCIES = {"attrs", "crc32c", "cryptography", "OpenSSL"}

# -- Sizes, in lines

CAP = 500
CAPS = {
    # The coordinator rots first, so it gets the smallest budget.
    "session.planes": 250,
    "session.session": 350,
    "asyncio.driver": 200,
}

# -- What nobody below the shells may touch

BANNED_MODULES = {
    "asyncio", "multiprocessing", "os", "queue", "random", "secrets", "select", "selectors",
    "signal", "socket", "ssl", "subprocess", "threading", "time", "uuid",
}  # fmt: skip
BANNED_ATTRIBUTES = {"environ", "getenv", "now", "today", "utcnow", "urandom"}
# (module, what) -> why it may.
BAN_EXCEPTIONS: dict[tuple[str, str], str] = {
    ("config", "os"): "names os.urandom as the default entropy",
    ("config", "urandom"): "the same",
}

# A handler for whatever goes wrong, and why it is there.
BROAD_EXCEPT: dict[str, str] = {
    "asyncio.driver": "the same fence around the application's own handlers",
    "endpoint.endpoint": "the fence of row P2: a bug costs one session, not the socket",
}

# -- Modules without tests of their own, and why (none)

NO_MIRROR: dict[str, str] = {}

# Words that make a name a secret to be compared in constant time ...
SECRET_WORDS = {
    "cookie", "digest", "fingerprint", "hmac", "mac", "password", "pwd", "secret", "tag",
}  # fmt: skip
# ... unless its last word says that it is something about the secret.
ABOUT_WORDS = {
    "algorithm", "count", "end", "id", "index", "kind", "length", "lengths", "offset", "size",
    "start", "type",
}  # fmt: skip


@cache
def modules() -> dict[str, Path]:
    """Dotted name below `rtcproto` -> file; packages under their own name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = list(path.relative_to(SOURCE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def is_package(name: str) -> bool:
    """Whether `name` is a package's `__init__`."""
    return modules()[name].name == "__init__.py"


def imports(name: str) -> Iterator[tuple[str, int]]:
    """(imported module, line): ours as 'rtcproto.x.y', wherever in the file it stands."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative import"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                is_module = inner.removeprefix("rtcproto.") in modules()
                yield (
                    (inner if module.startswith("rtcproto") and is_module else module),
                    (node.lineno),
                )


def own_imports(name: str) -> Iterator[tuple[str, int]]:
    """The imports of our own modules, without the leading 'rtcproto.'."""
    for imported, line in imports(name):
        if imported == "rtcproto" or imported.startswith("rtcproto."):
            yield imported.removeprefix("rtcproto").removeprefix("."), line


def typing_lines(module: ast.AST) -> set[int]:
    """Lines under `if TYPE_CHECKING:`, which do not exist at run time."""
    return {
        line
        for node in ast.walk(module)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for each in node.body
        for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
    }


def within(name: str, prefix: str) -> bool:
    """Whether `name` is `prefix` or lies below it."""
    return name == prefix or name.startswith(prefix + ".")


def may_import(importer: str, imported: str) -> bool:
    """The import law between two of our modules of different packages."""
    top, target = importer.partition(".")[0], imported.partition(".")[0]
    if top == "":  # the package's own __init__ gathers the public names
        return True
    if imported == "":
        return False
    if target in KERNEL:
        return True
    if top in KERNEL:
        return False
    if top in PROTOCOLS:
        return any(
            within(importer, who) and any(within(imported, what) for what in allowed)
            for who, allowed in SIDEWAYS.items()
        )
    if top in RELAY:
        return target in {"demux", "routing", "stun"}
    if top in SESSION:
        return target in PROTOCOLS | SESSION
    return top in SHELLS and target in PROTOCOLS | SESSION | RELAY


NAMES = sorted(modules())


def test_every_module_has_a_layer() -> None:
    """A new top-level module or package is placed in a layer before it is written."""
    known = KERNEL | PROTOCOLS | SESSION | RELAY | SHELLS | {""}
    assert {name.partition(".")[0] for name in NAMES} <= known


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_down(name: str) -> None:
    """The import law: strictly down, and sideways only along the listed edges."""
    package = name.partition(".")[0]
    for imported, line in own_imports(name):
        if imported.partition(".")[0] == package and package:
            assert imported != package or name == package, (
                f"{name}:{line}: a module imports names from its own package's __init__"
            )
        else:
            assert may_import(name, imported), f"{name}:{line} may not import {imported}"


@pytest.mark.parametrize("name", [name for name in NAMES if name in CODECS])
def test_codecs_do_not_know_machines(name: str) -> None:
    """Inside a package a codec imports codecs only, never what has state and time."""
    package = name.partition(".")[0]
    for imported, line in own_imports(name):
        if imported.partition(".")[0] == package:
            assert imported in CODECS, f"{name}:{line} imports {imported}"


def test_imports_have_no_cycle() -> None:
    """Strictly down also means that no two modules reach each other."""
    typing_only = {name: typing_lines(tree(name)) for name in NAMES}
    edges = {
        name: {what for what, line in own_imports(name) if line not in typing_only[name]}
        for name in NAMES
        if name
    }
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for imported in edges.get(name, ()):
                visit(imported, (*path, name))
            finished.add(name)

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize("name", NAMES)
def test_dependencies_are_the_declared_ones(name: str) -> None:
    """Besides the standard library: attrs, crc32c, cryptography, pyOpenSSL. Nothing else."""
    for imported, line in imports(name):
        top = imported.partition(".")[0]
        assert (
            top == "rtcproto" or top in sys.stdlib_module_names or top in DEPENDENCIES | {"attr"}
        ), f"{name}:{line} imports {imported}"


@pytest.mark.parametrize("name", NAMES)
def test_size(name: str) -> None:
    """500 lines are the end of a module; the coordinator has less."""
    lines = len(modules()[name].read_text(encoding="utf-8").splitlines())
    assert lines <= CAPS.get(name, CAP)


def banned_uses(name: str) -> Iterator[tuple[str, int]]:
    """What `name` touches of the ban list: (module or attribute, line)."""
    for imported, line in imports(name):
        top = imported.partition(".")[0]
        if top in BANNED_MODULES:
            yield top, line
    bases = {"os", "datetime", "date", "time"}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute) and node.attr in BANNED_ATTRIBUTES:
            base = node.value
            last = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
            if last in bases:
                yield node.attr, node.lineno


def test_no_ambient_time_chance_or_io() -> None:
    """Below the shells code is told the time and handed its entropy; exceptions are argued."""
    used = set()
    for name in NAMES:
        if name.partition(".")[0] in SHELLS:
            continue
        for what, line in banned_uses(name):
            assert (name, what) in BAN_EXCEPTIONS, f"{name}:{line} uses {what}"
            used.add((name, what))
    present = {key for key in BAN_EXCEPTIONS if key[0] in modules()}
    assert used == present, f"no longer needed: {present - used}"


def test_the_virtual_network_is_virtual() -> None:
    """`rtcproto.testing` may import random (it seeds it) and nothing else of the ban list."""
    for name in NAMES:
        if within(name, "testing"):
            assert {what for what, _ in banned_uses(name)} <= {"random"}


def secret_name(node: ast.expr) -> str | None:
    """The identifier of an operand if it names a secret."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_").split("_")
    if name.isupper() or words[-1] in ABOUT_WORDS or not SECRET_WORDS & set(words):
        return None
    return name


def is_public_constant(node: ast.expr) -> bool:
    """A literal, or a NAME in capitals."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return isinstance(node, ast.Constant) or name.isupper()


def unsafe_comparisons(module: ast.AST) -> Iterator[tuple[str, int]]:
    """Comparisons of secrets whose duration depends on the secret."""
    for node in ast.walk(module):
        if not isinstance(node, ast.Compare):
            continue
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            if not isinstance(operator, ast.Eq | ast.NotEq):
                continue
            names = [secret_name(left), secret_name(right)]
            if any(names) and not is_public_constant(left) and not is_public_constant(right):
                yield next(filter(None, names)), node.lineno


@pytest.mark.parametrize("name", NAMES)
def test_k1_secrets_are_compared_in_constant_time(name: str) -> None:
    """K1: no == or != on a tag, MAC, password, fingerprint or cookie: hmac.compare_digest."""
    for what, line in unsafe_comparisons(tree(name)):
        pytest.fail(f"{name}:{line} compares {what}")


@pytest.mark.parametrize(
    ("code", "unsafe"),
    [
        ("tag == expected", True),
        ("expected != self.mac", True),
        ("packet[2:4] == auth_tag[0:2]", True),
        ("fingerprint_of(cert) == theirs", True),
        ("a.password == b", True),
        ("tag_length == 10", False),
        ("len(tag) == size", False),
        ("cookie != MAGIC_COOKIE", False),
        ("kind == Attribute.FINGERPRINT", False),
        ("fingerprint.algorithm == wanted", False),
        ("password is None", False),
        ("stage == other", False),
    ],
)
def test_the_k1_scan_itself(code: str, unsafe: bool) -> None:
    """The scan finds what it should and leaves what only sounds like it."""
    assert bool(list(unsafe_comparisons(ast.parse(code)))) is unsafe


def broad_handlers(module: ast.AST) -> Iterator[int]:
    """Lines of handlers that catch everything and keep it (cleaning up and raising on is fine)."""
    for node in ast.walk(module):
        if not isinstance(node, ast.ExceptHandler):
            continue
        last = node.body[-1]
        if isinstance(last, ast.Raise) and last.exc is None:
            continue
        types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        caught = {getattr(each, "id", getattr(each, "attr", "")) for each in types if each}
        if node.type is None or caught & {"Exception", "BaseException"}:
            yield node.lineno


def test_no_broad_except() -> None:
    """Errors are caught by name: a bare or broad except hides broken invariants."""
    found = {name: lines for name in NAMES if (lines := list(broad_handlers(tree(name))))}
    present = {name for name in BROAD_EXCEPT if name in modules()}
    assert set(found) == present, found


@pytest.mark.parametrize(
    ("handler", "broad"),
    [
        ("except: pass", True),
        ("except Exception: pass", True),
        ("except (ValueError, BaseException): x()", True),
        ("except builtins.Exception: pass", True),
        ("except BaseException:\n    x()\n    raise", False),
        ("except Exception as error:\n    raise ValueError from error", True),
        ("except ValueError: pass", False),
    ],
)
def test_the_scan_for_broad_handlers_itself(handler: str, broad: bool) -> None:
    """What counts as broad."""
    assert bool(list(broad_handlers(ast.parse("try: x()\n" + handler)))) is broad


def test_nothing_is_left_to_do_in_comments() -> None:
    """Open work is tracked where it can be found, not in comments."""
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
    for folder in ("src", "tests", "examples", "fuzz", "docs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert not marks.search(path.read_text(encoding="utf-8")), path


def mirror_of(name: str) -> Path:
    """Where the tests of a module live."""
    *package, module = name.split(".")
    return TESTS.joinpath(*package, f"test_{module}.py")


def test_every_module_has_its_tests() -> None:
    """src/rtcproto/<package>/<module>.py is tested in tests/<package>/test_<module>.py."""
    missing = {
        name for name in NAMES if not is_package(name) and not mirror_of(name).exists()
    } - set(NO_MIRROR)
    assert not missing, f"no test module for {sorted(missing)}"


def test_exemptions_from_the_mirror_are_needed() -> None:
    """An exemption goes when the test module comes, or the module goes."""
    assert set(NO_MIRROR) <= {name for name in NAMES if not is_package(name)}
    assert not [name for name in NO_MIRROR if mirror_of(name).exists()]
