"""Trainings that lose a process: a config with SED over the tiny data set, and the hook that pulls the plug."""

from pathlib import Path

#: Appended to the config of tests/cli/conftest.py: SED, whose sampler goes on at the right images, six iterations and
#: a checkpoint after every second. Nothing in the pipelines is random.
SED = """
custom_imports = dict(imports=['sssd', 'lose_a_process'])
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
    batch_size=2, num_workers=0, sampler=dict(type='sssd.MixedSourceSampler', batch_size=2, source_ratio=[1, 1]),
    dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]))
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in=0, lambda_s=1.0, lambda_d=1.0), dict(type='sssd.ScaleDrawHook'),
    dict(type='sssd.EMATeacherHook', alpha=0.5), dict(type='LoseAProcess')]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
env_cfg = dict(env_cfg, dist_cfg=dict(backend='gloo', timeout=60))
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends)
"""

#: The module that the config imports.
HOOK = '''
import os
import signal
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class LoseAProcess(Hook):
    """Kills rank 1 in the fifth iteration, once; with it, if wanted, the launcher of its node."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        victim, mark = os.environ.get('LOSE'), Path(os.environ.get('MARK', 'lost'))
        if victim and os.environ['RANK'] == '1' and runner.iter == 4 and not mark.exists():
            mark.touch()
            if victim == 'node':
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
'''


def write_hook(folder):
    """Write the module; returns the folder, for PYTHONPATH."""
    (Path(folder) / 'lose_a_process.py').write_text(HOOK)
    return str(folder)
