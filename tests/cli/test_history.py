"""What a training keeps of the numbers that it logs."""

import pytest
import tiny
from mmengine.hooks import Hook

from sssd.cli import _history


class Watch(Hook):
    """How many values of the loss there are after each iteration, and the mean that a log line would have."""

    priority = 'LOWEST'

    def __init__(self):
        self.lengths, self.means = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = runner.message_hub.get_scalar('train/loss')
        self.lengths.append(len(loss.data[0]))
        self.means.append(loss.mean(2))


@pytest.mark.parametrize('window', [2, 'global'])
def test_the_history_of_a_number_is_as_long_as_the_log_needs(window, monkeypatch, tmp_path):
    monkeypatch.setattr(_history, 'KEPT', 3)
    found = []
    for hooks in ([], [_history.ShortHistoryHook()]):
        watch, custom = Watch(), [dict(data_src='loss', log_name='mean', method_name='mean', window_size=window)]
        processor = dict(by_epoch=False, window_size=2, custom_cfg=custom)
        data, model = [tiny.make_batch(seed=i, branches=False) for i in range(5)], tiny.build_sed(tiny.retinanet())
        tiny.make_runner(model, data, tmp_path, 5, hooks=[*hooks, watch], log_processor=processor).train()
        found.append(watch)
    plain, bounded = found
    assert plain.lengths == [1, 2, 3, 4, 5] and bounded.means == plain.means
    assert bounded.lengths == ([1, 2, 3, 3, 3] if window == 2 else plain.lengths)
