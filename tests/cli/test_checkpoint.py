"""A checkpoint of another model is refused before it is used."""

import json
from collections import OrderedDict
from types import SimpleNamespace

import guided
import pytest
import tiny
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

from sssd.checks.checkpoint import CheckpointGuard, compare, refuse_weights_of_nothing, weights_of
from sssd.cli import extract, train
from sssd.cli import test as test_command
from sssd.errors import UserError
from sssd.hooks.ema_teacher import average


def _net(width=4, depth=1):
    layers = [nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))]
    layers += [nn.Conv2d(width, width, 1) for _ in range(depth)]
    return nn.ModuleDict({str(i): layer for i, layer in enumerate(layers)})


class _Renaming(nn.Module):
    """Takes the weights of a plain net for its student."""

    def __init__(self):
        super().__init__()
        self.student = _net()

    def _load_from_state_dict(self, state_dict, *args):
        for key in [key for key in state_dict if not key.startswith('student.')]:
            state_dict[f'student.{key}'] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, *args)


def _pair():
    return nn.ModuleDict(dict(student=_net(), teacher=_net()))


def _load(model, state_dict, strict=True):
    guard = CheckpointGuard('weights.pth', strict)
    guard.after_load_checkpoint(SimpleNamespace(model=model), dict(state_dict=state_dict))


def test_weights_of_the_same_model_pass():
    source, target = _net(), _net()
    _load(target, source.state_dict())
    _load(target, {f'module.{key}': value for key, value in source.state_dict().items()})


def test_a_deeper_models_weights_are_refused_although_nothing_is_missing():
    mismatch = compare(_net(depth=1), _net(depth=2).state_dict())
    assert mismatch.missing == [] and mismatch.shapes == []
    assert mismatch.unexpected == ['2.weight', '2.bias']
    with pytest.raises(UserError, match=r'weights.pth .* 2 keys of it are unknown to the model \(first: 2.weight'):
        _load(_net(depth=1), _net(depth=2).state_dict())


def test_other_shapes_are_shown():
    with pytest.raises(UserError, match=r'0\.0\.weight \(8, 3, 1, 1\) instead of \(4, 3, 1, 1\)') as caught:
        _load(_net(4), _net(8).state_dict())
    assert '\n' not in str(caught.value)


def test_missing_keys_are_counted_and_the_first_are_named():
    state_dict = _net(depth=1).state_dict()
    with pytest.raises(UserError, match=r'4 keys of the model are missing in it \(first: 1.weight, 1.bias'):
        _load(_net(depth=2), {key: value for key, value in state_dict.items() if key.startswith('0')})


def test_missing_counters_of_batch_norm_do_not_matter():
    state_dict = OrderedDict(
        (key, value) for key, value in _net().state_dict().items() if 'num_batches_tracked' not in key
    )
    _load(_net(), state_dict)


def test_a_pair_of_student_and_teacher_on_a_plain_model_is_told_the_way_out():
    with pytest.raises(UserError, match='a student and a teacher.*python -m sssd extract weights.pth OUT.pth'):
        _load(_net(), _pair().state_dict())


def test_a_start_may_fit_in_part_but_not_in_nothing():
    _load(_net(depth=2), _net(depth=1).state_dict(), strict=False)
    with pytest.raises(UserError, match='not of the model'):
        _load(_net(), _pair().state_dict(), strict=False)


def test_a_model_that_renames_keys_while_loading_is_judged_by_the_result():
    _load(_Renaming(), _net().state_dict())


def test_a_model_that_renames_keys_takes_a_start_that_fits_in_part():
    """As an SED takes a plain detector of another number of classes."""
    source, model = _net(4).state_dict(), _Renaming()
    source['1.weight'] = torch.zeros(8, 4, 1, 1)
    mismatch = compare(model, source)
    assert mismatch.missing == mismatch.unexpected == [] and not mismatch.nothing_fits
    assert mismatch.shapes == ['student.1.weight (8, 4, 1, 1) instead of (4, 4, 1, 1)']
    assert torch.equal(model.student['0'][0].weight, source['0.0.weight'])
    _load(model, source, strict=False)
    with pytest.raises(UserError, match='not of the model in the config: 1 keys have another shape'):
        _load(model, source)


@pytest.mark.parametrize('theirs, ours', [((0.3, 0.7), 0.7), (0.7, (0.3, 0.7)), ((0.3, 0.7), None)])
def test_the_score_of_pseudo_labels_is_no_part_of_a_detector(theirs, ours):
    first, second = (
        tiny.build_sed(tiny.faster_rcnn(), pseudo_labels=None if score is None else dict(score_thr=score))
        for score in (theirs, ours)
    )
    _load(second, first.state_dict())
    with pytest.raises(UserError, match='a student and a teacher'):
        _load(MODELS.build(tiny.faster_rcnn()), first.state_dict())


def test_a_detector_of_other_classes_is_a_start_for_sed():
    plain = MODELS.build(tiny.retinanet())
    state = plain.state_dict()
    for key in ('bbox_head.retina_cls.weight', 'bbox_head.retina_cls.bias'):
        state[key] = torch.cat([state[key], state[key]])
    model = tiny.build_sed(tiny.retinanet(), seed=1)
    _load(model, state, strict=False)
    weight = 'backbone.conv1.weight'
    for part in ('student', 'teacher'):
        assert torch.equal(model.state_dict()[f'{part}.{weight}'], state[weight])


def test_weights_of_a_bare_state_dict_are_itself():
    state_dict = _net().state_dict()
    assert list(weights_of(state_dict)) == list(state_dict)


@pytest.mark.parametrize('part', ['teacher', 'student'])
def test_extract_writes_one_part_that_a_plain_model_loads(tmp_path, part):
    pair = _pair()
    source, out = tmp_path / 'pair.pth', tmp_path / 'out' / 'plain.pth'
    torch.save(dict(meta={}, state_dict=pair.state_dict()), source)
    assert extract.main([str(source), str(out), '--part', part]) == 0
    written, plain = torch.load(out, weights_only=True), _net()
    _load(plain, written['state_dict'])
    assert torch.equal(plain['0'][0].weight, pair[part]['0'][0].weight)


def test_extract_writes_over_no_file(tmp_path):
    """Not over the checkpoint itself, which could not be resumed any more."""
    source = tmp_path / 'pair.pth'
    torch.save(dict(meta={}, state_dict=_pair().state_dict()), source)
    before = source.read_bytes()
    with pytest.raises(UserError, match='pair.pth exists: name another file'):
        extract.main([str(source), str(source)])
    assert source.read_bytes() == before


def test_extract_refuses_a_checkpoint_without_the_part(tmp_path):
    source, out = tmp_path / 'plain.pth', tmp_path / 'out.pth'
    torch.save(dict(state_dict=_net().state_dict()), source)
    with pytest.raises(UserError, match='plain.pth has no weights of a teacher'):
        extract.main([str(source), str(out)])
    assert not out.exists()


def _detector(name):
    """The config of a tiny detector whose random weights detect something."""
    config = ConfigDict({**tiny.DETECTORS, **tiny.OTHERS}[name]())
    config['test_cfg'].get('rcnn', config['test_cfg'])['score_thr'] = 0.0
    return config


def _guided(tmp_path, name='faster_rcnn'):
    """A guided detector, and the file of a checkpoint that holds it."""
    model = guided.build(_detector(name))
    path = tmp_path / 'guided.pth'
    torch.save(dict(meta=dict(dataset_meta=dict(classes=('a',))), state_dict=model.state_dict()), path)
    return model, path


@pytest.mark.parametrize('name', sorted(tiny.DETECTORS))
def test_a_guided_checkpoint_becomes_a_plain_detector(tmp_path, name):
    """Nothing of the label side is in it: the same modules, and the same detections to the last bit."""
    model, source = _guided(tmp_path, name)
    out = tmp_path / 'plain.pth'
    assert extract.main([str(source), str(out)]) == 0
    written = torch.load(out, weights_only=True)
    plain = MODELS.build(_detector(name)).eval()
    assert set(written['state_dict']) == set(plain.state_dict())
    assert written['meta']['dataset_meta']['classes'] == ('a',)
    plain.load_state_dict(written['state_dict'], strict=True)
    assert _modules(plain) == _modules(model.detector)
    data = model.eval().data_preprocessor(guided.batch(), False)
    with torch.no_grad():
        expected, found = (
            one.predict(data['inputs'], [sample.clone() for sample in data['data_samples']]) for one in (model, plain)
        )
    for mine, theirs in zip(expected, found):
        assert len(mine.pred_instances) > 0
        assert torch.equal(mine.pred_instances.bboxes, theirs.pred_instances.bboxes)
        assert torch.equal(mine.pred_instances.scores, theirs.pred_instances.scores)
        assert torch.equal(mine.pred_instances.labels, theirs.pred_instances.labels)


@pytest.mark.parametrize('name', sorted(tiny.OTHERS))
def test_the_teacher_without_a_pyramid_becomes_a_plain_detector(tmp_path, name):
    """Its average goes over all that a transformer or a shared head has; its detections are those of the pair."""
    model, source, out = tiny.build_sed(_detector(name)), tmp_path / 'sed.pth', tmp_path / 'plain.pth'
    average(model.teacher, tiny.build_sed(_detector(name), seed=1).student, alpha=0.5)
    torch.save(dict(meta=dict(dataset_meta=dict(classes=('a',))), state_dict=model.state_dict()), source)
    assert extract.main([str(source), str(out)]) == 0
    plain = MODELS.build(_detector(name)).eval()
    plain.load_state_dict(torch.load(out, weights_only=True)['state_dict'], strict=True)
    image = tiny.sample((64, 96))
    image.set_metainfo(dict(batch_input_shape=(64, 96)))
    inputs = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found = [one.eval().predict(inputs, [image.clone()])[0].pred_instances for one in (model, plain)]
    assert len(found[0]) > 0
    for key in ('bboxes', 'scores', 'labels'):
        torch.testing.assert_close(found[0][key], found[1][key])


def _modules(model):
    """Every module's name and type."""
    return [(name, type(module)) for name, module in model.named_modules()]


@pytest.mark.parametrize('part', ['teacher', 'student'])
def test_a_guided_sed_becomes_a_plain_detector(tmp_path, part):
    model = tiny.build_sed(tiny.faster_rcnn(), guidance=dict())
    torch.nn.init.constant_(model.teacher.roi_head.bbox_head.fc_cls.bias, 3.0)
    source, out = tmp_path / 'pair.pth', tmp_path / 'plain.pth'
    torch.save(dict(meta={}, state_dict=model.state_dict()), source)
    assert extract.main([str(source), str(out), *(['--part', part] if part == 'student' else [])]) == 0
    written = torch.load(out, weights_only=True)['state_dict']
    plain = MODELS.build(tiny.faster_rcnn(type='mmdet.FasterRCNN'))
    assert set(written) == set(plain.state_dict())
    assert all(torch.equal(written[name], value) for name, value in getattr(model, part).state_dict().items())
    with pytest.raises(UserError, match='a student and a teacher.*python -m sssd extract'):
        _load(plain, model.state_dict())


def test_extract_refuses_a_part_that_a_guided_checkpoint_has_not(tmp_path):
    _, source = _guided(tmp_path)
    with pytest.raises(UserError, match='no weights of a student: leave --part out if it is of a guided detector'):
        extract.main([str(source), str(tmp_path / 'out.pth'), '--part', 'student'])


def test_a_guided_checkpoint_on_a_plain_model_is_told_the_way_out():
    state = nn.ModuleDict(dict(detector=_net(), guidance=_net())).state_dict()
    with pytest.raises(UserError, match='a detector and its label side.*python -m sssd extract weights.pth OUT.pth'):
        _load(_net(), state)


@pytest.mark.parametrize(
    'parts, others',
    [
        (('detector', 'guidance'), ('student', 'teacher', 'guidance')),
        (('student', 'teacher', 'guidance'), ('detector', 'guidance')),
    ],
)
def test_guided_checkpoints_on_another_guided_model_are_told_the_way_out(parts, others):
    state = nn.ModuleDict({part: _net() for part in parts}).state_dict()
    with pytest.raises(UserError, match='python -m sssd extract weights.pth OUT.pth'):
        _load(nn.ModuleDict({part: _net() for part in others}), state)


def test_a_student_alone_is_told_what_it_lacks():
    state = nn.ModuleDict(dict(student=_net())).state_dict()
    with pytest.raises(UserError, match='it lacks the teacher, so take the checkpoint that the training wrote'):
        _load(_pair(), state)


def test_weights_alone_are_nothing_to_go_on_from():
    guard, model = CheckpointGuard('weights.pth', resume=True), _net()
    with pytest.raises(UserError, match=r'weights.pth holds weights alone .*\(meta, message_hub missing\)'):
        guard.after_load_checkpoint(SimpleNamespace(model=model), dict(state_dict=model.state_dict()))


def test_a_best_checkpoint_without_the_optimizer_is_nothing_to_go_on_from():
    guard, model = CheckpointGuard('best.pth', resume=True), _net()
    kept = dict(state_dict=model.state_dict(), meta=dict(epoch=0, iter=3), message_hub={})
    with pytest.raises(UserError, match='best.pth has no state of the optimizer'):
        guard.after_load_checkpoint(SimpleNamespace(model=model), kept)


def test_extract_names_a_file_that_is_no_checkpoint(tmp_path):
    path = tmp_path / 'notes.pth'
    path.write_text('not a checkpoint')
    with pytest.raises(UserError, match=f'^checkpoint {path} cannot be read '):
        extract.main([str(path), str(tmp_path / 'out.pth')])


def _started_from(path, **options):
    """A detector whose backbone is to begin with a file's weights, not initialised."""
    config = tiny.retinanet()
    config['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=str(path), **options)
    return MODELS.build(config)


@pytest.fixture
def detector_file(tmp_path):
    path = tmp_path / 'detector.pth'
    torch.save(dict(meta={}, state_dict=MODELS.build(tiny.retinanet()).state_dict()), path)
    return path


def test_a_backbone_s_file_of_a_whole_detector_needs_its_prefix(detector_file):
    model = _started_from(detector_file)
    with pytest.raises(UserError, match=f"no weight of {detector_file}, .* backbone .*prefix='backbone.', where"):
        refuse_weights_of_nothing(model)
    refuse_weights_of_nothing(_started_from(detector_file, prefix='backbone'))


def test_a_backbone_s_file_of_something_else(tmp_path, detector_file):
    path = tmp_path / 'net.pth'
    torch.save(_net().state_dict(), path)
    with pytest.raises(UserError, match='no weight of .* backbone .* fits it: name another file'):
        refuse_weights_of_nothing(_started_from(path))
    with pytest.raises(UserError, match='no weight of'):
        refuse_weights_of_nothing(_started_from(detector_file, prefix='encoder'))


def test_a_backbone_s_file_that_fits_in_part_and_one_that_is_elsewhere_pass(tmp_path):
    model = MODELS.build(tiny.retinanet())
    state = {key: value for key, value in model.backbone.state_dict().items() if not key.startswith('layer4')}
    path = tmp_path / 'part.pth'
    torch.save(state, path)
    refuse_weights_of_nothing(_started_from(path))
    refuse_weights_of_nothing(_started_from('torchvision://resnet50'))


def test_modules_that_convert_weights_are_left_to_it(detector_file):
    model = _started_from(detector_file)
    model.backbone.__class__ = type('Converting', (type(model.backbone),), dict(init_weights=lambda self: None))
    refuse_weights_of_nothing(model)


def renamed(trained, folder, classes):
    """The config of a trained run with other class names, in the config and in the annotations, whose labels stay."""
    root = trained.config.parent / 'coco'
    coco = json.loads((root / 'annotations.json').read_text())
    for category, name in zip(coco['categories'], classes):
        category['name'] = name
    (folder / 'annotations.json').write_text(json.dumps(coco))
    text = trained.config.read_text().replace(str(root / 'annotations.json'), str(folder / 'annotations.json'))
    text = text.replace("ann_file='annotations.json'", f'ann_file={str(folder / "annotations.json")!r}')
    (folder / 'tiny.py').write_text(
        text + f'\nfor loader in (train_dataloader, test_dataloader):\n'
        f"    loader['dataset']['metainfo'] = dict(classes={tuple(classes)!r})\n"
    )
    return str(folder / 'tiny.py')


def test_the_same_classes_in_another_order_are_refused(trained, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    words = ['--work-dir', str(tmp_path / 'work')]
    first, second = torch.load(trained.checkpoint, weights_only=False)['meta']['dataset_meta']['classes']
    config = renamed(trained, tmp_path, [second, first])
    with pytest.raises(UserError, match=rf'has the classes of the config in another order: {first}, {second}; give'):
        test_command.main([config, str(trained.checkpoint), *words])
    with pytest.raises(UserError, match='in another order'):
        train.main([config, *words, '--resume', str(trained.checkpoint)])


def test_other_names_of_as_many_classes_are_told(trained, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv('LOCAL_RANK', '0')
    config = renamed(trained, tmp_path, ['one', 'two'])
    assert test_command.main([config, str(trained.checkpoint), '--work-dir', str(tmp_path / 'work')]) == 0
    assert 'and the config has one, two' in ''.join(capfd.readouterr())
