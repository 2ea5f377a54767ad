"""A run that begins where another one was loses nothing of it."""

import pytest

from sssd.checkpoints.aside import is_own, move_aside, move_later_aside


@pytest.fixture
def run(tmp_path):
    """What a run leaves, and something that is none of it."""
    for name in ('iter_2.pth', 'iter_10.pth', 'best_coco_bbox_mAP_iter_2.pth', 'report.html', 'notes.txt'):
        (tmp_path / name).write_text(name)
    (tmp_path / 'last_checkpoint').write_text('iter_10.pth')
    (tmp_path / '20260101_101010/vis_data').mkdir(parents=True)
    (tmp_path / 'mine').mkdir()
    return tmp_path


def test_all_of_it_and_nothing_else_is_moved(run):
    told = move_aside(run)
    assert told.startswith(f'{run} had a run up to iter_10.pth, which is now in {run / "old1"}') and '--resume' in told
    assert sorted(path.name for path in run.iterdir()) == ['mine', 'notes.txt', 'old1']
    assert (run / 'old1/iter_2.pth').read_text() == 'iter_2.pth' and (run / 'old1/20260101_101010/vis_data').is_dir()
    assert len(list((run / 'old1').iterdir())) == 6
    (run / 'iter_1.pth').write_text('')
    move_aside(run)
    assert [path.name for path in (run / 'old2').iterdir()] == ['iter_1.pth']


def test_what_is_later_than_the_checkpoint_gone_back_to_is_moved(run):
    (run / 'epoch_9.pth').write_text('')
    assert move_later_aside(run / 'iter_10.pth') is None
    assert move_later_aside(run / 'iter_2.pth', [str(run / 'iter_10.pth')]) is None
    told = move_later_aside(run / 'iter_2.pth')
    assert 'goes back to iter_2.pth' in told and f'up to iter_10.pth, is now in {run / "old1"}' in told
    assert [path.name for path in (run / 'old1').iterdir()] == ['iter_10.pth']
    assert {'iter_2.pth', 'epoch_9.pth', 'report.html'} < {path.name for path in run.iterdir()}


def test_the_best_one_alone_is_a_checkpoint(run):
    """Of a run that was killed after a validation, before its first regular checkpoint."""
    for path in run.glob('iter_*.pth'):
        path.unlink()
    told = move_aside(run)
    assert told.startswith(f'{run} had a run with best_coco_bbox_mAP_iter_2.pth, which is now in {run / "old1"}')
    assert '--resume' not in told
    assert (run / 'old1/best_coco_bbox_mAP_iter_2.pth').is_file() and not list(run.glob('*.pth'))


def test_without_a_checkpoint_nothing_is(run):
    for path in run.glob('*.pth'):
        path.unlink()
    assert move_aside(run / 'nowhere') is None
    before = sorted(run.iterdir())
    assert move_aside(run) is None and sorted(run.iterdir()) == before


@pytest.mark.parametrize(
    'name', ['mine/../iter_2.pth', 'best_coco_bbox_mAP_iter_2.pth', '20260101_101010/vis_data/weights.pth']
)
def test_what_the_new_run_starts_from_stays_with_all(run, name):
    """Of whatever would be moved; what is written over is said."""
    before = sorted(run.iterdir())
    told = move_aside(run, needed=['https://host/w.pth', str(run / name)])
    assert told.startswith(f'{run} has a run up to iter_10.pth, and {run / name} of it is read here: all of it stays')
    assert 'are written over' in told and sorted(run.iterdir()) == before
    assert 'is now in' in move_aside(run, needed=[str(run / 'notes.txt'), str(run / 'mine/iter_2.pth')])


def test_whose_checkpoint_it_is(run, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp('other')
    (other / 'iter_7.pth').touch()
    monkeypatch.chdir(run)
    for path in (None, 'iter_2.pth', f'{run}/mine/../best_coco_bbox_mAP_iter_2.pth'):
        assert is_own(path, run)
    for path in (f'{other}/iter_7.pth', 'mine/iter_2.pth', 'https://host/iter_2.pth'):
        assert not is_own(path, run)
    for path in run.glob('iter_*.pth'):
        path.unlink()
    (run / 'last_checkpoint').write_text(f'{other}/iter_7.pth')  # of a CheckpointHook with an out_dir
    assert is_own(f'{other}/iter_7.pth', run)
