"""Lambdas that are found while training: the wanted ratio is there, stays, and survives a resume."""

import guided
import pytest
import tiny
from mmengine.hooks import CheckpointHook, Hook

from sssd.errors import UserError
from sssd.hooks import CalibrateLambdaHook, EMATeacherHook, GradientRatioHook, LambdaScheduleHook


class Log(Hook):
    """The weights that each iteration had, and the ratios where they were measured."""

    priority = 'LOW'

    def __init__(self):
        self.weights, self.ratios = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.weights.append((runner.model.lambda_s, runner.model.lambda_d))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.ratios.append({key: float(value) for key, value in outputs.items() if key.endswith('grad_ratio')})


def trained(folder, hooks, iterations=5, same=True, lr=0.0, weights=None, **options):
    """SED on one batch again and again, with a rate of 0: every iteration is the same but for the weights."""
    log = Log()
    data = [tiny.make_batch(seed=0 if same else seed) for seed in range(iterations)]
    schedule = LambdaScheduleHook(**(weights or dict(lambda_s=1.0, lambda_d=1.0)))
    runner = tiny.make_runner(
        tiny.sed_config(tiny.retinanet()),
        data,
        folder,
        iterations,
        hooks=[schedule, EMATeacherHook(alpha=0.5), GradientRatioHook(interval=1), *hooks, log],
        lr=lr,
        **options,
    )
    runner.train()
    return log, runner


def test_a_branch_pulls_as_hard_as_wanted_from_the_second_iteration_on(tmp_path):
    log, _ = trained(tmp_path, [CalibrateLambdaHook(scale=0.3, distill=0.6)])
    assert log.weights[0] == (1.0, 1.0)
    first = log.ratios[0]
    assert abs(first['scale_grad_ratio'] - 0.3) > 0.02 and abs(first['distill_grad_ratio'] - 0.6) > 0.02
    for ratios, (scale, distill) in zip(log.ratios[1:], log.weights[1:]):
        assert ratios == pytest.approx(dict(scale_grad_ratio=0.3, distill_grad_ratio=0.6), rel=1e-3)
        assert scale == pytest.approx(0.3 / first['scale_grad_ratio'], rel=1e-3)
        assert distill == pytest.approx(0.6 / first['distill_grad_ratio'], rel=1e-3)


def test_a_branch_that_is_not_named_keeps_its_weight(tmp_path):
    log, _ = trained(tmp_path, [CalibrateLambdaHook(distill=0.6)])
    assert {scale for scale, _ in log.weights} == {1.0} and len({distill for _, distill in log.weights}) > 1


def test_the_weight_of_the_schedule_multiplies(tmp_path):
    """Off in the burn-in, half of the ratio at half of the weight."""
    log, _ = trained(
        tmp_path, [CalibrateLambdaHook(distill=0.6)], weights=dict(burn_in=2, lambda_s=0.0, lambda_d=0.5), iterations=6
    )
    assert [distill for _, distill in log.weights[:3]] == [0.0, 0.0, 0.5]
    assert [row['distill_grad_ratio'] for row in log.ratios[3:]] == pytest.approx([0.3] * 3, rel=1e-3)


def test_the_weight_stays_after_the_measurements_and_moves_on_with_hold(tmp_path):
    for hold in (False, True):
        hook = CalibrateLambdaHook(batches=3, hold=hold, interval=1, distill=0.6)
        log, runner = trained(tmp_path / str(hold), [hook], 8, same=False, lr=0.02)
        late = [distill for _, distill in log.weights[3:]]
        assert len(set(log.weights[:4])) == 4
        assert len(set(late)) == (len(late) if hold else 1)
        assert not runner.model.measure_gradients


def test_the_weight_is_found_anew_once_the_branch_has_settled(tmp_path):
    hook = CalibrateLambdaHook(batches=2, settle=3, distill=0.6)
    log, _ = trained(tmp_path, [hook], 10, same=False, lr=0.02)
    found = [distill for _, distill in log.weights]
    first, second = found[2], found[7]
    assert found[:2] == [1.0, pytest.approx(0.6 / log.ratios[0]['distill_grad_ratio'], rel=1e-3)]
    assert found[2:7] == [first] * 5 and found[7:] == [second] * 3 and second != first
    # the second time by iterations 5 and 6 alone, whatever the first ones were
    late = [row['distill_grad_ratio'] / first for row in log.ratios[5:7]]
    assert min(0.6 / value for value in late) <= second <= max(0.6 / value for value in late)


def test_a_weight_of_the_first_iterations_stays_if_told_so(tmp_path):
    log, _ = trained(tmp_path, [CalibrateLambdaHook(batches=2, settle=0, distill=0.6)], 8, same=False, lr=0.02)
    assert len({distill for _, distill in log.weights[2:]}) == 1


@pytest.mark.parametrize('at', [3, 6])
def test_a_resume_before_and_while_it_is_found_anew(tmp_path, at):
    hooks = [dict(type='sssd.CalibrateLambdaHook', batches=2, settle=3, distill=0.6)]
    saving = dict(checkpoint=CheckpointHook(by_epoch=False, interval=at))
    options = dict(same=False, lr=0.02)
    whole, _ = trained(tmp_path / 'whole', hooks, 9, **options)
    trained(tmp_path / 'part', hooks, at, default_hooks=saving, **options)
    file = str(tmp_path / f'part/iter_{at}.pth')
    again, _ = trained(tmp_path / 'on', hooks, 9, load_from=file, resume=True, **options)
    late = [distill for _, distill in whole.weights[at:]]
    assert [distill for _, distill in again.weights] == pytest.approx(late) and len(set(late)) > 1


def test_the_mean_over_batches_is_that_of_the_norms(tmp_path):
    hook = CalibrateLambdaHook(batches=3, distill=0.6)
    log, _ = trained(tmp_path, [hook], 4, same=False)
    assert hook.means['distill'][0] == 3
    branch = sum(row['distill_grad_ratio'] / weight for row, (_, weight) in zip(log.ratios[:3], log.weights)) / 3
    # every batch has its own supervised norm, so the ratio of means is near the mean of ratios, not equal to it
    assert log.weights[3][1] == pytest.approx(0.6 / branch, rel=0.2)


def test_what_is_logged_is_what_the_iteration_had(tmp_path):
    log, runner = trained(tmp_path, [CalibrateLambdaHook(distill=0.6)])
    logged = runner.message_hub.get_scalar('train/lambda_d').data[0].tolist()
    assert logged == pytest.approx([distill for _, distill in log.weights])


def test_a_resume_goes_on_and_a_start_from_weights_begins_anew(tmp_path):
    saving = dict(checkpoint=CheckpointHook(by_epoch=False, interval=3))
    options = dict(same=False, lr=0.02)
    whole, _ = trained(tmp_path / 'whole', [CalibrateLambdaHook(batches=5, distill=0.6)], 6, **options)
    trained(tmp_path / 'part', [CalibrateLambdaHook(batches=5, distill=0.6)], 3, default_hooks=saving, **options)
    file = str(tmp_path / 'part/iter_3.pth')
    again, _ = trained(
        tmp_path / 'on', [CalibrateLambdaHook(batches=5, distill=0.6)], 6, load_from=file, resume=True, **options
    )
    assert again.weights[0] == pytest.approx(whole.weights[3]) and again.weights[0] != (1.0, 1.0)
    new, _ = trained(tmp_path / 'new', [CalibrateLambdaHook(batches=5, distill=0.6)], 2, load_from=file, **options)
    assert new.weights[0] == (1.0, 1.0)


def test_a_batch_without_unlabelled_images_tells_nothing(tmp_path):
    hook = CalibrateLambdaHook(distill=0.6)
    runner = tiny.make_runner(
        tiny.sed_config(tiny.retinanet()), [tiny.make_batch(branches=False)], tmp_path, 1, hooks=[hook]
    )
    runner.train()
    assert hook.means == {} and runner.model.lambda_d == 1.0


def test_what_cannot_be_measured_is_given_up_and_told(tmp_path, monkeypatch):
    """Nothing that is shared trains: every iteration after that is one of its own kind again."""
    told, measured = [], []

    class Frozen(Hook):
        priority = 'LOW'

        def before_train(self, runner):
            for part in (runner.model.student.backbone, runner.model.student.neck):
                part.requires_grad_(False)

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            measured.append(runner.model.measure_gradients)

    monkeypatch.setattr('sssd.hooks.calibrate_lambda.print_log', lambda text, **options: told.append(text))
    hook = CalibrateLambdaHook(batches=2, distill=0.6)
    data = [tiny.make_batch() for _ in range(9)]
    runner = tiny.make_runner(
        tiny.sed_config(tiny.retinanet()), data, tmp_path, 9, hooks=[EMATeacherHook(alpha=0.5), hook, Frozen()]
    )
    runner.train()
    assert measured == 6 * [True] + 3 * [False] and runner.model.lambda_d == 1.0
    assert len(told) == 1 and 'lambda_d stays 1: set it by hand' in told[0]


class Weights(Hook):
    """A weight by iteration, and which iterations were measured."""

    priority = 'LOW'

    def __init__(self, name):
        self.name, self.rows, self.measured = name, [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rows.append(getattr(runner.model, self.name))
        self.measured.append(runner.model.measure_gradients)


def test_a_guide_is_measured_once_it_teaches_the_student(tmp_path):
    """LGD's schedule: the distance trains the adapter alone at first, for longer than the patience of 6."""
    hook, log = CalibrateLambdaHook(batches=2, settle=0, guide=0.4), Weights('lambda_')
    schedule = LambdaScheduleHook(lambda_=7.0, student_grad=dict(type='Ramp', begin=8, after=1.0))
    data = [guided.batch() for _ in range(12)]
    tiny.make_runner(guided.config(tiny.retinanet()), data, tmp_path, 12, hooks=[schedule, hook, log], lr=0.0).train()
    assert log.measured == 8 * [False] + 2 * [True] + 2 * [False]
    assert log.rows[:9] == 9 * [7.0] and log.rows[9] != 7.0 and hook.means['guide'][0] == 2


def test_a_branch_that_pulls_at_nothing_yet_is_looked_at_now_and_then(tmp_path, monkeypatch):
    """A teacher that is sure of nothing for longer than the patience, which is no reason to give its weight up."""
    told = []
    monkeypatch.setattr('sssd.hooks.calibrate_lambda.print_log', lambda text, **options: told.append(text))

    class Sure(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            labels = runner.model.pseudo_labels
            labels.score_thr, labels.ignore_thr = (0.99, 0.005) if runner.iter < 10 else (0.01, 0.005)

    hook, log = CalibrateLambdaHook(batches=2, settle=0, interval=3, pseudo=0.3), Weights('lambda_p')
    model = tiny.sed_config(tiny.retinanet(), pseudo_labels=dict(score_thr=0.9), lambda_s=0.0, lambda_d=0.0)
    data = [tiny.make_batch() for _ in range(15)]
    runner = tiny.make_runner(model, data, tmp_path, 15, hooks=[EMATeacherHook(alpha=0.5), Sure(), hook, log], lr=0.001)
    tiny.keep_all_scores(runner.model.teacher)
    runner.train()
    assert log.measured == 6 * [True] + [False, False, True] + [False, False, True, True] + 2 * [False]
    assert log.rows[:12] == 12 * [1.0] and log.rows[12] != 1.0 and not told


def test_a_guided_detector_has_a_branch_of_its_own(tmp_path):
    hook = CalibrateLambdaHook(guide=0.4)
    runner = tiny.make_runner(
        guided.config(tiny.retinanet()), [guided.batch() for _ in range(3)], tmp_path, 3, hooks=[hook], lr=0.0
    )
    before = runner.model.lambda_
    runner.train()
    assert hook.means['guide'][0] == 3 and runner.model.lambda_ == before


@pytest.mark.parametrize(
    'options, said',
    [
        (dict(), 'its ratios are none; name at least one of scale, distill, pseudo, guide'),
        (dict(box=1.0), 'its ratios are box'),
        (dict(scale=0.0), 'scale is 0.0, but a ratio of gradients is a number above 0'),
        (dict(scale='half'), "scale is 'half'"),
        (dict(scale=1.0, batches=0), 'batches is 0'),
        (dict(scale=1.0, interval=2.5), 'interval is 2.5'),
        (dict(scale=1.0, settle=-1), 'settle is -1, but must be a whole number of at least 0'),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        CalibrateLambdaHook(**options)


def test_a_model_without_the_branch_is_told_when_training_starts(tmp_path):
    with pytest.raises(UserError, match="SED has no branch 'guide'"):
        trained(tmp_path, [CalibrateLambdaHook(guide=0.5)])
