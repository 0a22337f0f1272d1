"""How fast we are, as ratios to what others do in the same minute.

    python -m tests.benchmarks [--rows PATTERN] [--rounds N] [--json FILE] [--quick]

Every row runs us and its peers in turn (us, peer, us, peer ..., the order rotating from
round to round) and compares within a round, so that a busy machine slows down both. The
public functions that the session and the programs use, at their default settings.
"""
