"""The files that `sssd init` writes: the detector, SED, its baselines, and a study of them."""

import os
import shlex
import textwrap
from math import ceil
from pathlib import Path

from sssd.deploy.config import typed
from sssd.deploy.literals import write_literals
from sssd.places import brought
from sssd.studies.own.data import OwnData
from sssd.studies.own.detector import OwnDetector
from sssd.studies.own.optimizer import Training
from sssd.studies.own.plan import BURN_IN, JITTER, PAPER_LEAST, PAPER_SIZE, Plan

BASES = dict(
    paper=(
        '_base_/datasets/coco_semi.py',
        '_base_/schedules/sed_180k.py',
        '_base_/sed.py',
        '_base_/tta_multiscale.py',
        '_base_/default_runtime.py',
    ),
    small=(
        '_base_/datasets/photos_semi.py',
        '_base_/schedules/photos.py',
        '_base_/photos/sed.py',
        '_base_/small_runtime.py',
    ),
    scratch=(
        '_base_/datasets/photos_semi.py',
        '_base_/schedules/small.py',
        '_base_/sed_from_scratch.py',
        '_base_/small_runtime.py',
    ),
)
#: Weights of Eq. 2 and Eq. 3 of the paper, and of RetinaNet from random weights, for which they were measured.
LAMBDAS = dict(paper=(1.0, 1.0), scratch=(4.0, 4.0))
#: For all else they follow from gradients: these ratios are those of the weights chosen on photographs, 1 and 10 for
#: RetinaNet, 0.25 and 1.2 for Faster R-CNN (benchmarks/results/pilot_photos.json).
RATIOS = dict(scale=0.25, distill=0.6)
#: Pseudo-labels of a detector with a second stage, of RetinaNet, and lambda_p of both; chosen as those. RetinaNet's
#: scores rise by what they teach, so the least one is found while it trains, and several looks make up for its boxes,
#: which teach until the rate falls: then a student would learn their teacher's mistakes (docs/results.md).
SURE, FOUND = dict(score_thr=0.7), dict(score_thr=(0.4, 0.95), found=0.8, sizes=[0.75, 1.33])
LAMBDA_P = 1.0
BOXES_OF_FOUND = "dict(type='StepAtDecay', start=1.0, end=0.0)"
#: Rows of an image in a second stage of the small preset, as in configs/_base_/photos/faster_rcnn_sed.py.
ROWS = 256
#: The teacher's alpha, and what it falls to with the learning rate.
ALPHA, LATE_ALPHA = 0.99, dict(paper=0.9, scratch=0.9)
#: Iterations below which a training is evaluated four times and logged twenty times, so that its curves show something,
#: and the teacher averages over a tenth of it, as alpha does over so many: else it would still be what it began as.
SHORT = 1000

DETECTOR = """\
# The detector of {detector}, changed for one's own data; written by `python -m sssd init`.
{comment}
{literal}"""
SED = """\
# SED on one's own labelled and unlabelled images; written by `python -m sssd init`, which chose:
{comment}
_base_ = [
{bases}
]
{imports}
classes = {classes!r}
metainfo = dict(classes=classes)
{pipelines}
labeled = {{**_base_.labeled_dataset, 'data_root': '', 'metainfo': metainfo, 'pipeline': {sup},
           'ann_file': {labeled!r}, 'data_prefix': dict(img={labeled_images!r})}}
unlabeled = {unlabeled_dataset}
batch_size = {batch}  # labelled images of a GPU in one step; as many unlabelled ones come to them
train_dataloader = dict(
    batch_size=2 * batch_size, num_workers={workers}, sampler=dict(batch_size=2 * batch_size),
    dataset=dict(datasets=[labeled, unlabeled]))
val_dataloader = dict(dataset=dict(
    data_root='', metainfo=metainfo, ann_file={val!r}, data_prefix=dict(img={val_images!r}),
    pipeline={test}))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file={val!r}{metric})
test_evaluator = val_evaluator

detector = _base_.model
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,{views}{losses}{pseudo_labels}
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor))
# The weights of Eq. 2 and Eq. 3 do not carry over from one detector to another, nor from one data set:
# {calibration} (docs/calibration.md).
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', burn_in={burn_in}, lambda_s={lambda_s}, lambda_d={lambda_d}{lambda_p}),
    dict(type='sssd.ScaleDrawHook', max_shift=1),
    dict(type='sssd.EMATeacherHook', alpha={alpha}){calibrate}]

max_iters = {iters}
train_cfg = dict(max_iters=max_iters, val_interval={interval})
optim_wrapper = {optim_wrapper}
param_scheduler = [
    dict(type='LinearLR', start_factor={start}, by_epoch=False, begin=0, end={warmup}),
    dict(type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones={milestones}, gamma=0.1)]
auto_scale_lr = dict(base_batch_size={mixed})
default_hooks = dict(checkpoint=dict(interval={interval}){logger})
"""
PIPELINES = """\
steps_of_mine = {steps}
sup_pipeline, sup_only_pipeline, unsup_pipeline, test_pipeline = (
    [{{**step, **steps_of_mine.get(step['type'], {{}})}} for step in steps] for steps in (
        _base_.sup_pipeline, _base_.sup_only_pipeline, _base_.unsup_pipeline, _base_.test_pipeline))
"""
FOLDER = """dict(type='sssd.ImageFolder', metainfo=metainfo, data_prefix=dict(img={unlabeled!r}),
                 {ann_file}pipeline={unsup})"""
LISTED = """{{**_base_.unlabeled_dataset, 'data_root': '', 'metainfo': metainfo, 'pipeline': {unsup},
             'ann_file': {unlabeled!r}, 'data_prefix': dict(img={unlabeled_images!r})}}"""
SUPERVISED = """\
# The baseline of sed.py: the labelled images alone, with the same moving average.
_base_ = './sed.py'
train_dataloader = dict(
    _delete_=True, batch_size={batch}, num_workers={workers}, persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True), batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset={{**_base_.labeled, 'pipeline': _base_.sup_only_pipeline}})
custom_hooks = [dict(type='sssd.LambdaScheduleHook', lambda_s=0.0, lambda_d=0.0{no_p}), _base_.custom_hooks[2]]
auto_scale_lr = dict(base_batch_size={total})
optim_wrapper = dict(optimizer=dict(lr={supervised_lr:g}))
"""
EVERYTHING = """\
# The reference of sed.py: what could be reached if all images had labels.
_base_ = './supervised.py'
train_dataloader = dict(dataset=dict(
    ann_file={everything!r}, data_prefix=dict(img={everything_images!r})))
"""
STUDY = """\
# All runs one after the other, and a table of them{where}:
#     {command}
name = {name!r}
seeds = [0]
runs = dict({runs})
# To see in a minute that all works: the same with `--quick`.
quick = {{'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'default_hooks.logger.interval': 1}}
"""


def own_configs(
    data: OwnData,
    classes: tuple[str, ...],
    folder: Path,
    own: OwnDetector,
    plan: Plan,
    training: Training,
    notes: list[str],
    gpus: int = 1,
    pretrained: bool = True,
) -> dict[str, str]:
    """Texts of ``detector.py``, ``sed.py``, ``supervised.py``, ``all.py`` if all labels are there, and ``study.py``.

    Args:
        data: The images and labels.
        classes: Names of the classes, in the order of the labelled file.
        folder: Where the configs will be.
        own: The detector.
        plan: Size, batch and iterations.
        training: Optimizer and learning rates.
        notes: Sentences for the head of ``sed.py``.
        gpus: Number of GPUs.
        pretrained: Whether the detector begins with weights.
    """
    kind = plan.preset if plan.preset == 'paper' or pretrained else 'scratch'
    runs = {name: (folder / file).as_posix() for name, file in runs_of(data).items()}
    values = dict(
        data_values(data, plan, own),
        **model_values(kind, own),
        **schedule_values(kind, plan, training, plan.batch * gpus),
        classes=classes,
        comment=commented(notes),
        bases=',\n'.join(
            f'    {name!r}' for name in ['./detector.py', *(name_of(base, folder) for base in BASES[kind])]
        ),
        name=folder.resolve().name,
        runs=', '.join(f'{name}=dict(config={path!r})' for name, path in runs.items()),
        command=study_command(folder, gpus),
        where=f', each run on {gpus} GPUs, for which the learning rates are' if gpus > 1 else '',
    )
    values['unlabeled_dataset'] = (LISTED if data.unlabeled_images else FOLDER).format(**values)
    texts = {'sed.py': SED, 'detector.py': DETECTOR, 'supervised.py': SUPERVISED}
    texts |= {'all.py': EVERYTHING} if data.everything else {}
    texts |= {'study.py': STUDY}
    comments = {'detector.py': commented(own.changes)}
    return {
        name: text.format(**{**values, 'comment': comments.get(name, values['comment'])})
        for name, text in texts.items()
    }


def data_values(data: OwnData, plan: Plan, own: OwnDetector) -> dict:
    """What the templates say of images, labels and pipelines."""
    steps = steps_of(plan, own.masks)
    place = '' if steps else '_base_.'
    return dict(
        vars(data),
        pipelines=PIPELINES.format(steps=assigned(steps, 'steps_of_mine')) if steps else '',
        sup=f'{place}sup_pipeline',
        unsup=f'{place}unsup_pipeline',
        test=f'{place}test_pipeline',
        metric=", metric=['bbox', 'segm']" if own.masks else '',
        ann_file=f'ann_file={data.names!r}, ' if data.names else '',
    )


def model_values(kind: str, own: OwnDetector) -> dict:
    """What the templates say of the detector and the losses."""
    views = views_of(kind, own)
    losses = '\n    scale_loss=_base_.unsupervised_loss,\n    distill_loss=_base_.unsupervised_loss,'
    pseudo_labels = pseudo_labels_of(kind, own)
    return dict(
        weights_of(kind, own),
        detector=own.source.name,
        imports=imports_of(own),
        views=f'\n    views={views!r},' if views else '',
        losses='' if kind == 'paper' else losses,
        pseudo_labels='\n    # weighed by lambda_p: docs/method.md\n    pseudo_labels=dict({}),'.format(
            ', '.join(f'{name}={value!r}' for name, value in pseudo_labels.items())
        )
        if pseudo_labels
        else '',
        lambda_p=weights_of_pseudo_labels(pseudo_labels),
        no_p=', lambda_p=0.0' if pseudo_labels else '',
        literal=write_literals(dict(model=typed(own.config))),
    )


def pseudo_labels_of(kind: str, own: OwnDetector) -> dict:
    """The options of pseudo-labels for a detector with which they were measured; empty for others."""
    if kind != 'small' or own.masks:
        return {}
    if own.config.get('roi_head'):
        return SURE
    return FOUND if (own.config.get('bbox_head') or {}).get('type') == 'RetinaHead' else {}


def weights_of_pseudo_labels(options: dict) -> str:
    """What LambdaScheduleHook says of pseudo-labels with these options."""
    if not options:
        return ''
    boxes = f',\n         pseudo_box_weight={BOXES_OF_FOUND}' if options is FOUND else ''
    return f', lambda_p={LAMBDA_P}{boxes}'


def schedule_values(kind: str, plan: Plan, training: Training, total: int) -> dict:
    """What the templates say of batches, iterations and learning rates; ``total`` labelled images make a step."""
    iters = plan.iters
    return dict(
        batch=plan.batch,
        workers=min(2 * plan.batch, os.cpu_count() or 1, 8),
        total=total,
        mixed=2 * total,
        iters=iters,
        alpha=alpha_of(kind, iters),
        optim_wrapper=assigned(dict(_delete_=True, **training.wrapper), 'optim_wrapper'),
        supervised_lr=training.supervised_lr,
        start=training.start,
        milestones=[plan.until(part) for part in training.milestones],
        interval=max(iters // 10, 500) if iters >= SHORT else ceil(iters / 4),
        logger=f', logger=dict(interval={ceil(iters / 20)})' if iters < SHORT else '',
        warmup=max(min(500, iters // 20), 2),
        burn_in=0 if kind == 'paper' else plan.until(BURN_IN),
    )


def alpha_of(kind: str, iters: int) -> str:
    """The schedule of the teacher's alpha; in a short training it averages over fewer iterations."""
    alpha = ALPHA if iters >= SHORT else round(max(1 - SHORT * (1 - ALPHA) / iters, 0), 4)
    if kind in LATE_ALPHA:
        return f"dict(type='StepAtDecay', start={alpha:g}, end={min(alpha, LATE_ALPHA[kind]):g})"
    return f"dict(type='Constant', value={alpha:g})"


def study_command(folder: Path, gpus: int) -> str:
    """The command that runs the study in ``folder``, each run on so many GPUs."""
    words = ['python', '-m', 'sssd', 'study', str(folder / 'study.py')]
    return shlex.join([*words, '--gpus-per-run', str(gpus)] if gpus > 1 else words)


def runs_of(data: OwnData) -> dict[str, str]:
    """The runs of the study and their files."""
    return dict(few='supervised.py', sed='sed.py', **({'all': 'all.py'} if data.everything else {}))


def weights_of(kind: str, own: OwnDetector) -> dict:
    """Weights of both losses: known ones, or the hook that finds them while training."""
    head = (own.config.get('bbox_head') or {}).get('type')
    known = LAMBDAS.get(kind) if kind == 'paper' or head == 'RetinaHead' else None
    scale, distill = known or (1.0, 1.0)
    hook = f",\n    dict(type='sssd.CalibrateLambdaHook', scale={RATIOS['scale']}, distill={RATIOS['distill']})"
    return dict(
        lambda_s=scale,
        lambda_d=distill,
        calibrate='' if known else hook,
        calibration='`python -m sssd calibrate` finds those for a ratio of gradients that you want'
        if known
        else 'CalibrateLambdaHook finds those with which their gradients have these ratios to that of the labels',
    )


def views_of(kind: str, own: OwnDetector) -> list[dict] | None:
    """SED's views, if the heads do not tell them: of a second stage the small preset takes the best rows alone."""
    if kind == 'paper' or own.views or not own.config.get('roi_head'):
        return own.views
    return [dict(type='DenseView', head='rpn_head'), dict(type='RoIView', max_rows=ROWS)]


def steps_of(plan: Plan, masks: bool) -> dict:
    """Options of the steps of the pipelines that differ from the bases'; none for the paper's size."""
    steps = {}
    if plan.preset == 'small':
        steps['RandomResize'] = dict(scale=plan.scale, ratio_range=JITTER)
        steps['Resize'] = dict(scale=plan.scale)
    elif plan.size != PAPER_SIZE:
        longer, shorter = plan.scale
        steps['RandomResize'] = dict(scale=[(longer, round(shorter * PAPER_LEAST)), (longer, shorter)])
        steps['Resize'] = dict(scale=plan.scale)
    if masks:
        steps['LoadAnnotations'] = dict(with_mask=True)
    return steps


def imports_of(own: OwnDetector) -> str:
    """What the config imports, if that is more than sssd."""
    names = ['sssd', *own.source.imports]
    return f'custom_imports = dict(imports={names!r}, allow_failed_imports=False)\n' if own.source.imports else ''


def assigned(value: dict, name: str) -> str:
    """A value as it stands behind ``name = ``, over several lines if need be."""
    return write_literals({name: value}).partition(' = ')[2].rstrip('\n')


def commented(sentences: list[str]) -> str:
    """Sentences as a list in comments."""
    lines = [
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, 116, initial_indent='- ', subsequent_indent='  ', break_on_hyphens=False)
    ]
    return '\n'.join(f'# {line}' for line in lines)


def name_of(config: str, folder: Path) -> str:
    """A config of this project as ``_base_`` names it from ``folder``.

    A relative path within a checkout, as MMEngine alone reads it; elsewhere its name in the package, which the commands
    of sssd look up.
    """
    here = Path(brought(config)).resolve()
    checkout = here.parents[len(Path(config).parts)]
    if (checkout / 'pyproject.toml').is_file() and folder.resolve().is_relative_to(checkout):
        return Path(os.path.relpath(here, folder.resolve())).as_posix()
    return config
