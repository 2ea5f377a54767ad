"""One training step under one or two gloo processes; the test module runs this file once for each rank.

``python two_ranks.py RENDEZVOUS_FILE RANK WORLD_SIZE OUT_FILE``
"""
import sys
from types import SimpleNamespace

import tiny
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.runner.utils import set_random_seed

from sssd.hooks import ScaleDrawHook
from sssd.hooks.ema_teacher import average

#: Unequal numbers of boxes: three on the first rank, one on the second.
BATCH = dict(boxes=tiny.BOXES, unlabelled=2, seed=1)


def losses(sync):
    """Both unsupervised losses with the counts of Eq. 5 over all ranks or over each."""
    config = dict(type='SoftLoss', reweight=dict(type='Histogram', sync=sync))
    return dict(scale_loss=config, distill_loss=config)


def guidance(kind, **guide):
    """A label-guided teacher with a distance of this kind."""
    return dict(guide=dict(type='LGD', **guide), distance=dict(kind=kind), lambda_=1.0)


SYNCED_HEAD = dict(type='sssd.SyncedRetinaHead')
CASES = dict(
    retinanet=(tiny.retinanet(**SYNCED_HEAD), losses(True)),
    fcos=(tiny.fcos(), losses(True)),
    retinanet_foreground=(tiny.retinanet(**SYNCED_HEAD), {
        **losses(True), 'distill_loss': dict(type='SoftLoss', box_rows='foreground',
                                             reweight=dict(type='Focal', sync=True))}),
    retinanet_guided=(tiny.retinanet(**SYNCED_HEAD), {**losses(True), 'guidance': guidance('js', context=True)}),
    fcos_guided=(tiny.fcos(), {**losses(True), 'guidance': guidance('mse', detach=True)}),
    plain_head=(tiny.retinanet(), losses(True)),
    own_counts=(tiny.retinanet(**SYNCED_HEAD), losses(False)))


def build(case):
    """The model of a case; student and teacher differ, and their scores fill many bins of Eq. 5."""
    detector, options = CASES[case]
    model, other = (tiny.build_sed(detector, seed=seed, **options) for seed in (0, 1))
    for student in (model.student, other.student):
        for name, parameter in student.bbox_head.named_parameters():
            if name in ('retina_cls.weight', 'conv_cls.weight'):
                parameter.data.mul_(15)
            elif name in ('retina_cls.bias', 'conv_cls.bias'):
                parameter.data.fill_(-1)
    average(model.teacher, other.student, alpha=0.0)
    return model


def trained(model):
    """State of what the optimizer moves: the student, and the guidance if there is one."""
    return {name: value for name, value in tiny.state_of(model).items() if name.startswith(('student.', 'guidance.'))}


def step(case, rank, world_size):
    """Parameters of student and guidance after one step of SGD with this rank's part of the batch."""
    model = build(case)
    wrapper = tiny.sgd(model, lr=0.01)
    runs = MMDistributedDataParallel(model, broadcast_buffers=False) if world_size > 1 else model
    runs.train_step(tiny.part_of_batch(tiny.make_batch(**BATCH), rank, world_size), wrapper)
    return trained(model)


def draws():
    """s over some iterations, where every rank has a seed of its own, as under ``diff_rank_seed``."""
    seed, found, hook = set_random_seed(None, diff_rank_seed=True), [], ScaleDrawHook(max_shift=3)
    runner = SimpleNamespace(model=torch.nn.Module(), seed=seed)
    hook.before_train(runner)
    for runner.iter in range(20):
        hook.before_train_iter(runner, runner.iter)
        found.append(runner.model.shift)
    return dict(draws=found, seed=seed)


def main(rendezvous, rank, world_size, out):
    rank, world_size = int(rank), int(world_size)
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'file://{rendezvous}', rank=rank, world_size=world_size)
    torch.save({**{case: step(case, rank, world_size) for case in CASES}, 's': draws()}, out)
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(*sys.argv[1:])
