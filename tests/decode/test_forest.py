"""Which tokens are computed, and where a request finds its scores."""

from knowpack.decode.forest import Row, Trunk, plan, request


def only_row(root: Trunk) -> Row:
    assert not root.children
    (row,) = root.rows
    return row


def test_choices_of_one_token_are_read_from_one_place() -> None:
    row = only_row(plan([request([5, 6, 7], [letter]) for letter in (1, 2, 3, 4)]))
    assert row.ids == [5, 6, 7]
    assert [want.places for want in row.wants] == [(2,)] * 4
    assert [want.targets for want in row.wants] == [(1,), (2,), (3,), (4,)]


def test_longer_choices_branch_from_their_question() -> None:
    row = only_row(plan([request([5, 6], [1, 2, 3]), request([5, 6], [1, 4, 9]), request([5, 6], [8, 8])]))
    assert row.ids == [5, 6, 1, 2, 4, 8]  # each token of the tree once; the last of a choice is never fed
    assert row.parents == [-1, 0, 1, 2, 2, 1]
    places = {want.request: want.places for want in row.wants}
    assert places == {0: (1, 2, 3), 1: (1, 2, 4), 2: (1, 5)}


def test_a_trunk_is_computed_once_and_leaves_every_request_a_token_to_read_from() -> None:
    shots = list(range(100, 400))
    requests = [request([*shots, 1000 + i, *range(50)], [7]) for i in range(20)]
    root = plan([*requests, request(shots, [9])])  # the last is scored after the trunk's own last token
    (trunk,) = root.children
    assert trunk.depth == 299
    assert sorted(len(row.ids) for row in trunk.rows) == [1, *[52] * 20]  # the 300th token stands in each row
    assert (root.rows, len(trunk.ids)) == ([], 299)


def test_a_long_passage_with_its_choices_is_one_row() -> None:
    row = only_row(plan([request(range(100, 600), [choice, 1, 2]) for choice in range(4)]))
    assert len(row.ids) == 500 + 4 * 2


def test_unlike_requests_make_no_trunk() -> None:
    root = plan([request([i, *range(300)], [1]) for i in range(5)])
    assert not root.children
    assert sorted(len(row.ids) for row in root.rows) == [301] * 5


def test_a_cut_request_feeds_the_end_of_its_context() -> None:
    row = only_row(plan([request([1, 2, 3, 4, 5], [6, 7], 4)]))
    assert row.ids == [3, 4, 5, 6]
    assert row.wants[0].places == (2, 3)


def test_the_same_question_twice_is_computed_once() -> None:
    row = only_row(plan([request([5, 6], [1, 2]), request([5, 6], [1, 2])]))
    assert row.ids == [5, 6, 1]
    assert sorted(want.request for want in row.wants) == [0, 1]
