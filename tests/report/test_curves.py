"""The figure holds a panel for AP and one for every loss term."""

import pytest
from matplotlib import pyplot as plt
from matplotlib.image import imread

from sssd.errors import UserError
from sssd.report.curves import plot_curves
from sssd.report.scalars import Curve

TOTAL, SUP, SCALE = (r'total loss $\mathcal{L}$', r'$\mathcal{L}_{\mathrm{sup}}$', r'$\mathcal{L}_{\mathrm{scale}}$')


@pytest.fixture
def runs():
    steps = [100, 200]
    few = {
        'loss': Curve(steps, [2.0, 1.0]),
        'sup_loss_cls': Curve(steps, [1.0, 0.5]),
        'teacher/coco/bbox_mAP': Curve(steps, [0.1, 0.2]),
        'student/coco/bbox_mAP': Curve(steps, [0.15, 0.18]),
    }
    sed = dict(few, loss_scale=Curve(steps, [0.3, 0.2]))
    return {'supervised': [few], 'SED': [sed, sed]}


@pytest.fixture
def kept(monkeypatch):
    """Figures that the code under test would close."""
    figures = []
    monkeypatch.setattr(plt, 'close', figures.append)
    yield figures
    monkeypatch.undo()
    plt.close('all')


def test_panels_lines_and_file(runs, tmp_path, kept):
    out = plot_curves(runs, tmp_path / 'deep' / 'curves.png', 'title')
    assert imread(out).std() > 0
    axes = {item.get_title(): item for item in kept[0].axes}
    assert set(axes) == {'Validation', TOTAL, SUP + '\ncls', SCALE}
    # AP: student and teacher of three runs; scale: the two SED runs only
    assert len(axes['Validation'].lines) == 6
    assert len(axes[SCALE].lines) == 2
    teacher = [line for line in axes['Validation'].lines if line.get_linestyle() == '-']
    assert teacher[0].get_ydata().tolist() == [10.0, 20.0]
    assert all(item.get_xlabel() == 'iteration' and item.get_ylabel() for item in axes.values())
    labels = [text.get_text() for text in kept[0].legends[0].get_texts()]
    assert labels == ['supervised', 'SED', 'teacher (AP)', 'student (AP)']


def test_runs_differ_in_colour(runs, tmp_path, kept):
    plot_curves(runs, tmp_path / 'curves.png')
    lines = kept[0].axes[0].lines
    assert len({line.get_color() for line in lines}) == 2


def test_nothing_logged(tmp_path):
    with pytest.raises(UserError, match='logged anything'):
        plot_curves({'few': [{}]}, tmp_path / 'curves.png')
