"""Words that go with numbers."""

import pytest

from sssd.checks.findings import either, number_of, part_of


@pytest.mark.parametrize(
    'word, many', [('image', 'images'), ('box', 'boxes'), ('class', 'classes'), ('entry', 'entries'), ('id', 'ids')]
)
def test_one_and_many(word, many):
    assert [number_of(count, word) for count in (0, 1, 2)] == [f'0 {many}', f'1 {word}', f'2 {many}']
    assert [part_of(1, total, word) for total in (1, 2)] == [f'1 of 1 {word}', f'1 of 2 {many}']
    assert [either(count, 'is', 'are') for count in (0, 1, 2)] == ['are', 'is', 'are']
