"""The pictures of docs/method.md and docs/sssd.md draw themselves, no letters on letters; the committed are small."""

import importlib
import re
import runpy
import shutil

import pytest
import tiny
import torch
from lettering import PIXELS, faults, kept_figures
from PIL import Image

from sssd.figures.style import plt

#: Pictures of schedules and rules, and those of a photograph.
SCHEDULES, SCENES = ('ema', 'stepwise', 'cells'), ('branches', 'scale_shift', 'reweighting', 'guide')


@pytest.fixture(autouse=True)
def drawing(monkeypatch, repo_root):
    """The modules of docs/draw."""
    monkeypatch.syspath_prepend(str(repo_root / 'docs' / 'draw'))


def scene(guidance, size=(96, 128)):
    """A tiny SED with a guide and random weights, and a batch of one labelled and one unlabelled image."""
    model = tiny.build_sed(tiny.retinanet(), guidance=guidance).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith(('cls.weight', 'cls.bias')):
                value.add_(0.4 * torch.randn_like(value))
    batch = tiny.make_batch((tiny.BOXES[0],), unlabelled=1, size=size)
    return importlib.import_module('method.scene').seen(model, batch)


@pytest.mark.parametrize('name', SCHEDULES)
def test_schedules(name):
    figure = importlib.import_module(f'method.{name}').draw()
    assert faults(figure) == []
    plt.close(figure)


@pytest.mark.parametrize('context', [True, False])
@pytest.mark.parametrize('name', SCENES)
def test_scenes(name, context):
    seen = scene(dict(guide=dict(type='LGD', context=context)))
    figure = importlib.import_module(f'method.{name}').draw(seen)
    assert faults(figure) == []
    plt.close(figure)


@pytest.mark.parametrize('name', SCHEDULES + SCENES)
def test_committed_pictures_and_their_captions(name, repo_root):
    path = repo_root / 'docs' / 'figures' / f'method_{name}.png'
    assert path.stat().st_size < 250_000
    with Image.open(path) as image:
        assert image.width == PIXELS
    caption = importlib.import_module(f'method.{name}').__doc__
    assert len(caption) > 300 and caption.count('$') % 2 == 0


def test_few_colours_keep_those_of_few_pixels(tmp_path):
    png = importlib.import_module('method.png')
    noise = Image.effect_noise((300, 300), 80).convert('RGB')
    noise.paste((255, 140, 0), (10, 10, 60, 14))
    few = png.reduced(noise, 64).convert('RGB')
    assert len(few.getcolors()) <= 64
    assert all(abs(a - b) < 16 for a, b in zip(few.getpixel((30, 12)), (255, 140, 0)))


def test_a_picture_that_is_too_large_is_refused(tmp_path, monkeypatch):
    png = importlib.import_module('method.png')
    monkeypatch.setattr(png, 'MOST', 100)
    figure = importlib.import_module('method.ema').draw()
    with pytest.raises(ValueError, match='more than 100'):
        png.save(figure, tmp_path / 'ema.png')


def run(repo_root, monkeypatch, *words):
    """``python docs/draw``."""
    monkeypatch.setattr('sys.argv', ['docs/draw', *words])
    runpy.run_path(str(repo_root / 'docs' / 'draw'), run_name='__main__')


def test_the_command_draws_what_is_named(repo_root, monkeypatch, tmp_path, capsys):
    run(repo_root, monkeypatch, 'ema', '--out', str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ['method_ema.png']
    with pytest.raises(SystemExit):
        run(repo_root, monkeypatch, 'amo')
    assert 'no picture amo; there are branches, ' in capsys.readouterr().err


def test_figures_of_the_analyses_from_committed_numbers(repo_root, monkeypatch, tmp_path, tiny_coco):
    toy = tmp_path / 'toy'
    toy.mkdir()
    shutil.copy(tiny_coco.ann_file, toy / 'train.json')
    with kept_figures() as figures:
        run(repo_root, monkeypatch, '--analysis', '--toy', str(toy), '--out', str(tmp_path / 'out'))
        assert [faults(figure) for figure in figures] == [[]] * 6
    page = (repo_root / 'docs' / 'analysis.md').read_text()
    drawn = {path.name for path in (tmp_path / 'out').iterdir()}
    assert drawn | {'views.png'} == set(re.findall(r'\(figures/(.+?)\)', page))
