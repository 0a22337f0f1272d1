"""Every Python block of the documentation runs, and what it names exists.

The blocks of one page share a namespace, in order, as a reader would type them.
A block that cannot run does not belong in the documentation: there is no mark
to skip one. `--8<-- "path"` lines are replaced by that file, as in the build.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import os
import re
import socket
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rtcproto
from rtcproto import AudioReceived, Connected, EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import open_endpoint
from tests.support.virtual_asyncio import install

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]

# Words that may follow ``` in our pages.
LANGUAGES = {
    "",
    "console",
    "ini",
    "json",
    "makefile",
    "python",
    "sdp",
    "sh",
    "text",
    "toml",
    "yaml",
}

FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
SNIPPET = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)


def fences(text: str) -> Iterator[tuple[str, str, int]]:
    """(info word, body, line of the body) of each fenced block."""
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("body")) + 1
        yield match["info"].strip(), textwrap.dedent(match["body"]), line


def include(body: str) -> str:
    """The body with its snippets in place."""
    return SNIPPET.sub(lambda match: (ROOT / match[1]).read_text(encoding="utf-8"), body)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They raise nothing; what they call an event loop or a UDP socket is virtual."""

    def sleep(seconds: float) -> None:
        raise AssertionError(f"the documentation sleeps for {seconds} real seconds")

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.chdir(ROOT)
    install(monkeypatch)
    module = types.ModuleType("page")
    # Decorators and dataclasses look their module up.
    monkeypatch.setitem(sys.modules, "page", module)
    for info, body, line in fences(page.read_text(encoding="utf-8")):
        if info == "python":
            # Blank lines in front put the page's own line numbers into tracebacks.
            code = compile("\n" * (line - 1) + include(body), str(page), "exec")
            exec(code, vars(module))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_fences_are_marked_plainly(page: Path) -> None:
    """One word of a known language: nothing that hides a block from the test above."""
    words = {info for info, _, _ in fences(page.read_text(encoding="utf-8"))}
    assert words <= LANGUAGES


@pytest.mark.parametrize("package", ["opus", "rtp", "sdp"])
def test_examples_of_packages_run(package: str) -> None:
    """The sessions in the docstring of a package say what Python says."""
    module = importlib.import_module(f"rtcproto.{package}")
    assert ">>> " in (module.__doc__ or "")
    assert doctest.testmod(module).failed == 0


def test_the_reader_of_fences_itself() -> None:
    """Indented blocks, longer fences, snippets and line numbers."""
    text = "a\n```python\nx = 1\n```\n\n  ```sh\n  ls\n  ```\n````text\n```\n````\n"
    assert list(fences(text)) == [
        ("python", "x = 1\n", 3),
        ("sh", "ls\n", 7),
        ("text", "```\n", 10),
    ]
    assert include('--8<-- "README.md"').startswith("# rtcproto")


def texts() -> Iterator[tuple[Path, str]]:
    """Every page, the README, the changelog."""
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        yield page, page.read_text(encoding="utf-8")


def test_make_targets_that_are_named_exist() -> None:
    """Each `make target` of the documentation, and of the Makefile's own help, is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)  ", makefile))
    for _, text in texts():
        named |= set(re.findall(r"(?:`|^|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert {"demo", "test", "test-all", "check", "docs"} <= named <= targets


def test_programs_that_are_named_exist() -> None:
    """Each `python -m module` and `python path.py` of the documentation can be run."""
    named = set()
    for page, text in texts():
        for module in re.findall(r"python3? -m ((?:examples|fuzz|tests)[\w.]*)", text):
            path = ROOT / module.replace(".", "/")
            found = (path / "__main__.py").is_file() or path.with_suffix(".py").is_file()
            assert found, f"{page.name}: {module}"
            named.add(module)
        for script in re.findall(r"python3? ((?:examples|fuzz|tests)/[\w/]+\.py)", text):
            assert (ROOT / script).is_file(), f"{page.name}: {script}"
    assert {"examples.relay", "examples.transceiver", "examples.probe"} <= named


def test_flags_that_are_named_exist() -> None:
    """Flags in the command lines of the documentation are flags of those programs."""
    flags = set()
    for program in ("relay", "transceiver", "probe", "demonstration"):
        for source in (ROOT / "examples" / program).glob("*.py"):
            flags |= set(re.findall(r"\"(--[a-z-]+)\"", source.read_text(encoding="utf-8")))
    for page, text in texts():
        for info, body, _ in fences(text):
            if info in {"sh", "console"}:
                for command in re.findall(
                    r"(?:python \S*examples|-m examples)(?:[^\n]|\\\n)*", body
                ):
                    assert set(re.findall(r"--[a-z-]+", command)) <= flags, page.name


def test_links_of_the_readme_resolve() -> None:
    """Those of the pages are checked when they are built."""
    for name in ("README.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)#]+)\)", text)
        assert [link for link in links if ":" not in link and not (ROOT / link).exists()] == []


def test_the_example_of_the_readme_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has about 15 lines, and a client that calls it hears itself."""
    install(monkeypatch)
    (body,) = [
        body
        for info, body, _ in fences((ROOT / "README.md").read_text(encoding="utf-8"))
        if info == "python"
    ]
    assert len([line for line in body.splitlines() if line]) <= 15
    readme: dict[str, Any] = {}
    exec(body, readme)

    async def call() -> list[bytes]:
        driver = await readme["start"]("127.0.0.1", 3478)
        config = SessionConfig(
            identity=Identity.generate(1_800_000_000.0),
            addresses=(("127.0.0.1", 0),),
            ice_lite=False,
            allow_loopback=True,
        )
        client = await open_endpoint(EndpointConfig(session=config), ("127.0.0.1", 0))
        outgoing, offer = client.create_offer()
        _, answer = driver.accept_offer(offer, readme["echo"])
        outgoing.accept_answer(answer)
        heard = []
        async for event in outgoing:
            if isinstance(event, Connected):
                outgoing.send_audio(b"\xf8hello")
            elif isinstance(event, AudioReceived):
                heard.append(event.payload)
                outgoing.close()
        driver.close()
        client.close()
        return heard

    assert asyncio.run(call()) == [b"\xf8hello"]


def loop_of(source: str) -> list[str]:
    """What the first `while True` in `source` asks of the session, in order, inputs last."""
    (loop, *_) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.While) and getattr(node.test, "value", None) is True
    ]
    used = [
        node
        for node in ast.walk(loop)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "session"
    ]
    used.sort(key=lambda node: (node.lineno, node.col_offset))
    names = [node.attr for node in used if not node.attr.startswith("send_")]
    inputs = sorted(name for name in names if name in {"receive_datagram", "handle_timer"})
    return [name for name in names if name not in inputs] + inputs


def test_every_loop_is_the_same_loop() -> None:
    """The package's docstring, examples/minimal.py and the how-to for trio agree."""
    (documented,) = [body for info, body, _ in fences(rtcproto.__doc__ or "") if info == "text"]
    trio = (ROOT / "docs/pages/howto/trio.md").read_text(encoding="utf-8")
    written = next(body for info, body, _ in fences(trio) if info == "python")
    minimal = (ROOT / "examples/minimal.py").read_text(encoding="utf-8")
    thread = (ROOT / "docs/pages/howto/thread.md").read_text(encoding="utf-8")
    expected = [
        "next_events",
        "datagrams_to_send",
        "closed",
        "get_timer",
        "handle_timer",
        "receive_datagram",
    ]
    assert loop_of(documented) == loop_of(minimal) == loop_of(written) == expected
    assert '--8<-- "examples/minimal.py"' in thread
    for source in (documented, minimal, written):
        assert "handle_timer(max(clock(), deadline" in source


@pytest.mark.live
def test_the_program_of_the_tutorial_answers_the_probe(tmp_path: Path) -> None:
    """What the reader saves as echo.py passes the probe's judgement, on real sockets."""
    text = (ROOT / "docs/pages/tutorial/first-call.md").read_text(encoding="utf-8")
    body = next(body for info, body, _ in fences(text) if info == "python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = tmp_path / "echo.py"
    program.write_text(body.replace("8090", str(port)), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    url = f"http://127.0.0.1:{port}/v1/realtime/calls"
    with subprocess.Popen(
        [sys.executable, str(program)], env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("ready ")
            subprocess.run(
                [sys.executable, "-m", "examples.probe", "--seconds", "1", url],
                cwd=ROOT,
                check=True,
                timeout=60,
            )
        finally:
            server.terminate()


@pytest.mark.live
def test_the_client_of_the_how_to_holds_a_conversation(tmp_path: Path) -> None:
    """What the reader saves as client.py calls a transceiver, is answered and hangs up."""
    text = (ROOT / "docs/pages/howto/client.md").read_text(encoding="utf-8")
    program = tmp_path / "client.py"
    program.write_text(
        next(body for info, body, _ in fences(text) if info == "python"), encoding="utf-8"
    )
    keys = tmp_path / "api-keys"
    keys.write_text("an-api-key-of-the-tests\n", encoding="utf-8")
    keys.chmod(0o600)
    ports = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    http, udp = (f"127.0.0.1:{port}" for port in ports)
    server = [sys.executable, "-m", "examples.transceiver", "--http", http, "--udp", udp]
    server += ["--api-key-file", str(keys), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(server, cwd=ROOT, stdout=subprocess.PIPE, text=True) as transceiver:
        try:
            assert transceiver.stdout is not None
            assert "ready" in transceiver.stdout.readline()
            printed = subprocess.run(
                [sys.executable, str(program), f"http://{http}", "an-api-key-of-the-tests"],
                cwd=ROOT,
                env=environment,
                check=True,
                timeout=60,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout.splitlines()
        finally:
            transceiver.terminate()
    assert printed[0].startswith("call rtc_")
    assert printed[1:3] == ["session.created", "conversation.created"]
    assert {"input_audio_buffer.speech_started", "response.done"} <= set(printed)
    assert printed[-2] == "output_audio_buffer.stopped"
    assert printed[-1].startswith("over: closed by the peer")
