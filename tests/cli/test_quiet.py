"""What a training and a test print, and what their log file keeps: a real SED of six iterations, in this process."""

import io
import logging
import re
import subprocess
import sys
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, DefaultScope

from sssd.cli import test as test_command
from sssd.cli import train
from sssd.cli._header import describe_model
from sssd.cli._progress import scores_of
from sssd.cli._quiet import ALIKE, Brief, Sparing, Tee, quiet
from sssd.errors import UserError
from sssd.registry import LOSSES, MODELS, SCHEDULES, VIEWS

#: Appended to the tiny config: SED with settings for some parameters, evaluated at the third and the sixth iteration.
SED = """
experiment_name = {name!r}
norm = dict(type='GN', num_groups=4, requires_grad=True)
model['backbone'].update(norm_cfg=norm, norm_eval=False)
preprocessor = dict(type='MultiBranchDataPreprocessor', data_preprocessor=model.pop('data_preprocessor'))
model = dict(type='sssd.SED', detector=model, data_preprocessor=preprocessor)
branches = ['sup', 'unsup_teacher', 'unsup_student']
pack = dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape', 'ori_shape'))
labelled = dict(data, pipeline=load + resize + [dict(type='MultiBranch', branch_field=branches, sup=pack)])
unlabelled = dict(data, pipeline=[load[0], dict(type='LoadEmptyAnnotations')] + resize + [
    dict(type='MultiBranch', branch_field=branches, unsup_teacher=[pack], unsup_student=[pack])])
train_dataloader = dict(
    batch_size=3, num_workers=0, sampler=dict(type='sssd.MixedSourceSampler', batch_size=3, source_ratio=[1, 2]),
    dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', lambda_s=dict(type='Ramp', begin=2, after=1.0), lambda_d=1.0),
    dict(type='sssd.ScaleDrawHook'), dict(type='sssd.EMATeacherHook', alpha=0.5)]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [dict(type='LinearLR', start_factor=0.5, by_epoch=False, begin=0, end=2)]
val_dataloader = test_dataloader
val_evaluator = test_evaluator
val_cfg = dict(type='TeacherStudentValLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=3)
default_hooks['logger'] = dict(type='LoggerHook', interval=2)
default_hooks['checkpoint'].update(interval=6)
"""


@HOOKS.register_module()
class Talker(Hook):
    """Says things in the third iteration, and ends the training if it is told to."""

    def __init__(self, fails=False):
        self.fails = fails

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx != 2:
            return
        print('a print of the user')
        for number in range(2 * ALIKE):
            runner.logger.warning(f'image {number} is odd')
        runner.logger.error('a grave error')
        runner.logger.info('a word for the file')
        for kind, text in (('UserWarning', 'a warning of Python'), ('FutureWarning', 'of old code')):
            # As Python does it, which pytest prevents.
            exec('sys.stderr.write(text)', dict(__name__='warnings', sys=sys, text=f'file.py:1: {kind}: {text}\n'))
        if self.fails:
            raise RuntimeError('the end')


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@dataclass
class Done:
    """A run of a command: its work directory, what it printed where, and its log file."""

    work_dir: Path
    out: str
    err: str
    log: str

    @property
    def lines(self):
        return self.out.splitlines()


def run(command, *words, work_dir, out=None, fails=None):
    """Run a command in this process."""
    out, err = out or io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        with nullcontext() if fails is None else pytest.raises(RuntimeError, match=fails):
            assert command([*map(str, words), '--work-dir', str(work_dir)]) == 0
        assert sys.stdout is out and sys.stderr is err
    (log,) = work_dir.glob('*/*.log')
    return Done(work_dir, out.getvalue(), err.getvalue(), log.read_text())


def sed(job, name, extra=''):
    """Make a tiny job an SED; its name is its own, since MMEngine tells loggers apart by name and second."""
    job.config.write_text(job.config.read_text() + SED.replace('{name!r}', repr(name)) + extra)
    return job


@pytest.fixture(scope='module')
def done(tmp_path_factory, make_tiny_coco, write_job):
    """A training of an SED in which :class:`Talker` talks; once for all tests."""
    folder = tmp_path_factory.mktemp('quiet')
    job = write_job(folder, make_tiny_coco(folder / 'coco'))
    sed(job, 'quiet', "custom_hooks.append(dict(type='Talker'))\n")
    return run(train.main, job.config, work_dir=job.work_dir)


def test_a_header_of_fifteen_lines(done):
    first = next(number for number, line in enumerate(done.lines) if line.startswith('iter '))
    lines = [line for line in done.lines[:first] if 'are also in' not in line]  # one set of images stands for three
    assert len(lines) <= 15 and first == len(lines) + 2, done.out
    assert sum('6 images' in line for line in lines) == 3
    header = dict(re.split(r': +', line, maxsplit=1) for line in lines)
    assert header['model'] == 'SED over RetinaNet (ResNet-18, FPN), 2 classes'
    assert header['batch'] == '3 images (1 labelled, 2 unlabelled)' and header['seed'] == '0'
    assert header['length'] == '6 iterations, evaluated every 3' and header['device'] == 'cpu, float32'
    assert header['optimizer'] == 'SGD, learning rate 0.01' and header['start'] == 'random weights'
    assert header['results in'] == str(done.work_dir) and Path(header['log file']).read_text() == done.log
    trained, whole = re.match(r'([\d,]+) of ([\d,]+) parameters', header['trains']).groups()
    assert 2 * int(trained.replace(',', '')) == int(whole.replace(',', ''))  # the teacher's do not train


def test_then_a_line_each_interval_and_each_evaluation(done):
    ap = r'AP teacher \d+\.\d student \d+\.\d'
    patterns = (
        r'iter 2/6  eta 0:00:0\d  loss \d+\.\d+  lr 0\.01',
        rf'evaluated at 3: {ap}  AP50 teacher .*',
        rf'iter 4/6  eta .*  lr 0\.01  {ap}',
        rf'iter 6/6  eta .*  {ap}',
        rf'evaluated at 6: {ap}  AP50 .*',
        r'trained in 0:00:\d\d, last checkpoint .*iter_6\.pth',
    )
    lines = [line for line in done.lines if re.match('iter|evaluated|trained', line)]
    assert len(lines) == len(patterns) and lines[-1] == done.lines[-1]
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, lines)), done.out


def test_the_log_file_keeps_what_the_terminal_does_not_get(done):
    for text in (
        'System environment',
        'Config:\n',
        'Hooks will be executed',
        'teacher.backbone.conv1.weight is skipped since its requires_grad=False',
        'loading annotations into memory',
        'Average Precision',
        'unsup_over_sup',
        'a word for the file',
    ):
        assert text in done.log and text not in done.out, text
    for text in ('train_dataloader.dataset.datasets[1]: 6 images', 'SED over RetinaNet', 'last checkpoint'):
        assert text in done.log and text in done.out, text
    assert 'Failed to search registry' not in done.log
    assert re.findall(r'Iter\(train\) +\[ *(\d+)/', done.log) == ['2', '4', '6']


def test_warnings_errors_and_the_user_s_prints_are_seen(done):
    assert 'a print of the user' in done.lines and 'error: a grave error' in done.lines
    assert [line for line in done.lines if 'is odd' in line] == [f'warning: image {i} is odd' for i in range(ALIKE)]
    assert done.log.count(' is odd') == 2 * ALIKE
    assert 'UserWarning: a warning of Python' in done.err and 'of old code' not in done.err
    for text in ('a print of the user', 'a grave error', 'a warning of Python', 'of old code'):
        assert text in done.log, text


def test_verbose_leaves_all_to_mmengine(job):
    job = sed(job, 'verbose')
    done = run(train.main, job.config, '--verbose', '--cfg-options', 'train_cfg.max_iters=2', work_dir=job.work_dir)
    for text in ('System environment', 'Config:\n', 'requires_grad=False', 'loading annotations', 'Iter(train) [2/2]'):
        assert text in done.out, text
    assert '\niter 2/2' not in done.out


def test_on_a_terminal_bars_show_training_and_evaluation(job, monkeypatch):
    for name, value in dict(TERM='xterm-256color', COLUMNS='100').items():
        monkeypatch.setenv(name, value)
    for name in ('NO_COLOR', 'FORCE_COLOR', 'TTY_COMPATIBLE', 'TTY_INTERACTIVE'):
        monkeypatch.delenv(name, raising=False)
    job = sed(job, 'terminal', "custom_hooks.append(dict(type='Talker'))\n")
    done = run(train.main, job.config, work_dir=job.work_dir, out=Terminal())
    drawn = re.sub(r'\x1b\[[\d;?]*[A-Za-z]', '', done.out)
    lines = [line.strip() for line in re.split(r'[\r\n]+', drawn)]
    assert any(re.fullmatch(r'training +━+ 6/6 eta 0:00:00  loss \d+\.\d+  AP teacher .* student .*', x) for x in lines)
    for role in ('teacher', 'student'):
        assert any(re.fullmatch(rf'evaluating {role} +━+ 6/6', line) for line in lines), role
    assert 'a print of the user' in lines and 'error: a grave error' in lines  # above the bars, in lines of their own
    assert any(line.startswith('evaluated at 6: AP teacher') for line in lines)
    assert lines[-2].startswith('trained in') and lines[-3].startswith('training') and lines[-1] == ''
    assert not any(line.startswith('iter ') for line in lines)
    assert 'a print of the user' in done.log and 'evaluating' not in done.log


def test_an_unexpected_error_is_logged_and_a_level_of_the_config_holds(job):
    job = sed(job, 'failing', "log_level = 'ERROR'\ncustom_hooks.append(dict(type='Talker', fails=True))\n")
    done = run(train.main, job.config, work_dir=job.work_dir, fails='the end')
    assert 'error: a grave error' in done.out and 'is odd' not in done.out
    assert 'a grave error' in done.log and 'is odd' not in done.log and 'Config:' not in done.log
    assert 'Traceback (most recent call last)' in done.log and 'RuntimeError: the end' in done.log


def test_a_test_prints_its_metrics(done):
    config = done.work_dir.parent / 'tiny.py'
    tested = run(test_command.main, config, done.work_dir / 'iter_6.pth', work_dir=done.work_dir.parent / 'test')
    lines = tested.lines
    assert len(lines) == 7 + 6 and lines[0].startswith('test_dataloader.dataset: 6 images'), tested.out
    assert lines[3].startswith('checkpoint: ') and lines[3].endswith('iter_6.pth')
    assert re.fullmatch(r'coco/bbox_mAP: \d\.\d{4}', lines[7])
    assert 'Average Precision' in tested.log and lines[7] in tested.log


def test_importing_says_nothing_of_parts_that_are_optional(repo_root):
    done = subprocess.run([sys.executable, '-c', 'import sssd'], cwd=repo_root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize(
    'registry, config',
    [
        (LOSSES, dict(type='SoftLoss')),
        (SCHEDULES, dict(type='Ramp', begin=2, after=1.0)),
        (VIEWS, dict(type='sssd.DenseView', head='bbox_head')),
    ],
)
def test_registries_of_our_own_do_not_look_for_the_scope_of_a_config(registry, config, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, *rest, **more: said.append((text, more)))
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert type(registry.build(config)).__name__ == config['type'].rpartition('.')[2]
    assert [text for text, more in said if more.get('level') == logging.WARNING] == []


@pytest.mark.parametrize(
    'model, said',
    [
        (lambda: tiny.sed_config(tiny.faster_rcnn()), 'SED over FasterRCNN (ResNet-18, FPN), 3 classes'),
        (lambda: tiny.sed_config(tiny.detr()), 'SED over DETR (ResNet-18, ChannelMapper), 3 classes'),
        (lambda: tiny.fcos(), 'FCOS (ResNet-18, FPN), 3 classes'),
        (
            lambda: dict(type='sssd.GuidedDetector', detector=tiny.retinanet(), guide=dict(type='LGD')),
            'GuidedDetector with LGD over RetinaNet (ResNet-18, FPN), 3 classes',
        ),
    ],
)
def test_a_model_in_words(model, said):
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert describe_model(MODELS.build(ConfigDict(model()))) == said


@pytest.mark.parametrize(
    'metrics, said',
    [
        ({'teacher/coco/bbox_mAP': 0.234, 'student/coco/bbox_mAP': 0.21}, 'AP teacher 23.4 student 21.0'),
        ({'coco/bbox_mAP': 0.5, 'coco/bbox_mAP_50': 0.75, 'coco/bbox_mAP_s': -1.0}, 'AP 50.0  AP50 75.0'),
        ({'pascal_voc/mAP': 0.5, 'pascal_voc/AP50': 0.5}, 'AP50 50.0'),
        ({'mine/recall': 0.5}, 'mine/recall 0.5'),
        ({}, 'nothing detected'),
    ],
)
def test_scores_in_words(metrics, said):
    assert scores_of(metrics, ('AP', 'AP50')) == said


@pytest.mark.parametrize(
    'message, shown',
    [
        ('a b\nc', 'warning: a b\n  c'),
        ('\n'.join('abcdef'), 'warning: a\n  b\n  c\n  d\n  ... (2 more lines in the log file)'),
        ('x' * 500, f'warning: {"x" * 400} ... (more in the log file)'),
        ('teacher.conv.weight is skipped since its requires_grad=False', None),
        (
            'The model and loaded state dict do not match exactly\n\nunexpected key in source state_dict: fc.bias\n',
            None,
        ),
        (
            'The model and loaded state dict do not match exactly\n\nmissing keys in source state_dict: conv.bias\n',
            'warning: The model and loaded state dict do not match exactly\n  missing keys in source state_dict: '
            'conv.bias',
        ),
    ],
)
def test_a_warning_is_shown_in_brief(message, shown):
    record = logging.makeLogRecord(dict(levelno=logging.WARNING, levelname='WARNING', msg=message))
    assert (Brief().format(record) if Sparing().filter(record) else None) == shown


def test_of_several_processes_the_first_reports(monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with quiet(launcher='pytorch') as screen:
        assert not screen.is_first
        assert isinstance(sys.stdout, Tee)
    with quiet() as screen:  # a single process that something else gave a rank
        assert screen.is_first
    assert not isinstance(sys.stdout, Tee)


def test_a_type_of_runner_that_is_not_there(job):
    with pytest.raises(UserError, match="runner_type is 'Nobody'"):
        train.main([str(job.config), '--work-dir', str(job.work_dir), '--cfg-options', 'runner_type=Nobody'])
