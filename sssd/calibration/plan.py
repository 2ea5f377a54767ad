"""Which lambdas of a model are calibrated, and by what."""

from collections.abc import Mapping
from dataclasses import dataclass

from mmengine.config import Config

from sssd.calibration.override import WEIGHTS as SCHEDULES
from sssd.calibration.override import first_value, is_hook
from sssd.detectors import SED, GuidedDetector
from sssd.errors import UserError
from sssd.hooks.calibrate_lambda import WEIGHTS
from sssd.registry import MODELS

#: The wanted ratio of a branch that has no other: 0.3 to 1 is where labels are still learnt.
RATIO = 0.5


@dataclass(frozen=True)
class Plan:
    """What a calibration does.

    Attributes:
        share: Whether the guidance's lambda is searched by its share of the loss.
        wanted: The wanted gradient ratio by branch, of those whose lambda follows from it.
        start_with: The config's own first value above 0 of every branch's lambda; 0 where there is none.
    """

    share: bool
    wanted: dict[str, float]
    start_with: dict[str, float]

    @property
    def lambdas(self) -> list[str]:
        """The weights that are going to be found."""
        return [*([WEIGHTS['guide']] if self.share else []), *(WEIGHTS[branch] for branch in self.wanted)]

    def measured_with(self, lambda_: float | None) -> dict[str, float]:
        """The weights while gradients are measured.

        Args:
            lambda_: What the search for the share found, if there was one.

        Returns:
            For SED's branches 1; for the guidance ``lambda_`` or the config's own, whose size decides how much its
            adapter learns meanwhile. 0 for branches that stay off, and for pseudo-labels whose weight is not looked
            for.
        """
        on = {branch for branch, own in self.start_with.items() if own and branch != 'pseudo'} | {*self.wanted}
        weights = {
            WEIGHTS[branch]: (own if branch == 'guide' and own else 1.0) if branch in on else 0.0
            for branch, own in self.start_with.items()
        }
        return weights if lambda_ is None else {**weights, WEIGHTS['guide']: lambda_}


def plan_of(cfg: Config, share: bool, ratio: float | None, named: Mapping[str, float | None]) -> Plan:
    """What to do for a config: by default a guidance's lambda by its share and SED's two lambdas by their ratios.

    Args:
        cfg: The complete config.
        share: Whether a share was asked for.
        ratio: The ratio asked for, for all branches.
        named: The ratio asked for by branch. A branch without weight in the config stays so unless it is named.

    Raises:
        UserError: If the model has no such branch, a ratio is no positive number, or nothing is left to do.
    """
    for option, value in {'--ratio': ratio, **{f'--{name}-ratio': value for name, value in named.items()}}.items():
        if value is not None and not 0 < value < float('inf'):
            raise UserError(f'{option} is {value:g}, but a ratio of gradient norms is above 0; try {RATIO:g}.')
    if any(is_hook(hook, 'CalibrateLambdaHook') for hook in cfg.get('custom_hooks') or []):
        raise UserError(
            'the config finds its lambdas while it trains, by CalibrateLambdaHook in custom_hooks: set the ratios '
            'there, or take the hook out to calibrate beforehand.'
        )
    named = {branch: value for branch, value in named.items() if value is not None}
    kind, branches = cfg.model.get('type'), branches_of(cfg)
    for branch in named:
        if branch not in branches:
            raise UserError(
                f'--{branch}-ratio is given, but the model of the config is {kind}, which has no such branch: '
                'sssd.SED has scale and distill, with pseudo_labels pseudo; sssd.GuidedDetector and SED with guidance '
                'have guide.'
            )
    if 'pseudo' in named:
        _refuse_range(cfg.model.get('pseudo_labels'))
    if share and 'guide' in branches and ('guide' in named or (ratio is not None and branches == ['guide'])):
        raise UserError('--share and a gradient ratio are both given for lambda_: give one of them.')
    own = {branch: own_value(cfg, branch) for branch in branches}
    # pseudo-labels have a loss of the supervised one's own kind, whose weight is looked for only if it is named
    unless_named = {'pseudo', *(['guide'] if share or ratio is None else [])}
    by_ratio = [branch for branch in branches if branch not in unless_named]
    wanted = {branch: ratio or RATIO for branch in by_ratio if own[branch]} | named
    if not branches and ratio is not None:
        raise UserError(f'--ratio is given, but the model of the config is {kind}: give one of sssd.SED.')
    searched = share or not branches or ('guide' in branches and 'guide' not in by_ratio and 'guide' not in named)
    if not searched and not wanted:
        raise UserError(
            'every lambda of the config is 0, so nothing is calibrated: name a branch, such as --scale-ratio '
            f'{RATIO:g}.'
        )
    return Plan(searched, wanted, own)


def _refuse_range(pseudo_labels: dict | None) -> None:
    """Refuse pseudo-labels whose score is found while training, from the highest down: few steps measure none."""
    score = (pseudo_labels or {}).get('score_thr')
    if isinstance(score, (list, tuple)):
        raise UserError(
            f'--pseudo-ratio is given, but score_thr of pseudo_labels is the range {list(score)}, in which training '
            'finds the score only later: give one score to measure with, or set lambda_p by hand.'
        )


def branches_of(cfg: Config) -> list[str]:
    """The branches that a config's model has beside its supervised loss, with a weight or without."""
    kind = MODELS.get(str(cfg.model.get('type')))
    if isinstance(kind, type) and issubclass(kind, SED):
        more = dict(pseudo='pseudo_labels', guide='guidance')
        return ['scale', 'distill', *(branch for branch, option in more.items() if cfg.model.get(option) is not None)]
    return ['guide'] if isinstance(kind, type) and issubclass(kind, GuidedDetector) else []


def own_value(cfg: Config, branch: str) -> float:
    """The first value above 0 of a branch's lambda in a config, 0 if there is none."""
    weight = WEIGHTS[branch]
    scheduled = [hook[weight] for hook in cfg.get('custom_hooks') or [] if is_hook(hook, SCHEDULES) and weight in hook]
    model = cfg.model.get('guidance', cfg.model) if branch == 'guide' else cfg.model
    return first_value(scheduled[-1] if scheduled else model.get(weight, 75.0 if branch == 'guide' else 1.0), weight)
