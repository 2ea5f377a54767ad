"""Scale-Equivalent Distillation (SED): one detector class for every mmdet detector."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.detectors import SemiBaseDetector
from mmdet.models.utils import rename_loss_dict
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import SampleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sssd.detectors.branch_gradients import BranchGradients
from sssd.detectors.gradient_ratios import MeasuresGradients, shared_parameters
from sssd.detectors.guidance import DISTILL, CarriesGuidance, build_guidance, own_losses
from sssd.detectors.pseudo_labels import pseudo_labels_of
from sssd.detectors.sizes import require_one_size
from sssd.detectors.whole_losses import whole_losses
from sssd.errors import UserError, require_weights
from sssd.hooks.recompute import contexts
from sssd.losses import share_above_half, sum_of, total_of
from sssd.registry import LOSSES, MODELS
from sssd.views import Pass, PredictionView, View, build_views


class Passes(NamedTuple):
    """What a step compares: the student's passes over the strong view, X and X^, and the teacher's over X'.

    X is the strong view or the weak one; X and X^ are None where Eq. 2 is off, what else nothing needs is None too.
    """

    strong: Pass | None
    full: Pass | None
    small: Pass | None
    weak: Pass | None


@MODELS.register_module()
class SED(CarriesGuidance, MeasuresGradients, SemiBaseDetector):
    """A student trained by labels, by its own predictions at half size, and by its moving average (Sec. 3).

    ``L = L_sup + (n_u / n_s) (lambda_s L_scale + lambda_d L_distill)``  (Eq. 1)

    Inputs come in mmdet's three branches: ``sup`` (labelled), ``unsup_teacher`` (the weak view X') and
    ``unsup_student`` (the strong view X, of the same geometry). The scaled view X^ is made here from the batch.
    A batch without the unsupervised branches is trained by its labels alone, and so is every batch while both
    lambdas are 0: that is the supervised baseline, with a moving average of its own.

    With ``guidance`` the labelled branch carries a label-guided teacher (SSSD, LGD, LabelEnc): L_sup is then the
    L_total of :class:`~sssd.detectors.Guidance`. Student and teacher stay plain detectors; the moving average and the
    predictions know nothing of it.

    With ``pseudo_labels`` a third term, ``lambda_p L_pseudo``, stands beside the two: the boxes that the teacher is
    sure of as labels of the strong view, mmdet's way. It is no part of the paper.

    ``lambda_s``, ``lambda_d`` and ``shift``, with pseudo-labels also ``lambda_p`` and ``pseudo_box_weight``, with
    guidance ``lambda_`` and ``student_grad``, are attributes that hooks set
    (:class:`~sssd.hooks.LambdaScheduleHook`, :class:`~sssd.hooks.ScaleDrawHook`).

    The unlabelled branch is computed first, and by default its backward pass is over before the labelled one begins
    (``backward='branch'``), so a step needs hardly more memory than a supervised one. What the loss terms say is the
    same; their gradients are carried by one of the unsupervised ones, whose sum alone can be differentiated. So it is,
    too, where gradient ratios are measured: Eq. 2's part of the gradient is kept apart on the way.

    Args:
        detector: Config of any mmdet detector; student and teacher are both made from it.
        views: Configs of the prediction views; None takes one for every head of the detector.
        scale_loss: Config of the loss of Eq. 2; default :class:`~sssd.losses.SoftLoss`. Always soft.
        distill_loss: Config of the loss of Eq. 3; default :class:`~sssd.losses.SoftLoss`.
        lambda_s: Weight of Eq. 2 until a hook sets another.
        lambda_d: Weight of Eq. 3 until a hook sets another.
        scale_view: ``'strong'`` or ``'weak'``: which view is X in Eq. 2.
        scale_target: What is learnt from in Eq. 2. ``'each'``: X and X^ from each other, as in the paper. Ours:
            ``'full'``, X^ alone learns, from X; ``'teacher'``, X^ alone, from the teacher's X' (without scale_view).
        backward: ``'branch'``, branch by branch. ``'lean'``, the same with X^ sent through backbone and neck a second
            time, for the least memory. ``'joint'``, all at once, with the activations of all passes alive. Gradients
            are equal up to rounding.
        guidance: Options of :class:`~sssd.detectors.Guidance`, ``dict()`` for its defaults; None is SED alone.
        pseudo_labels: Options of :class:`~sssd.detectors.PseudoLabels`, ``dict()`` for its defaults; None is the paper.
        lambda_p: Weight of the pseudo-labels' losses until a hook sets another.
        semi_test_cfg: As in mmdet; ``predict_on`` is ``'teacher'`` by default. With guidance it may be ``'guide'``:
            the label-guided teacher on the student's features, which needs labels (``sssd test``; while it trains,
            mmdet's loop evaluates teacher and student).
        data_preprocessor: ``MultiBranchDataPreprocessor`` config.
        init_cfg: As in mmdet.

    Raises:
        UserError: If a view or the guidance refuses the detector, an option is unknown or a weight is below 0.
    """

    #: What float16's wrapper multiplies losses by, while it does.
    loss_scale: Tensor | None = None

    def __init__(
        self,
        detector: dict,
        views: Sequence[dict] | None = None,
        scale_loss: dict | None = None,
        distill_loss: dict | None = None,
        lambda_s: float = 1.0,
        lambda_d: float = 1.0,
        scale_view: str = 'strong',
        scale_target: str = 'each',
        backward: str = 'branch',
        guidance: dict | None = None,
        pseudo_labels: dict | None = None,
        lambda_p: float = 1.0,
        semi_test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        # Not SemiBaseDetector's constructor: it builds twice from one dict, which DETR-like detectors change.
        super(SemiBaseDetector, self).__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.student = MMDET_MODELS.build(copy.deepcopy(detector))
        self.teacher = copy.deepcopy(self.student)
        self.freeze(self.teacher)
        self.semi_train_cfg = dict(freeze_teacher=True)
        self.semi_test_cfg = dict(predict_on='teacher') if semi_test_cfg is None else semi_test_cfg
        if scale_view not in ('strong', 'weak'):
            raise UserError(f'SED: scale_view is {scale_view!r}; use strong (the default) or weak.')
        if scale_target not in ('each', 'full', 'teacher'):
            raise UserError(f'SED: scale_target is {scale_target!r}; use each (the default), full or teacher.')
        if backward not in ('branch', 'lean', 'joint'):
            raise UserError(f'SED: backward is {backward!r}; use branch (the default), lean or joint.')
        require_weights('SED', lambda_s=lambda_s, lambda_d=lambda_d, lambda_p=lambda_p)
        self.scale_view, self.scale_target, self.backward = scale_view, scale_target, backward
        self.views: list[View] = build_views(self.student, views)
        self.scale_losses = nn.ModuleDict({view.name: build_loss(scale_loss) for view in self.views})
        self.distill_losses = nn.ModuleDict({view.name: build_loss(distill_loss) for view in self.views})
        self.lambda_s, self.lambda_d, self.shift = lambda_s, lambda_d, 1
        self.pseudo_labels = pseudo_labels_of(self.student, pseudo_labels)
        if self.pseudo_labels is not None:
            self.lambda_p = lambda_p
        self.guidance = None if guidance is None else build_guidance(self.student, guidance)

    def init_weights(self) -> None:
        """Initialise the student and copy it to the teacher, buffers included."""
        super().init_weights()
        self.teacher.load_state_dict(self.student.state_dict())

    def train(self, mode: bool = True) -> 'SED':
        """Set the student's mode; the teacher is always evaluated."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, multi_batch_inputs: dict[str, Tensor], multi_batch_data_samples: dict[str, SampleList]) -> dict:
        """Eq. 1, term by term, with the figures that tell whether training is healthy.

        Args:
            multi_batch_inputs: Padded, normalised batches (n, 3, H, W) by branch.
            multi_batch_data_samples: Their data samples by branch.

        Returns:
            Loss terms; entries whose name has no ``loss`` in it are logged only. ``unsup_over_sup`` and, where they
            are measured, ``scale_grad_ratio``, ``distill_grad_ratio``, ``pseudo_grad_ratio`` and ``guide_grad_ratio``
            are relative to the student's own losses on the labelled images, with guidance or without.
            ``pseudo_score_thr`` is the score of a pseudo-label where it is found while training.
        """
        unsupervised, health, found, gradients = {}, {}, {}, None
        if 'unsup_student' in multi_batch_inputs and any(self.weights().values()):
            gradients = self.branch_gradients()
            unsupervised, health = self.unsupervised_losses(multi_batch_inputs, multi_batch_data_samples, gradients)
        losses = self.supervised_loss(multi_batch_inputs['sup'], multi_batch_data_samples['sup'])
        supervised = sum_of(own_losses(losses, 'sup_'))
        if gradients is not None:  # made last they are differentiated first: each of the labels' is added as it comes
            first = next(iter(unsupervised))
            unsupervised[first] = gradients.carried(unsupervised[first])
        if unsupervised:
            ratio = len(multi_batch_inputs['unsup_student']) / len(multi_batch_inputs['sup'])
            unsupervised = {name: ratio * term for name, term in unsupervised.items()}
            if gradients is not None and gradients.parts is not None:
                found = {dict(rest='distill').get(name, name): ratio * row for name, row in gradients.parts.items()}
            health['unsup_over_sup'] = total_of(unsupervised) / supervised.detach().clamp(min=1e-6)
        losses.update(unsupervised)
        if self.weights()['pseudo'] > 0 and self.pseudo_labels.sure is not None:
            labelled = [len(sample.gt_instances) for sample in multi_batch_data_samples['sup']]
            health['pseudo_score_thr'] = self.pseudo_labels.sure.update(labelled)
        branches = {name: found.get(name, total) for name, total in self.branches(losses).items()}
        return {**losses, **health, **self.gradient_ratios(self.student, supervised, branches)}

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> SampleList:
        """Detections of the teacher, or of what else ``predict_on`` of ``semi_test_cfg`` says.

        Raises:
            UserError: If that is the guide, and there is none, or a sample has no labels.
        """
        if self.semi_test_cfg.get('predict_on') != 'guide':
            return super().predict(batch_inputs, batch_data_samples)
        if self.guidance is None:
            raise UserError("SED: predict_on of semi_test_cfg is 'guide', but this model has no guidance.")
        return self.guidance.predict(self.student, batch_inputs, batch_data_samples)

    def branch_gradients(self) -> BranchGradients | None:
        """Where the unlabelled branch's gradients are kept; None if its graph is to stay for one backward pass.

        It stays in float16 under a wrapper other than :class:`~sssd.optim.Float16OptimWrapper`, which does not tell
        its loss scale: small gradients would be lost. And with mmdet's own activation checkpointing, of PyTorch's
        reentrant kind, which knows but that one backward pass.
        """
        device = next(self.parameters()).device.type
        unscaled = self.loss_scale is None and torch.is_autocast_enabled(device)
        if (
            self.backward == 'joint'
            or not torch.is_grad_enabled()
            or torch.compiler.is_compiling()
            or any(getattr(part, key, 0) > 0 for part in self.student.modules() for key in ('with_cp', 'num_cp'))
            or (unscaled and torch.get_autocast_dtype(device) == torch.float16)
        ):
            return None
        measured = shared_parameters(self.student, self.measured_parts) if self.measure_gradients else []
        return BranchGradients([value for value in self.parameters() if value.requires_grad], self.loss_scale, measured)

    def branches(self, losses: dict) -> dict[str, Tensor | None]:
        """Totals of the terms beside the student's own, for those that have a weight; None where a batch has none."""
        parts = {kind: of_kind(losses, kind) for kind, weight in self.weights().items() if weight > 0}
        if self.guidance is not None and self.lambda_ > 0:
            parts['guide'] = {DISTILL: losses[f'sup_{DISTILL}']}
        return {name: sum_of(terms) if terms else None for name, terms in parts.items()}

    def supervised_loss(self, inputs: Tensor, samples: SampleList) -> dict:
        """L_sup: the student's own losses on the labelled images, and the guidance's if any, prefixed ``sup_``."""
        if self.guidance is None:
            losses = whole_losses(self.student, inputs, samples)
        else:
            losses = self.guidance.loss(self.student, inputs, samples)
        return rename_loss_dict('sup_', losses)

    def unsupervised_losses(
        self, inputs: dict[str, Tensor], samples: dict[str, SampleList], gradients: BranchGradients | None = None
    ):
        """lambda_s L_scale and lambda_d L_distill over all views, and the share of confident teacher rows.

        With ``gradients`` the terms are values alone: they are differentiated, and what was found waits there to be
        carried.
        """
        passes, losses, health = self.passes(inputs, samples, gradients), {}, {}
        makers = self.term_makers(inputs, samples)
        for place, make in enumerate(makers, start=1):
            terms = make(passes, health, gradients)
            if gradients is not None:
                if place == len(makers):
                    del passes  # features and rows go before gradients come
                parts = {kind: of_kind(terms, kind) for kind in ('scale', 'pseudo')}  # Eq. 3's is the rest
                gradients.add(sum_of(terms), **{kind: sum_of(part) for kind, part in parts.items() if part})
                del parts
                terms = {name: term.detach() for name, term in terms.items()}
            losses.update(terms)
            del terms
        if gradients is not None:
            gradients.finish()
        return losses, health

    def term_makers(self, inputs: dict[str, Tensor], samples: dict[str, SampleList]) -> list[Callable]:
        """What makes the terms that have a weight, of a step's passes: lambda_p L_pseudo, and those of every view."""
        weights, makers = self.weights(), []
        if weights['pseudo'] > 0:
            makers.append(partial(self.pseudo_label_losses, inputs, samples))
        if weights['scale'] > 0 or weights['distill'] > 0:
            makers += [partial(self.view_losses, view) for view in self.views]
        return makers

    @property
    def pseudo_box_weight(self) -> float:
        """``box_weight`` of the pseudo-labels."""
        return self.pseudo_labels.box_weight

    @pseudo_box_weight.setter
    def pseudo_box_weight(self, value: float) -> None:
        self.pseudo_labels.box_weight = value

    def weights(self) -> dict[str, float]:
        """Weights of the unsupervised terms by kind."""
        pseudo = 0.0 if self.pseudo_labels is None else self.lambda_p
        return dict(scale=self.lambda_s, distill=self.lambda_d, pseudo=pseudo)

    def pseudo_label_losses(
        self, inputs: dict[str, Tensor], samples: dict[str, SampleList], passes: Passes, *_
    ) -> dict[str, Tensor]:
        """lambda_p L_pseudo, term by term."""
        terms = self.pseudo_labels.losses(inputs, samples['unsup_student'], passes.strong, passes.weak)
        return {name: self.lambda_p * term for name, term in terms.items()}

    def passes(
        self, inputs: dict[str, Tensor], samples: dict[str, SampleList], gradients: BranchGradients | None = None
    ) -> Passes:
        """The passes of a step that have a weight, those of the student cut at their features for ``gradients``."""
        strong = full = small = weak = None
        by_teacher = self.lambda_s > 0 and self.scale_target == 'teacher'
        targets = self.lambda_d > 0 or self.weights()['pseudo'] > 0
        x = 'unsup_student' if by_teacher or self.scale_view == 'strong' else 'unsup_teacher'
        if targets or (x == 'unsup_student' and not by_teacher):
            strong = self.run(self.student, inputs['unsup_student'], samples['unsup_student'], 1, gradients)
        if self.lambda_s > 0:
            full = strong if x == 'unsup_student' else self.run(self.student, inputs[x], samples[x], 1, gradients)
            small = self.run(self.student, shrink(inputs[x], self.shift), samples[x], 2**self.shift, gradients)
        if by_teacher or targets:
            require_one_size(inputs, samples)
            with torch.no_grad():
                weak = self.run(self.teacher, inputs['unsup_teacher'], samples['unsup_teacher'])
        return Passes(strong, weak if by_teacher else full, small, weak)

    def view_losses(
        self, view: View, passes: Passes, health: dict, gradients: BranchGradients | None = None
    ) -> dict[str, Tensor]:
        """The weighted terms of one view; the share of confident rows of its teacher is put into ``health``.

        With ``gradients``, rows of the student's passes other than the strong view's are cut for them.
        """
        losses = {}
        if passes.small is not None:
            pair = view.scale_pair(passes.full, passes.small, self.shift)
            if self.scale_target != 'each':
                pair = (pair[0].detached(), pair[1])
            if gradients is not None:
                runs = (passes.full, passes.small)
                pair = (rows if run is passes.strong else cut(rows, gradients) for run, rows in zip(runs, pair))
            terms = self.scale_losses[view.name].scale(*pair)
            losses.update(named(view, 'scale', self.lambda_s, terms))
        if self.lambda_d > 0:
            with_grad, target = view.distill_pair(passes.strong, passes.weak)
            terms = self.distill_losses[view.name].distill(with_grad, target)
            losses.update(named(view, 'distill', self.lambda_d, terms))
            health[f'{view.name}_teacher_above_half'] = share_above_half(target.logits, target.activation, target.valid)
        return losses

    def run(
        self,
        detector: nn.Module,
        inputs: Tensor,
        samples: SampleList,
        factor: int = 1,
        gradients: BranchGradients | None = None,
    ) -> Pass:
        """Features of one batch through one detector.

        Args:
            detector: Student or teacher.
            inputs: Batch (n, 3, H, W).
            samples: Data samples of the batch at full size.
            factor: How much smaller than full size the batch is.
            gradients: What the pass is cut for, at its features. With ``backward='lean'`` one of less than full size
                keeps its input alone and is computed again when its turn comes: it waits while a full one is alive.
        """
        metas = [
            dict(sample.metainfo, img_shape=tuple(side / factor for side in sample.img_shape[:2])) for sample in samples
        ]
        if gradients is None:
            feats = detector.extract_feat(inputs)
        elif factor == 1 or self.backward != 'lean':
            feats = gradients.cut(detector.extract_feat(inputs))
        else:
            kept = dict(use_reentrant=False, context_fn=partial(contexts, detector))
            feats = gradients.cut(checkpoint(detector.extract_feat, inputs, **kept))
        return Pass(detector, feats, metas, tuple(inputs.shape[-2:]))


def build_loss(config: dict | None) -> nn.Module:
    """An unsupervised loss from its config; None is :class:`~sssd.losses.SoftLoss` with its defaults."""
    return LOSSES.build(dict(config or dict(type='SoftLoss')))


def shrink(images: Tensor, shift: int) -> Tensor:
    """X^ from X (Sec. 3.1): 1/2**shift of the size, anti-aliased bilinear, (n, 3, H, W) to (n, 3, H/2^s, W/2^s).

    Halving is repeated, so that shrinking by s and then by t is shrinking by s + t.

    Raises:
        UserError: If a side is no multiple of 2**shift.
    """
    if any(side % 2**shift for side in images.shape[-2:]):
        raise UserError(
            f'SED: a batch of {tuple(images.shape[-2:])} pixels cannot be shrunk by 2**{shift}; set '
            f'pad_size_divisor of the data preprocessor to a multiple of {2**shift}, 64 for S=1.'
        )
    for _ in range(shift):
        images = F.interpolate(images, scale_factor=0.5, mode='bilinear', antialias=True)
    return images


def named(view: View, kind: str, weight: float, terms) -> dict[str, Tensor]:
    """Weighted terms of one view as entries of the log, such as ``rpn_loss_scale_cls``."""
    score, box = terms
    return {f'{view.name}_loss_{kind}_cls': weight * score, f'{view.name}_loss_{kind}_bbox': weight * box}


def of_kind(losses: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The terms of one kind among those that :func:`named` names."""
    return {name: term for name, term in losses.items() if f'_loss_{kind}_' in name}


def cut(rows: PredictionView, gradients: BranchGradients) -> PredictionView:
    """Rows without their graph, which waits until the gradients of others have come."""
    logits, boxes = gradients.cut_rows(rows.logits, rows.boxes)
    return replace(rows, logits=logits, boxes=boxes)
