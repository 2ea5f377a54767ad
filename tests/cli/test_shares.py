"""The share of the distance: in the log, in TensorBoard, and as a table over the phases of a run."""

import re

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sssd.cli import shares
from sssd.errors import UserError
from sssd.report.scalars import read_curves


def test_every_interval_logs_the_share_to_file_and_tensorboard(trained_guided):
    shown = [float(number) for number in re.findall(r'distill_share: (\d\.\d+)', trained_guided.log)]
    logged = read_curves(trained_guided.work_dir)['distill_share']
    assert logged.steps == [1, 2, 3, 4, 5, 6] and shown == pytest.approx(logged.values, abs=1e-4)
    (folder,) = trained_guided.work_dir.glob('*/vis_data')
    events = EventAccumulator(str(folder)).Reload()
    for name in ('distill_share', 'lambda_'):
        scalars = events.Scalars(name)
        assert [event.step for event in scalars] == logged.steps
        assert [event.value for event in scalars] == pytest.approx(read_curves(trained_guided.work_dir)[name].values)


def test_the_table_has_a_row_for_each_lambda(trained_guided, capsys):
    assert shares.main([str(trained_guided.work_dir), '--markdown']) == 0
    rows = [line.strip('| ').split(' | ') for line in capsys.readouterr().out.splitlines() if ' to ' in line]
    assert [row[:2] for row in rows] == [['1 to 2', '0'], ['3 to 4', '20'], ['5 to 6', '40']]
    logged = read_curves(trained_guided.work_dir)['distill_share'].values
    means = [sum(logged[i : i + 2]) / 2 for i in (0, 2, 4)]
    assert [row[2] for row in rows] == [f'{mean:.3f}' for mean in means] and means[0] == 0 < means[1] < means[2]
    assert shares.main([str(trained_guided.work_dir)]) == 0
    assert '3 to 4' in capsys.readouterr().out


def test_runs_without_shares_are_told(trained, tmp_path):
    with pytest.raises(UserError, match='has no distill_share in its logs'):
        shares.main([str(trained.work_dir)])
    with pytest.raises(UserError, match='no work directory'):
        shares.main([str(tmp_path / 'nowhere')])
