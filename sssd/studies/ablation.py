"""The SED paper's tables of ablations as studies over a data set of choice.

``configs/ablations/tables.py`` has the tables, one row a run; ``configs/ablations/RUN.py`` has what the run changes and
nothing else: the variable :data:`BASE` of the environment names the config that it changes. So a row is written once
and holds on every data set, whose study names the base (its run ``sed``), the baseline (``few``), the data and the
supervised start.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.places import brought, read_config
from sssd.registry import MODELS
from sssd.studies.lengths import longer
from sssd.studies.spec import RunSpec, StudySpec, load_config, load_spec, quiet
from sssd.studies.trial import Trial

TABLES = 'configs/ablations/tables.py'
#: The variable of the environment that names the config which an ablation changes.
BASE = 'SED_BASE'
#: Runs that a data set's study has itself: the base and its baseline; perhaps the reference with all labels.
OWN, REFERENCE = ('sed', 'few'), 'all'


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        run: The run, a config's name or one of :data:`OWN`.
        label: What the paper calls it.
        published: The paper's AP on COCO val2017; by the names of its tests where a row has several.
        skipped: Why the data set's detector cannot be trained so; empty if it can.
    """

    run: str
    label: str
    published: float | dict[str, float]
    skipped: str = ''


@dataclass
class Table:
    """A table over a data set: its rows, the study that trains them, and the tests of each trained run."""

    title: str
    data: str
    rows: list[Row]
    study: StudySpec = field(repr=False)
    shared: str = ''
    trials: list[Trial] = field(default_factory=list)

    def select(self, runs: Sequence[str] | None) -> list[str]:
        """The runs of these names that can be trained (None: all of them).

        Raises:
            UserError: If the table has no such row.
        """
        known = [row.run for row in self.rows]
        for run in runs or ():
            if run not in known:
                raise UserError(f'{self.title!r} has no row {run!r}; its rows are {", ".join(known)}.')
        return [row.run for row in self.rows if not row.skipped and (runs is None or row.run in runs)]

    def described(self) -> dict:
        """What a results file says of the table."""
        return dict(title=self.title, data=self.data, rows=[dict(vars(row)) for row in self.rows])


@dataclass(frozen=True)
class Budget:
    """How long and how precisely to train.

    Args:
        iters: Iterations of every run, the schedule stretched in proportion; None keeps the configs'.
        start_iters: Iterations of the shared start; None keeps the study's.
        amp: Mixed precision in bfloat16.
        quick: With the quick options of the data set's study.
        options: Config options by hand, over all others.

    Raises:
        UserError: If a number of iterations is below 1.
    """

    iters: int | None = None
    start_iters: int | None = None
    amp: bool = False
    quick: bool = False
    options: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value in (('--iters', self.iters), ('--start-iters', self.start_iters)):
            if value is not None and value < 1:
                raise UserError(f'{key} is {value}, but a run has at least one iteration.')

    def of_run(self, run: RunSpec, config: Config) -> RunSpec:
        """A run of this budget, whose full config without quick options is given."""
        options = {} if self.iters is None else stretched(config, self.iters)
        return self._over(run, options)

    def of_start(self, start: RunSpec) -> RunSpec:
        """The shared start of this budget."""
        keys = ('train_cfg.max_iters', 'train_cfg.val_interval')
        return self._over(start, {} if self.start_iters is None else dict.fromkeys(keys, self.start_iters))

    def _over(self, run: RunSpec, options: dict) -> RunSpec:
        precision = {'optim_wrapper.type': 'sssd.BFloat16OptimWrapper'} if self.amp else {}
        return replace(run, cfg_options={**run.cfg_options, **options, **precision, **self.options})


def stretched(config: Config, iters: int) -> dict:
    """Options that train a config for so many iterations: its schedule in proportion, one evaluation at the end."""
    options = longer(config, iters / config.train_cfg.max_iters)
    return {**options, 'train_cfg.max_iters': iters, 'train_cfg.val_interval': iters}


def load_table(name: str, data: str = 'toy', budget: Budget | None = None) -> Table:
    """A table of ablations over a data set.

    Args:
        name: ``table4``, ``table6``, ... as in ``configs/ablations/tables.py``.
        data: ``toy``, ``bccd``, ``coco``, or the path of a study with the runs ``sed`` and ``few``.
        budget: How long to train; default as the configs say.

    Raises:
        UserError: If the table or the data set is unknown.
    """
    budget = budget or Budget()
    known = read_config(TABLES, 'file of tables').to_dict()
    table = _look_up(known['tables'], name, 'table of ablations')
    places = {**known['data'], **table.get('data', {})}
    path = data if data.endswith('.py') else _look_up(places, data, 'data set for ablations')
    study, plain = load_spec(path, quick=budget.quick), load_spec(path)
    for run in OWN:
        if run not in study.runs:
            raise UserError(
                f'{path} has no run {run!r}: a data set for ablations names its base `sed` and its baseline `few`.'
            )
    rows, runs = [], {}
    for run, label, published in table['rows']:
        if run == REFERENCE and run not in study.runs:
            rows.append(Row(run, label, published, f'{path} has no run {run!r}.'))
            continue
        config = load_config(_run_of(known['folder'], plain, run), study.seeds[0])
        rows.append(Row(run, label, published, refusal(config)))
        if not rows[-1].skipped:
            runs[run] = budget.of_run(_run_of(known['folder'], study, run), config)
    data = Path(data).stem
    start = study.start and budget.of_start(study.start)
    spec = replace(study, name=f'ablation_{name}_{data}{"_quick" * budget.quick}', runs=runs, start=start, test=None)
    trials = _trials(table.get('sizes') or {})
    for run in runs.values():
        for trial in trials:
            trial.config_of(load_config(run, study.seeds[0]))  # refused now rather than after the training
    return Table(table['title'], data, rows, spec, study.name, trials)


def _trials(sizes: dict[str, float]) -> list[Trial]:
    """Tests at parts of the size that a config tests at, named as in the paper, and of their ensemble (Table 7)."""
    single = [Trial(name, (part,)) for name, part in sizes.items()]
    return [*single, Trial('ensemble', tuple(sizes.values()))] if sizes else []


def _look_up(known: dict, name: str, what: str):
    if name not in known:
        raise UserError(f'there is no {what} {name!r}; there are {", ".join(known)}.')
    return known[name]


def _run_of(folder: str, study: StudySpec, name: str) -> RunSpec:
    """The run of a row: the study's own, or a config of ablations over the study's base."""
    if name in (*OWN, REFERENCE):
        return study.runs[name]
    sed = study.runs['sed']
    base = sed.config if brought(sed.config) else str(Path(sed.config).resolve())
    return replace(sed, name=name, config=f'{folder}/{name}.py', env={**sed.env, BASE: base})


@torch.no_grad()
def refusal(config: Config) -> str:
    """Why a config's model cannot be trained at the largest s that it draws, or '' if it can.

    The model itself is asked: its views pair X and X^ of one blank image of the smallest padded size.
    """
    shift = max([hook['max_shift'] for hook in config.get('custom_hooks', []) if 'max_shift' in hook], default=1)
    if shift == 1:
        return ''
    init_default_scope(config.default_scope)
    with quiet(logging.WARNING):
        model = MODELS.build(config.model).eval()
    side = config.model.data_preprocessor.data_preprocessor.pad_size_divisor
    image, sample = torch.zeros(1, 3, side, side), DetDataSample(metainfo=dict(img_shape=(side, side)))
    full = model.run(model.student, image, [sample])
    try:
        small = model.run(model.student, shrink(image, shift), [sample], 2**shift)
        for view in model.views:
            view.scale_pair(full, small, shift)
    except UserError as error:
        return str(error)
    return ''
