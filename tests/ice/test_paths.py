"""The path table alone: what is kept, what is selected, what silence does."""

from rtcproto.ice.contract import PathLost, PathProven, PathSelected, PathValidated
from rtcproto.ice.paths import MAX_EVICTED, SILENCE_BEFORE_MOVE, PathTable
from rtcproto.ice.proving import PROVING
from rtcproto.stun import Transaction

A, B, C = ((("192.0.2.1", port), None) for port in (1, 2, 3))


def proven(table, path, now):
    """Hear and prove a path."""
    table.heard(path, now)
    table.prove(path, now)


def test_life_of_one_path():
    """Validated, proven, selected, lost: one event each, in that order."""
    table = PathTable(8, 30.0)
    proven(table, A, 1.0)
    table.heard(A, 2.0)
    assert table.next_events() == [
        PathValidated(path=A),
        PathProven(path=A),
        PathSelected(path=A),
    ]
    assert table.next_events() == []
    assert table.deadline() == 31.0
    table.prove(A, 2.0)
    assert table.next_events() == []
    assert table.deadline() == 32.0
    table.forget_silent(31.9)
    assert table.selected == A
    table.forget_silent(32.0)
    assert table.next_events() == [PathLost(silent_for=30.0)]
    assert (table.selected, table.get(A), table.deadline()) == (None, None, None)


def test_nomination_before_the_proof_is_kept():
    """A claim waits for the proof, unless the peer has turned back meanwhile."""
    for turned_back in (False, True):
        table = PathTable(8, 30.0)
        proven(table, A, 0.0)
        table.heard(B, 1.0)
        table.nominate(B)
        assert table.selected == A
        if turned_back:
            table.nominate(A)
        table.prove(B, 2.0)
        assert table.selected == (A if turned_back else B)


def test_silence_moves_to_the_path_heard_last():
    """Of several spare paths the newest is taken, and only one heard since."""
    table = PathTable(8, 30.0)
    for now, path in enumerate((A, B, C)):
        proven(table, path, float(now))
    table.heard(A, 3.0)
    assert table.deadline() == 30.0
    table.leave_silent(20.0)
    assert table.selected == A
    table.heard(C, 4.0)
    table.heard(B, 5.0)
    assert table.deadline() == 3.0 + SILENCE_BEFORE_MOVE
    table.leave_silent(3.0 + SILENCE_BEFORE_MOVE - 0.01)
    assert table.selected == A
    table.leave_silent(3.0 + SILENCE_BEFORE_MOVE)
    assert table.selected == B


def test_loss_of_the_selected_path_leaves_the_unproven():
    """PathLost means stop; a path that is still heard may be proven and taken later."""
    table = PathTable(8, 30.0)
    proven(table, A, 0.0)
    table.heard(B, 10.0)
    table.next_events()
    table.forget_silent(30.0)
    assert table.next_events() == [PathLost(silent_for=30.0)]
    table.prove(B, 31.0)
    assert table.next_events() == [PathProven(path=B), PathSelected(path=B)]


def test_room_is_made_for_a_new_path():
    """The oldest unproven goes first, then the oldest that is not selected."""
    table = PathTable(2, 30.0)
    proven(table, A, 0.0)
    table.heard(B, 1.0)
    table.heard(C, 2.0)
    assert [path for path, _ in table.items()] == [A, C]
    table.prove(C, 3.0)
    table.heard(B, 4.0)
    assert [path for path, _ in table.items()] == [A, B]


def test_clear_is_silent():
    """Nothing is left, nothing is reported."""
    table = PathTable(2, 30.0)
    proven(table, A, 0.0)
    table.clear()
    assert table.next_events() == []
    assert (table.selected, table.deadline()) == (None, None)


def waiting(table, path, now):
    """A nominated path whose proving request left at `now`."""
    state = table.heard(path, now)
    state.proving = Transaction.start(bytes(12), b"request", PROVING, now)
    state.asked = True
    table.nominate(path)
    return state


def test_a_path_pushed_out_is_kept_while_its_answer_may_come():
    """It comes back as it was, nomination included, and is selected when proven."""
    table = PathTable(2, 30.0)
    proven(table, A, 0.0)
    state = waiting(table, B, 1.0)
    table.heard(C, 1.0)
    assert table.get(B) is None
    assert table.waiting(B, 2.0) is state
    table.restore(B, state, 2.0)
    assert table.get(B) is state
    table.prove(B, 2.0)
    assert table.selected == B


def test_a_path_pushed_out_is_forgotten_with_its_request():
    """Neither one that was never asked, nor one whose request has been given up."""
    table = PathTable(2, 30.0)
    proven(table, A, 0.0)
    state = waiting(table, B, 1.0)
    table.heard(C, 1.0)
    given_up = 1.0 + PROVING.offsets()[-1]
    assert table.waiting(B, given_up) is None
    table.forget_silent(given_up)
    table.restore(B, state, given_up)
    state.asked = False
    table.heard(C, given_up)
    assert table.waiting(B, 2.0) is None
    other = waiting(table, B, 1.0)
    table.heard(C, 1.0)
    assert table.waiting(B, 2.0) is other
    table.forget_evicted()
    assert table.waiting(B, 2.0) is None


def test_paths_pushed_out_are_bounded():
    """The oldest is forgotten."""
    table = PathTable(2, 30.0)
    proven(table, A, 0.0)
    paths = [(("203.0.113.9", 1024 + number), None) for number in range(MAX_EVICTED + 2)]
    for path in paths:
        waiting(table, path, 1.0)
    assert table.waiting(paths[0], 1.0) is None
    assert table.waiting(paths[1], 1.0) is not None


def test_a_proof_that_is_not_renewed_is_void():
    """Checks alone keep a path validated; media goes on to a proven path, or stops."""
    for spare in (False, True):
        table = PathTable(8, 30.0)
        proven(table, A, 0.0)
        if spare:
            proven(table, B, 10.0)
        table.heard(A, 29.0)
        table.next_events()
        table.end_proofs(29.9)
        assert (table.selected, table.next_events()) == (A, [])
        table.end_proofs(30.0)
        assert not table.get(A).proven
        if spare:
            assert (table.selected, table.next_events()) == (B, [PathSelected(path=B)])
        else:
            assert (table.selected, table.next_events()) == (None, [PathLost(silent_for=30.0)])
        table.prove(A, 31.0)
        assert table.selected == (B if spare else A)
