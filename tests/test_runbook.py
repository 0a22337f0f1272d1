"""The runbook's commands run, and what it names exists.

The live test runs the whole page in one shell, in order, on loopback. What a `console` block
shows below a command is what the command prints, but for the digits in it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from examples.relay.counters import Board
from examples.relay.metrics import exposition
from rtcproto.relay import Drop
from tests.examples.test_deploy import container, manifests
from tests.test_docs import ROOT, fences

PAGE = ROOT / "docs" / "pages" / "howto" / "runbook.md"
MARK = "@@@"


def text() -> str:
    """The page."""
    return PAGE.read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, list[str] | None]]:
    """(what to type, lines that it prints); None where the page does not show them."""
    for info, body, _ in fences(text()):
        if info == "sh":
            yield body, None
        elif info == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                typed, *printed = part.rstrip("\n").split("\n")
                yield typed + "\n", printed


def script() -> str:
    """All of it for one shell, with marks where the page shows what is printed."""
    parts = ["set -eux\n"]
    for number, (typed, printed) in enumerate(commands()):
        if printed is None:
            parts.append(typed)
        else:
            parts.append(f"echo '{MARK} {number}'\n{typed}printf '\\n{MARK} end\\n'\n")
    return "".join(parts)


def rough(lines: list[str]) -> list[str]:
    """Without digits of numbers, of which no two runs have the same."""
    return [re.sub(r"\b[0-9a-f]*\d[0-9a-f]*\b|\b[0-9a-f]{6}\b", "#", line) for line in lines]


def test_the_page_is_a_script() -> None:
    """The shell can read it, and what has to be done with a fleet has a section."""
    subprocess.run(["bash", "-n"], input=script(), text=True, check=True)
    headings = re.findall(r"^## (.*)$", text(), re.MULTILINE)
    assert {"Capacity", "New keys", "Drain and rollout", "A region fails", "Incident"} <= {
        *headings
    }


def test_metrics_and_reasons_exist() -> None:
    """Each metric that is named is exposed, and each reason is one of a packet's drop."""
    known = set(re.findall(r"^(rtcproto_relay_\w+)", exposition(Board(1)).decode(), re.MULTILINE))
    known |= {name.removesuffix("_bucket") for name in known}
    named = {name.rstrip("_") for name in re.findall(r"rtcproto_relay_\w+", text())}
    assert len(named) > 10
    assert {name for name in named if name not in known} - {"rtcproto_relay"} == set()
    reasons = {drop.label for drop in Drop} | {"send_error", "full"}
    assert set(re.findall(r'reason="(\w+)"', text())) <= reasons
    (flood,) = [line for line in text().splitlines() if line.startswith("| a flood")]
    assert set(re.findall(r"`([a-z_]+)`", flood)) - known <= reasons


def test_what_is_done_on_kubernetes_is_there() -> None:
    """Every object, port, secret and file of the kubectl commands is in the manifests."""
    typed = re.findall(r"`kubectl ([^`]+)`", text())
    assert len(typed) >= 8
    kinds = {kind.lower(): kind for kind, _ in manifests()} | {"hpa": "HorizontalPodAutoscaler"}
    for command in typed:
        words = shlex.split(command)
        if words[0] != "apply":
            assert words[:2] == ["-n", "rtcproto"]
        for word in words:
            kind, slash, name = word.partition("/")
            if slash and not word.startswith("examples/"):
                assert (kinds[kind], name) in manifests(), command
            elif word.startswith("examples/"):
                assert (ROOT / word).is_file()
        if "port-forward" in words:
            name = words[words.index("port-forward") + 1].partition("/")[2]
            ports = {port["name"]: port["containerPort"] for port in container(name)["ports"]}
            assert int(words[-1]) == ports["http"]
            # It reaches what listens on the pod's own loopback, too.
            assert any(arg == f"--http=0.0.0.0:{ports['http']}" for arg in container(name)["args"])
        for pod in re.findall(r"\btransceiver-\d+\b", command):
            assert ("StatefulSet", pod.partition("-")[0]) in manifests()
        if "secret" in words:
            volumes = re.findall(r"secretName': '([\w-]+)'", str(manifests()))
            assert words[words.index("generic") + 1] in volumes


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The shell's environment: free ports, `python`, and a folder whose processes are ended."""
    hosts = dict(re.findall(r"(\w+_\w)=\"\$\{\1:-([\d.]+):\d+\}\"", text()))
    assert len(hosts) == 10
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    folder = tmp_path / "fleet"
    environment = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "FLEET": str(folder),
    }
    with ExitStack() as stack:
        for name, host in hosts.items():
            kind = socket.SOCK_STREAM if name.startswith("HTTP") else socket.SOCK_DGRAM
            free = stack.enter_context(socket.socket(socket.AF_INET, kind))
            free.bind((host, 0))
            environment[name] = f"{host}:{free.getsockname()[1]}"
    yield environment
    for file in folder.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


@pytest.mark.live
@pytest.mark.skipif(shutil.which("curl") is None, reason="the runbook uses curl")
def test_every_command_does_what_the_page_says(fleet: dict[str, str], tmp_path: Path) -> None:
    """The whole page in one shell: no command fails, and each prints what is shown."""
    file = tmp_path / "runbook.sh"
    file.write_text(script(), encoding="utf-8")
    done = subprocess.run(
        # It says what it does on stderr, which is seen when something fails.
        ["bash", str(file)],
        stdin=subprocess.DEVNULL,
        text=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=fleet,
        timeout=240,
        check=False,
    )
    printed: dict[int, list[str]] = {}
    current: list[str] = []
    # A command need not end its last line.
    for line in filter(None, done.stdout.splitlines()):
        if line.startswith(MARK):
            current = [] if line.endswith("end") else printed.setdefault(int(line.split()[1]), [])
        else:
            current.append(line)
    for number, (typed, shown) in enumerate(commands()):
        if shown is not None:
            assert rough(printed.get(number, ["nothing"])) == rough(shown), typed
    assert done.returncode == 0
    assert not Path(fleet["FLEET"]).exists()
