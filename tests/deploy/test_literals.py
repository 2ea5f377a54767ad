"""Configs as plain values: what is written is read again as it was."""

from sssd.deploy.literals import read_literals, write_literals


def test_keys_that_are_no_names_are_read_again():
    values = dict(a={'from': 1, 'class': [2, 3]}, b={'x.y': None, 'z': (1,)}, c=dict(lr=0.1))
    assert read_literals(write_literals(values), 'here') == values
