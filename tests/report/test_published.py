"""A paper's table with ours beside it."""

from sssd.report.published import published_table, trials_table

ROWS = [
    dict(run='few', label='SUP', published=23.86, skipped=''),
    dict(run='sed', label='all', published=34.0, skipped=''),
    dict(run='mean', label='plain', published=26.8, skipped=''),
    dict(run='rate16', label='16', published=21.1, skipped='too few levels.'),
]


def entry(run, seed, ap, iterations=600):
    metrics = dict(iter=iterations, AP=ap, AP50=2 * ap)
    return dict(run=run, seed=seed, metrics=dict(teacher=metrics, student=dict(metrics, AP=ap - 1)))


def test_ours_stand_beside_the_published():
    grid = published_table(
        ROWS,
        [entry('few', 0, 10.0), entry('sed', 0, 12.0), entry('sed', 1, 14.0, 700), entry('start', 0, 1.0)],
        'Table',
    )
    assert grid.rows[0] == ('SUP', 'few', '23.86', '10.0', '9.0', '20.0', '1', '600')
    assert grid.rows[1] == ('all', 'sed', '34.0', '13.0 ± 1.4', '12.0 ± 1.4', '26.0 ± 2.8', '2', '600, 700')
    assert len(grid.rows) == 4 and all(len(row) == len(grid.columns) for row in grid.rows)


def test_what_was_not_run_and_what_cannot_be_run_is_said():
    grid = published_table(ROWS, [], 'Table')
    assert [row[3] for row in grid.rows] == ['not run', 'not run', 'not run', 'skipped']
    assert grid.rows[2][2] == '26.8' and grid.note.endswith('Row 16 is skipped: too few levels.')
    assert 'skipped' not in published_table(ROWS[:3], [], 'Table').note


def test_what_is_unfinished_is_said_run_by_run():
    entries = [entry('few', 0, 10.0), entry('few', 1, 10.0), entry('sed', 0, 12.0), entry('start', 7, 1.0)]
    assert published_table(ROWS, entries, 'Table').note.endswith('Not trained yet: sed (seed 1); mean (seed 0, 1).')
    note = published_table(ROWS[:2], entries, 'Table', seeds=[2]).note
    assert note.endswith('Not trained yet: few (seed 2); sed (seed 1, 2).')
    assert 'Not trained' not in published_table(ROWS[:1], entries, 'Table', seeds=[1]).note
    assert 'Not trained' not in published_table(ROWS, [], 'Table').note  # every row says so


def test_a_run_without_a_teacher_has_its_one_model_under_student():
    plain = dict(entry('few', 0, 10.0), metrics={'model': dict(iter=5, AP=10.0, AP50=20.0)})
    assert published_table(ROWS[:1], [plain], 'Table').rows[0][3:6] == ('-', '10.0', '20.0')


APS = {'480': 22.9, '800': 24.1, '1200': 22.5, 'ensemble': 26.1}
TRIED = [
    dict(run='few', label='SUP', published=APS, skipped=''),
    dict(run='all', label='oracle', published=APS, skipped='mine.py has no run'),
    dict(run='sed', label='ours', published=APS, skipped=''),
]


def tried(seed, *aps):
    return dict(entry('few', seed, 10.0), trials={name: dict(AP=ap, AP50=1.0) for name, ap in zip(APS, aps)})


def test_trials_stand_below_the_published_ones():
    grid = trials_table(TRIED, [tried(0, 8.0, 10.0, 9.0, 11.0), tried(1, 8.0, 12.0, 9.0, 15.0)], 'Table')
    assert grid.columns == ('row', 'run', 'whose', '480', '800', '1200', 'ensemble', 'gain', 'seeds', 'iters')
    assert grid.rows[0] == ('SUP', 'few', 'paper', '22.9', '24.1', '22.5', '26.1', '2.0', '-', '-')
    assert grid.rows[1][:3] == ('SUP', 'few', 'ours')
    assert grid.rows[1][3:] == ('8.0 ± 0.0', '11.0 ± 1.4', '9.0 ± 0.0', '13.0 ± 2.8', '2.0 ± 1.4', '2', '600')
    assert [line[3] for line in grid.rows[3::2]] == ['skipped', 'not run']
    assert all(len(line) == len(grid.columns) for line in grid.rows)
    assert 'Row oracle is skipped: mine.py has no run' in grid.note and 'Not tested yet: sed (seed 0, 1)' in grid.note


def test_runs_that_lack_a_test_are_left_out_and_told():
    entries = [tried(0, 8.0, 10.0, 9.0, 11.0), tried(1, 8.0, 10.0), entry('few', 2, 9.0)]
    grid = trials_table(TRIED, entries, 'Table', [1])
    assert grid.rows[1][3:] == ('8.0', '10.0', '9.0', '11.0', '1.0', '1', '600')
    assert 'few (seed 1)' in grid.note


def test_an_ap_that_could_not_be_computed_has_no_gain():
    line = trials_table(TRIED, [tried(0, 8.0, None, 9.0, 11.0)], 'Table').rows[1]
    assert line[3:] == ('8.0', '-', '9.0', '11.0', '-', '1', '600')
