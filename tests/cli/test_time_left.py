"""The time that a training still takes, in and after a burn-in."""

from types import SimpleNamespace

import pytest
from mmengine.hooks import IterTimerHook
from mmengine.logging import MessageHub

from sssd.cli._time_left import TimeLeftHook
from sssd.studies.cost import Cost


def told(cost, seconds, total=10):
    """The ETA after every iteration, where they took so many seconds."""
    hub, hook, found = MessageHub(f'time left {cost} {seconds}'), TimeLeftHook(cost), []
    for done, second in enumerate(seconds):
        hub.update_scalar('train/time', second)
        hub.update_info('eta', -1)
        hook.after_train_iter(SimpleNamespace(iter=done, max_iters=total, message_hub=hub), 0)
        found.append(hub.get_info('eta'))
    return found


def test_iterations_after_the_burn_in_count_more():
    assert told(Cost(6.0, 2.0, 4), [1, 1, 1, 1, 5, 7]) == pytest.approx([3 + 18, 2 + 18, 1 + 18, 18, 25, 24])


def test_without_a_burn_in_mmengines_own_stays():
    assert told(Cost(6.0, 2.0, 0), [1, 1]) == [-1, -1]


def test_without_a_timer_nothing_is_told():
    hub = MessageHub('time left without a timer')
    TimeLeftHook(Cost(6.0, 2.0, 4)).after_train_iter(SimpleNamespace(iter=0, max_iters=10, message_hub=hub), 0)
    assert 'eta' not in hub.runtime_info


def test_it_comes_between_the_timer_and_the_log():
    assert IterTimerHook.priority == 'NORMAL' and 50 < TimeLeftHook.priority < 60
