"""Every committed fuzz input still passes, and the runner does what its help says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz import run as runner
from fuzz.mutate import MAX_SIZE, mutate
from fuzz.targets import TARGETS

FUZZ = Path(__file__).resolve().parent.parent / "fuzz"
FILES = [
    pytest.param(path.parent.name, path, id=f"{path.parent.name}/{path.name}")
    for folder in ("corpus", "crashes")
    for path in sorted((FUZZ / folder).glob("*/*"))
]


@pytest.mark.parametrize(("target", "path"), FILES)
def test_replay(target: str, path: Path) -> None:
    """Corpus inputs and past crashes pass."""
    TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_has_a_corpus_and_survives_a_little_fuzzing(target: str) -> None:
    """Seeds exist; 100 mutated inputs, the empty one and a long one pass."""
    samples = runner.corpus(target)
    assert samples
    rng = random.Random(target)
    words = runner.dictionary(target)
    count = 5 if target.endswith("_ops") else 100  # whole scenes
    for data in [b"", bytes(2000), *(mutate(samples, words, rng) for _ in range(count))]:
        TARGETS[target](data)


def test_folders_belong_to_targets() -> None:
    """A renamed target takes its inputs and words along."""
    for folder in ("corpus", "crashes"):
        names = {path.name for path in (FUZZ / folder).glob("*") if path.is_dir()}
        assert names <= set(TARGETS)
    assert {path.stem for path in (FUZZ / "dictionaries").glob("*.txt")} <= set(TARGETS)


def test_the_mutator_is_seeded_and_bounded() -> None:
    """One seed, one sequence; never longer than the limit; not always the same."""

    def sequence(seed: int) -> list[bytes]:
        rng = random.Random(seed)
        return [mutate([b"0123456789" * 40, b"", b"x"], [b"word"], rng) for _ in range(500)]

    assert sequence(1) == sequence(1)
    assert sequence(1) != sequence(2)
    assert len(set(sequence(1))) > 250
    assert max(map(len, sequence(1))) <= MAX_SIZE


def broken(data: bytes) -> None:
    """A target with a bug."""
    if b"9" in data:
        raise IndexError("nine")


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fuzz folder of its own with one broken target."""
    (tmp_path / "fuzz" / "corpus" / "broken").mkdir(parents=True)
    (tmp_path / "fuzz" / "corpus" / "broken" / "seed").write_bytes(b"0123456789")
    monkeypatch.setattr(runner, "HERE", tmp_path / "fuzz")
    monkeypatch.setitem(TARGETS, "broken", broken)
    return tmp_path / "fuzz"


def test_a_crash_is_kept_and_reported(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 1, the input is saved, and the printed command repeats the crash."""
    assert runner.main(["broken", "--inputs", "20", "--seed", "3"]) == 1
    printed = capsys.readouterr().out
    crashes = sorted((sandbox / "crashes" / "broken").iterdir())
    assert 1 <= len(crashes) <= runner.MAX_CRASHES
    assert f"python fuzz/run.py broken fuzz/crashes/broken/{crashes[0].name}" in printed
    assert "IndexError at test_fuzz_corpus.py" in printed
    with pytest.raises(IndexError):
        runner.main(["broken", str(crashes[0])])


def test_a_clean_run_exits_with_zero(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inputs that pass say so, one by one or as a run."""
    (sandbox / "corpus" / "broken" / "seed").write_bytes(b"")
    clean = tmp_path / "clean"
    clean.write_bytes(b"0")
    assert runner.main(["broken", str(clean)]) == 0
    assert "passes" in capsys.readouterr().out
    assert runner.main(["broken", "--inputs", "1"]) == 0
    assert "0 crashes" in capsys.readouterr().out


def test_unknown_targets_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the targets."""
    with pytest.raises(SystemExit):
        runner.main(["nonsense"])
    assert "relay_ops" in capsys.readouterr().err


def test_dictionaries_decode() -> None:
    """Words are Python escapes of bytes."""
    assert b"\x21\x12\xa4\x42" in runner.dictionary("stun")
    assert runner.dictionary("peek") == runner.dictionary("stun")
    assert runner.dictionary("token") == []
