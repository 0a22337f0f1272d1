"""Runs fuzz targets: seeded, without any dependency, or under atheris.

    python fuzz/run.py TARGET [--inputs N] [--seed S]   mutated corpus inputs
    python fuzz/run.py TARGET FILE ...                  exactly these inputs
    python fuzz/run.py --all --inputs N [--jobs J]      every target in turn
    python fuzz/run.py TARGET --atheris [ARGS]          coverage-guided, if atheris is installed

A crashing input is written to fuzz/crashes/TARGET/ and the run goes on with the
next input, up to ten crashes of one kind; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# Targets that read the same format share its words.
SAME_WORDS = {
    "dtls_machine": "dtls_record",
    "peek": "stun",
    "sdp_answer": "sdp_offer",
    "sdp_fragment": "sdp_offer",
}

# Test vectors of the repository that are good seeds, too.
SHARED = {"sdp_offer": "vectors/sdp/*.sdp", "sdp_answer": "vectors/sdp/*.sdp"}

MAX_CRASHES = 10


def _module(name: str) -> Any:
    """A module of this package, also when run as a script."""
    if str(HERE.parent) not in sys.path:
        sys.path.insert(0, str(HERE.parent))
    return importlib.import_module(f"fuzz.{name}")


def corpus(target: str) -> list[bytes]:
    """The committed inputs of a target: its corpus, its crashes, test vectors of its kind."""
    folders = (HERE / "corpus" / target, HERE / "crashes" / target)
    files = sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())
    if target in SHARED:
        files += sorted((HERE.parent / "tests").glob(SHARED[target]))
    return [path.read_bytes() for path in files]


def dictionary(target: str) -> list[bytes]:
    """The words of a target: one per line, Python escapes, from fuzz/dictionaries."""
    path = HERE / "dictionaries" / f"{SAME_WORDS.get(target, target)}.txt"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="ascii").splitlines()
    return [
        line.encode().decode("unicode_escape").encode("latin-1")
        for line in lines
        if line and not line.startswith("#")
    ]


def save_crash(target: str, data: bytes) -> Path:
    """Keep a crashing input under its hash."""
    folder = HERE / "crashes" / target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def kind_of(error: BaseException) -> str:
    """What tells crashes apart: the exception and the place that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def run(target: str, inputs: int, seed: int) -> bool:
    """Run mutated inputs; True if none crashed."""
    function: Callable[[bytes], None] = _module("targets").TARGETS[target]
    mutate = _module("mutate").mutate
    samples, words = corpus(target), dictionary(target)
    rng = random.Random(f"{seed}/{target}")
    kinds: Counter[str] = Counter()
    started = time.perf_counter()
    slowest, slowest_data = 0.0, b""
    for number in range(inputs):
        data = samples[number] if number < len(samples) else mutate(samples, words, rng)
        before = time.perf_counter()
        try:
            function(data)
        except Exception as error:  # noqa: BLE001 - whatever leaves a target is the finding
            kind = kind_of(error)
            kinds[kind] += 1
            if kinds[kind] <= MAX_CRASHES:
                traceback.print_exc()
                path = save_crash(target, data)
                print(f"crash: python fuzz/run.py {target} {path.relative_to(HERE.parent)}")
        took = time.perf_counter() - before
        if took > slowest:
            slowest, slowest_data = took, data
    seconds = time.perf_counter() - started
    if not kinds:
        # Once more, so that what is reported is the input and not a busy machine.
        slowest = min(_seconds(function, slowest_data) for _ in range(3))
    rate = inputs / seconds
    print(
        f"{target:16} seed {seed}: {inputs} inputs, {seconds:.1f} s ({rate:,.0f}/s), "
        f"slowest {slowest * 1000:.1f} ms ({len(slowest_data)} bytes), "
        f"{sum(kinds.values())} crashes",
        flush=True,
    )
    for kind, times in kinds.most_common():
        print(f"    {times} x {kind}")
    return not kinds


def _seconds(function: Callable[[bytes], None], data: bytes) -> float:
    before = time.perf_counter()
    function(data)
    return time.perf_counter() - before


def reproduce(target: str, files: list[Path]) -> bool:
    """Run exactly these inputs; an exception ends the run with its traceback."""
    function = _module("targets").TARGETS[target]
    for path in files:
        function(path.read_bytes())
        print(f"{target}: {path} passes")
    return True


def run_atheris(target: str, arguments: list[str]) -> None:
    """Coverage-guided, until stopped; `arguments` go to libFuzzer.

    What it finds worth keeping goes to a folder of its own, named in its output.
    """
    atheris = importlib.import_module("atheris")
    # Before anything else imports the library, or there is no coverage to see.
    with atheris.instrument_imports(include=["rtcproto"]):
        function = _module("targets").TARGETS[target]
    grown = tempfile.mkdtemp(prefix=f"corpus-{target}-")
    print(f"new inputs go to {grown}", flush=True)
    prefix = HERE / "crashes" / target
    prefix.mkdir(parents=True, exist_ok=True)
    folders = [grown, str(HERE / "corpus" / target)]
    atheris.Setup([sys.argv[0], f"-artifact_prefix={prefix}/", *arguments, *folders], function)
    atheris.Fuzz()


def _run_one(job: tuple[str, int, int]) -> bool:
    return run(*job)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if nothing crashed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="?")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--atheris", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    if options.atheris and options.target is not None:
        run_atheris(options.target, rest)
        return 0
    targets = sorted(_module("targets").TARGETS)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if not options.all and options.target not in targets:
        parser.error(f"name a target or --all; the targets are: {', '.join(targets)}")
    if options.files:
        return 0 if reproduce(options.target, options.files) else 1
    # Whole scenes take longest: begun first, they do not keep the other jobs waiting.
    chosen = sorted(targets, key=lambda name: not name.endswith("_ops"))
    chosen = chosen if options.all else [options.target]
    jobs = [(target, options.inputs, options.seed) for target in chosen]
    if options.jobs > 1:
        with multiprocessing.Pool(options.jobs) as pool:
            results = pool.map(_run_one, jobs, chunksize=1)
    else:
        results = [_run_one(job) for job in jobs]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
