"""configs/ablations: each row changes what it is about, nothing else, over every base; the tables are the paper's."""

import copy
from functools import cache

import pytest
from config_files import CONFIGS
from mmengine.registry import HOOKS, init_default_scope

from sssd.places import read_config
from sssd.registry import MODELS
from sssd.schedules import Progress
from sssd.studies.spec import environment, load_spec

FASTER = 'configs/sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py'
R18 = 'configs/sed/retinanet_r18_fpn_sed_180k_coco-10p.py'
TOY, BCCD = 'configs/ablations/toy_sed.py', 'configs/ablations/bccd_sed.py'
PAD = 'model.data_preprocessor.data_preprocessor.pad_size_divisor'
RATIOS = {f'train_dataloader.dataset.datasets.{i}.pipeline.2.ratio_range': (0.375, 1.5) for i in range(2)}


def weights(*kinds, reweight):
    """Options of losses with these weights."""
    return {f'model.{kind}_loss.reweight.type': reweight for kind in kinds}


#: What each row is about. `SoftLoss`, the default, is named where the base names no loss; a pad multiplies the base's.
ROWS = dict(
    scr={'custom_hooks.0.lambda_d': 0.0},
    scr_mean={'custom_hooks.0.lambda_d': 0.0, **weights('scale', 'distill', reweight='Mean')},
    distill={'custom_hooks.0.lambda_s': 0.0},
    distill_mean={'custom_hooks.0.lambda_s': 0.0, **weights('scale', 'distill', reweight='Mean')},
    hard_targets={'model.distill_loss.target': 'hard'},
    distill_wide_jitter={'custom_hooks.0.lambda_s': 0.0, **RATIOS},
    rate4={'custom_hooks.1.max_shift': 2, PAD: 2},
    rate8={'custom_hooks.1.max_shift': 3, PAD: 4},
    rate16={'custom_hooks.1.max_shift': 4, PAD: 8},
    alpha_cosine={'custom_hooks.2.alpha.type': 'Cosine', 'custom_hooks.2.alpha.start': 0.996},
    alpha_constant={'custom_hooks.2.alpha': 0.95},
    reweight_mean=weights('scale', 'distill', reweight='Mean'),
    reweight_ohem=weights('scale', 'distill', reweight='OHEM'),
    reweight_focal=weights('scale', 'distill', reweight='Focal'),
)
#: The paper's tables, written out here; (row, AP).
PUBLISHED = dict(
    table4=[
        ('few', 23.86),
        ('scr_mean', 26.80),
        ('scr', 30.10),
        ('distill_mean', 29.80),
        ('distill', 31.40),
        ('hard_targets', 29.50),
        ('sed', 34.00),
    ],
    table6=[('distill', 31.4), ('distill_wide_jitter', 32.0), ('sed', 34.0)],
    table7=[
        ('few', {'480': 22.9, '800': 24.1, '1200': 22.5, 'ensemble': 26.1}),
        ('all', {'480': 33.7, '800': 37.4, '1200': 36.8, 'ensemble': 38.9}),
        ('sed', {'480': 31.5, '800': 34.2, '1200': 33.0, 'ensemble': 34.8}),
    ],
    table8=[('distill', 23.0), ('sed', 26.1), ('rate4', 25.2), ('rate8', 23.1), ('rate16', 21.1)],
    table9=[('alpha_cosine', 33.0), ('sed', 34.1), ('alpha_constant', 32.0)],
    table10=[('reweight_mean', 30.1), ('reweight_ohem', 31.4), ('reweight_focal', 31.2), ('sed', 34.0)],
)
#: Parts of a config that training reads; names that a config file only helps itself with are none.
PARTS = ('model', 'custom_hooks', 'train_dataloader', 'val_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg')


def leaves(node, prefix=''):
    """Dotted keys and values below a node; tuples are values, an alpha too, so that it is seen to be replaced."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if children is None:
        return {prefix: node}
    found = {}
    for key, value in children:
        found.update(leaves(value, f'{prefix}.{key}' if prefix else str(key)))
    return found


@cache
def row(name, base):
    """The config of a row over a base, parsed once; do not change it. The base itself without a name."""
    if name is None:
        return read_config(base)
    with environment({'SED_BASE': base}):
        return read_config(f'configs/ablations/{name}.py')


@pytest.fixture(autouse=True)
def in_the_checkout(repo_root, monkeypatch):
    """Its configs are those of the present folder."""
    monkeypatch.chdir(repo_root)


def test_every_row_has_its_config_and_the_other_way_round():
    files = {path.stem for path in (CONFIGS / 'ablations').glob('*.py')}
    rows = {name for name in files if not name.endswith(('_study', '_sed', '_supervised', '_all'))}
    rows -= {'tables'}
    assert rows == set(ROWS)
    assert rows == {run for table in PUBLISHED.values() for run, _ in table} - {'few', 'sed', 'all'}
    assert all(3 <= len((CONFIGS / 'ablations' / f'{name}.py').read_text().splitlines()) <= 6 for name in rows)


def test_the_tables_are_the_paper_s():
    tables = read_config('configs/ablations/tables.py').tables
    assert {name: [(run, ap) for run, _, ap in table.rows] for name, table in tables.items()} == PUBLISHED


def test_without_a_choice_a_row_is_over_coco():
    for name, base in (('scr', FASTER), ('scr_mean', FASTER), ('rate4', R18)):
        assert read_config(f'configs/ablations/{name}.py').to_dict() == row(name, base).to_dict()


@pytest.mark.parametrize('base', [FASTER, TOY, BCCD])
@pytest.mark.parametrize('name', ROWS)
def test_a_row_changes_what_it_is_about_and_nothing_else(name, base):
    configs = [config.to_dict() for config in (row(None, base), row(name, base))]
    before, after = (leaves({part: config[part] for part in PARTS}) for config in configs)
    changed = {key: value for key, value in after.items() if before.get(key, '-') != value}
    expected = dict(ROWS[name])
    if PAD in expected:
        expected[PAD] *= before[PAD]
    if name == 'distill_wide_jitter' and base == FASTER:
        expected.update({key.replace('ratio_range', 'scale'): (1333, 800) for key in RATIOS})
    named = {key: value for key, value in changed.items() if key.endswith('_loss.type')}
    assert set(named.values()) <= {'SoftLoss'} and not (named and base in (TOY, BCCD))
    assert {key: value for key, value in changed.items() if key not in named} == expected


def test_a_row_keeps_the_hooks_that_its_base_has_besides(tmp_path):
    """As what `sssd init` writes has: without CalibrateLambdaHook a row would train with other weights than others."""
    own = tmp_path / 'own_sed.py'
    added = "custom_hooks = [*_base_.custom_hooks, dict(type='sssd.CalibrateLambdaHook', distill=0.6)]"
    own.write_text(f"_base_ = '{(CONFIGS / 'ablations/toy_sed.py').as_posix()}'\n{added}\n")
    with environment({'SED_BASE': str(own)}):
        for name in ROWS:
            hooks = read_config(f'configs/ablations/{name}.py').custom_hooks
            assert [hook.type for hook in hooks][-1] == 'sssd.CalibrateLambdaHook' and len(hooks) == 4, name


@pytest.mark.parametrize('name', ROWS)
def test_the_hooks_of_a_row_hold_its_values(name):
    cfg = copy.deepcopy(row(name, TOY))
    init_default_scope(cfg.default_scope)
    lambdas, draw, teacher = (HOOKS.build(hook) for hook in cfg.custom_hooks)
    assert draw.max_shift == ROWS[name].get('custom_hooks.1.max_shift', 1)
    zero = [key for key in ('lambda_s', 'lambda_d') if lambdas.schedules[key](Progress(0, 10)) == 0]
    assert zero == [key[-8:] for key in ROWS[name] if '.lambda_' in key]
    alphas = tuple(teacher.alpha(Progress(*at)) for at in ((0, 9), (9, 9, 0.1)))
    assert alphas == {'alpha_cosine': (0.996, 0.9), 'alpha_constant': (0.95, 0.95)}.get(name, (0.99, 0.9))


@pytest.mark.parametrize('name', [name for name in ROWS if any('_loss.' in key for key in ROWS[name])])
def test_the_losses_of_a_row_hold_its_values(name):
    cfg = copy.deepcopy(row(name, TOY))
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    kind = ROWS[name].get('model.distill_loss.reweight.type', 'Histogram')
    losses = [*model.scale_losses.values(), *model.distill_losses.values()]
    assert {type(loss.reweight).__name__ for loss in losses} == {kind}
    assert [loss.target for loss in losses] == ['soft', ROWS[name].get('model.distill_loss.target', 'soft')]


@pytest.mark.parametrize('data', ['toy', 'bccd'])
def test_small_bases_are_the_small_sets_own_with_a_fall_of_the_learning_rate(data):
    folder = dict(toy='quickstart', bccd='bccd')[data]
    for kind in ('sed', 'supervised', 'all'):
        plain, falls = (
            read_config(f'configs/{name}.py') for name in (f'{folder}/retinanet_{kind}', f'ablations/{data}_{kind}')
        )
        assert all(plain[part] == falls[part] for part in PARTS if part != 'param_scheduler')
        assert falls.param_scheduler[:-1] == plain.param_scheduler
        fall, total = falls.param_scheduler[-1], plain.train_cfg.max_iters
        assert (fall.type, fall.end, fall.milestones, fall.gamma) == ('MultiStepLR', total, [2 * total // 3], 0.1)


@pytest.mark.parametrize(
    'data, data_type', [('toy', 'toy'), ('bccd', 'splits'), ('coco', 'splits'), ('coco_r18', 'splits')]
)
def test_studies_of_the_data_sets(data, data_type):
    spec = load_spec(f'configs/ablations/{data}_study.py')
    assert spec.name == data and spec.data['type'] == data_type
    assert (spec.start is None) == data.startswith('coco')
    if spec.start is None:
        assert {run.environment_for(4).get('FOLD') for name, run in spec.runs.items() if name != 'all'} == {'4'}
        assert all(('r18' in run.config) == (data == 'coco_r18') for run in spec.runs.values())
        assert all(run.cfg_options['auto_scale_lr.enable'] for run in spec.runs.values())


def test_the_docs_name_every_row_and_its_number(repo_root):
    text = (repo_root / 'docs' / 'reproduction.md').read_text()
    for table in (table for name, table in PUBLISHED.items() if name != 'table7'):
        for run, ap in table:
            lines = [line for line in text.splitlines() if f'`{run}.py`' in line or run in ('sed', 'few')]
            assert any(f'| {ap:.1f} |' in line or f'| {ap:.2f} |' in line for line in lines), (run, ap)
    for _, aps in PUBLISHED['table7']:
        assert f'| {" | ".join(map(str, aps.values()))} |' in text


def test_the_reference_on_coco_is_the_same_for_every_fold(monkeypatch):
    run = load_spec('configs/ablations/coco_study.py').runs['all']
    monkeypatch.setenv('FOLD', '3')
    with environment(run.environment_for(1)):
        assert read_config(run.config).fold == '1'
