"""Training steps under one or two gloo processes; the test module runs this file once for each rank.

``python two_ranks.py RENDEZVOUS_FILE RANK WORLD_SIZE OUT_FILE``
"""

import gc
import sys
from types import SimpleNamespace

import guided
import tiny
import torch
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner.utils import set_random_seed

from sssd.detectors import SureScore
from sssd.hooks import EMATeacherHook, RecomputeHook, ScaleDrawHook
from sssd.hooks.ema_teacher import average
from sssd.losses.reweight import mean_over_ranks

#: Unequal numbers of boxes: three on the first rank, one on the second.
BATCH = dict(boxes=tiny.BOXES, unlabelled=2, seed=1)


def losses(sync):
    """Both unsupervised losses with the counts of Eq. 5 over all ranks or over each."""
    config = dict(type='SoftLoss', reweight=dict(type='Histogram', sync=sync))
    return dict(scale_loss=config, distill_loss=config)


def guidance(kind, **guide):
    """A label-guided teacher with a distance of this kind."""
    return dict(guide=dict(type='LGD', **guide), distance=dict(kind=kind), lambda_=1.0)


def settled(make):
    """A Faster R-CNN in which nothing is random, and whose second stage trains on 12 proposals of every image.

    Its samplers take all anchors and all proposals, its NMS removes none, and its second stage ignores none.
    """
    detector = make()
    detector.rpn_head.type = 'sssd.SyncedRPNHead'
    detector.train_cfg.rpn_proposal.nms.iou_threshold = 1.0
    detector.train_cfg.rcnn.assigner = dict(tiny.MAX_IOU, neg_iou_thr=0.5)
    for part in (detector.train_cfg.rpn, detector.train_cfg.rcnn):
        part.sampler.num = 10**6
    return detector


SYNCED_HEAD = dict(type='sssd.SyncedRetinaHead')
#: Their floors are below and above every count of the batch.
BALANCED, FLOORED = (dict(type='BalancedSoftLoss', floor=floor, sync=True) for floor in (1e-3, 500.0))
#: Detector and options of an SED, or None in the place of options: a GuidedDetector with SSSD's distance.
CASES = dict(
    retinanet=(tiny.retinanet(**SYNCED_HEAD), losses(True)),
    fcos=(tiny.fcos(), losses(True)),
    retinanet_foreground=(
        tiny.retinanet(**SYNCED_HEAD),
        {
            **losses(True),
            'distill_loss': dict(type='SoftLoss', box_rows='foreground', reweight=dict(type='Focal', sync=True)),
        },
    ),
    retinanet_balanced=(tiny.retinanet(**SYNCED_HEAD), dict.fromkeys(('scale_loss', 'distill_loss'), BALANCED)),
    retinanet_floored=(tiny.retinanet(**SYNCED_HEAD), dict.fromkeys(('scale_loss', 'distill_loss'), FLOORED)),
    retinanet_guided=(tiny.retinanet(**SYNCED_HEAD), {**losses(True), 'guidance': guidance('js', context=True)}),
    fcos_guided=(tiny.fcos(), {**losses(True), 'guidance': guidance('mse', detach=True)}),
    faster_rcnn=(settled(tiny.faster_rcnn), losses(True)),
    faster_rcnn_guided=(settled(tiny.faster_rcnn), {**losses(True), 'guidance': guidance('js', detach=True)}),
    retinanet_sssd=(tiny.retinanet(**SYNCED_HEAD), None),
    fcos_sssd=(tiny.fcos(), None),
    faster_rcnn_sssd=(settled(tiny.faster_rcnn), None),
    detr=(tiny.detr(), losses(True)),
    faster_rcnn_c4=(settled(tiny.c4), losses(True)),
    faster_rcnn_dc5=(settled(tiny.dc5), losses(True)),
    detr_plain=(tiny.detr(bbox_head=dict(tiny.detr()['bbox_head'], sync_cls_avg_factor=False)), losses(True)),
    plain_head=(tiny.retinanet(), losses(True)),
    own_counts=(tiny.retinanet(**SYNCED_HEAD), losses(False)),
)
#: SED, SSSD and both, and every detector.
ACCUMULATED = ('retinanet', 'retinanet_sssd', 'retinanet_guided', 'fcos', 'faster_rcnn_guided')
#: What steps with one backward pass for all branches, too.
JOINT = ('retinanet', 'fcos_guided', 'faster_rcnn', 'detr')


#: A second stage divides its losses by the number of sampled proposals of the rank: the same on both ranks only if
#: their images have as many boxes.
EVEN_BATCH = dict(BATCH, boxes=(tiny.BOXES[0], tuple(tuple(side + 4 for side in box) for box in tiny.BOXES[0])))


def build(case):
    """The model of a case; student and teacher differ, and their scores fill many bins of Eq. 5."""
    detector, options = CASES[case]
    if options is None:
        return guided.build(detector, **guidance('js'))
    model, other = (tiny.build_sed(detector, seed=seed, **options) for seed in (0, 1))
    for student in (model.student, other.student):
        for name, parameter in student.named_parameters():
            if name.endswith(('retina_cls.weight', 'conv_cls.weight', 'rpn_cls.weight')):
                parameter.data.mul_(15)
            elif name.endswith(('retina_cls.bias', 'conv_cls.bias')):
                parameter.data.fill_(-1)
    average(model.teacher, other.student, alpha=0.0)
    return model


def batch_for(model, **options):
    """A batch with all branches for SED, with one for a guided detector alone."""
    batch = tiny.make_batch(**options)
    return batch if hasattr(model, 'student') else {key: branches['sup'] for key, branches in batch.items()}


def part_for(model, batch, rank, world_size):
    """The part of :func:`batch_for`'s batch that one rank takes."""
    if hasattr(model, 'student'):
        return tiny.part_of_batch(batch, rank, world_size)
    part = tiny.part_of_batch({key: dict(sup=images) for key, images in batch.items()}, rank, world_size)
    return {key: branches['sup'] for key, branches in part.items()}


def trained(model):
    """State of what the optimizer moves: the student, and the guidance if there is one."""
    return {
        name: value
        for name, value in tiny.state_of(model).items()
        if name.startswith(('student.', 'detector.', 'guidance.'))
    }


def step(case, rank, world_size, accumulate=1, backward='branch', **distributed):
    """Parameters of student and guidance after one step of SGD with this rank's part of the batch, or of several."""
    torch.manual_seed(0)
    model = build(case)
    if hasattr(model, 'student'):
        model.backward = backward
    wrapper = OptimWrapper(tiny.sgd(model, lr=0.01).optimizer, accumulative_counts=accumulate)
    wrapper.initialize_count_status(model, 0, accumulate)
    runs = MMDistributedDataParallel(model, broadcast_buffers=False, **distributed) if world_size > 1 else model
    options = EVEN_BATCH if case.startswith('faster_rcnn') else BATCH
    for number in range(accumulate):
        batch = batch_for(model, **dict(options, seed=options['seed'] + number))
        runs.train_step(part_for(model, batch, rank, world_size), wrapper)
    return trained(model)


def synchronised_batch_norm():
    """What PyTorch says of a SyncBatchNorm on the CPU in a group of several ranks."""
    try:
        torch.nn.SyncBatchNorm(2)(torch.rand(2, 2, 3, 3))
    except ValueError as error:
        return str(error)
    return ''


#: What one of two ranks may lack: boxes, proposals as well, the unlabelled images; or nothing, with activations that
#: are computed again in the backward pass.
LACKING = [
    (what, detector, kind)
    for what, detectors, kinds in (
        ('boxes', tiny.DETECTORS, ('sed', 'sssd', 'both')),
        ('boxes', tiny.OTHERS, ('sed',)),
        ('proposals', ['faster_rcnn'], ('sed', 'sssd', 'both')),
        ('proposals', ['c4'], ('sed',)),
        ('unlabelled', tiny.DETECTORS, ('sed', 'both')),
        ('unlabelled', tiny.OTHERS, ('sed',)),
        ('activations', ['retinanet'], ('sed', 'sssd', 'both')),
    )
    for detector in detectors
    for kind in kinds
]


def lacking(what, detector, kind, rank):
    """Two steps in which rank 1 lacks something: parameters without a gradient, and the weights at the end.

    Without proposals SED's own terms are off, as in a burn-in: they would give the classifier its gradient.
    DistributedDataParallel does not search for unused parameters, so the second step would fail if there were any.
    """
    config = {**tiny.DETECTORS, **tiny.OTHERS}[detector]()
    if what == 'proposals' and rank == 1:
        config.train_cfg.rpn_proposal.min_bbox_size = 10**4
    options = dict(lambda_s=0.0, lambda_d=0.0) if what == 'proposals' else {}
    if kind == 'both':
        options['guidance'] = guidance('js')
    model = guided.build(config, **guidance('js')) if kind == 'sssd' else tiny.build_sed(config, **options)
    if what == 'activations':
        RecomputeHook().before_train(SimpleNamespace(model=model))
    wrapper, missing = tiny.sgd(model, lr=0.01), []
    wrapper.optimizer.register_step_pre_hook(
        lambda *args: missing.extend(
            name for name, value in model.named_parameters() if value.requires_grad and value.grad is None
        )
    )
    runs = MMDistributedDataParallel(model, broadcast_buffers=False)
    boxes = tiny.BOXES[0] if what in ('unlabelled', 'activations') or rank == 0 else ()
    for seed in range(2):
        runs.train_step(
            batch_for(model, boxes=(boxes, boxes), seed=10 * rank + seed, branches=what != 'unlabelled' or rank == 0),
            wrapper,
        )
    return dict(missing=missing, state=trained(model))


#: Detectors whose gradient ratios are measured on two ranks, and what the second of them lacks.
MEASURED = [(case, lacks) for case in ('retinanet_guided', 'faster_rcnn_guided') for lacks in ('nothing', 'unlabelled')]


def uncounted(case):
    """The same with each rank's own counts in Eq. 5: a rank without unlabelled images takes no part in common ones."""
    detector, options = CASES[case]
    return tiny.build_sed(detector, **{**options, **losses(False)})


def measured(case, lacks, rank, world_size):
    """Gradient ratios of two steps with this rank's part of each batch, and the weights with them and without."""
    found = {}
    for measure in (False, True):
        torch.manual_seed(0)
        model = build(case) if lacks == 'nothing' else uncounted(case)
        model.measure_gradients = measure
        wrapper, rows = tiny.sgd(model, lr=0.01), []
        runs = MMDistributedDataParallel(model, broadcast_buffers=False) if world_size > 1 else model
        options = EVEN_BATCH if case.startswith('faster_rcnn') else BATCH
        for seed in range(2):
            batch = part_for(model, batch_for(model, **dict(options, seed=seed)), rank, world_size)
            if lacks == 'unlabelled' and rank == 1:
                batch = {key: dict(sup=branches['sup']) for key, branches in batch.items()}
            logged = runs.train_step(batch, wrapper)
            rows.append({name: float(value) for name, value in logged.items() if name.endswith('_grad_ratio')})
        found[measure] = dict(rows=rows, state=trained(model))
    return found


def batch_norm(rank, world_size):
    """Running statistics of student and teacher after a step whose images differ by rank, before and after the hook.

    The backbone's first stage is frozen, and the rest of its BatchNorm trains.
    """
    detector = tiny.retinanet()
    detector['backbone'].update(norm_cfg=dict(type='BN'), frozen_stages=1)
    model = tiny.build_sed(detector)
    wrapper, hook = tiny.sgd(model), EMATeacherHook(alpha=0.5)
    runner = SimpleNamespace(model=model, iter=0, max_iters=1, optim_wrapper=wrapper)
    runner.message_hub = MessageHub.get_instance('batch_norm')
    hook.before_train(runner)
    runs = MMDistributedDataParallel(model, broadcast_buffers=False)
    runs.train()
    runs.train_step(part_for(model, batch_for(model, **BATCH), rank, world_size), wrapper)
    found = {'before': statistics(model)}
    hook.after_train_iter(runner, 0)
    hook.after_train(runner)
    return {**found, 'after': statistics(model)}


def statistics(model):
    """Running means and variances."""
    return {name: value.clone() for name, value in model.state_dict().items() if 'running_' in name}


def draws():
    """s over some iterations, where every rank has a seed of its own, as under ``diff_rank_seed``."""
    seed, found, hook = set_random_seed(None, diff_rank_seed=True), [], ScaleDrawHook(max_shift=3)
    runner = SimpleNamespace(model=torch.nn.Module(), seed=seed)
    hook.before_train(runner)
    for runner.iter in range(20):
        hook.before_train_iter(runner, runner.iter)
        found.append(runner.model.shift)
    return dict(draws=found, seed=seed)


#: Boxes above the score and labelled ones, by step and rank; in the second step rank 1 has no unlabelled image.
COUNTED = [(([1, 0], [9]), ([2], [1, 2])), (([4], [5]), ([], [6])), (([1, 1], [2]), ([0], [3]))]


def sure_scores(parts):
    """The scores after each step, from the boxes of the unlabelled and the labelled images of one rank."""
    sure, scores = SureScore(0.3, 0.7, 0.6), []
    for found, labelled in parts:
        sure.note(found)
        scores.append(float(sure.update(labelled)))
    return scores


def main(rendezvous, rank, world_size, out):
    rank, world_size = int(rank), int(world_size)
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'file://{rendezvous}', rank=rank, world_size=world_size)
    found = {case: step(case, rank, world_size) for case in CASES}
    found.update({('accumulated', case): step(case, rank, world_size, accumulate=2) for case in ACCUMULATED})
    found.update({('joint', case): step(case, rank, world_size, backward='joint') for case in JOINT})
    found.update(
        {
            ('unused', case): step(case, rank, world_size, accumulate=2, find_unused_parameters=True)
            for case in ACCUMULATED
        }
    )
    found.update({case: lacking(*case, rank) for case in LACKING})
    found.update({('measured', *case): measured(*case, rank, world_size) for case in MEASURED})
    floored = mean_over_ranks(torch.tensor([0.1 + rank, 0.1]), sync=True, floor=1)
    found['batch_norm'] = batch_norm(rank, world_size)
    found['sure'] = sure_scores(step[rank] for step in COUNTED)
    torch.save({**found, 's': draws(), 'sync_bn': synchronised_batch_norm(), 'floored': floored}, out)
    torch.distributed.destroy_process_group()
    gc.collect()  # gloo's threads end with the last model that holds the group


if __name__ == '__main__':
    main(*sys.argv[1:])
