"""The arithmetic of the tables, against numbers worked by hand."""

import pytest
from rich.console import Console

from sssd.report.tables import Grid, result_table, share_of_means, share_table, shares, spread, study_tables


def entry(run, seed, student, teacher, seconds=10.0):
    return {
        'run': run,
        'seed': seed,
        'seconds': seconds,
        'metrics': {'student': {'AP': student, 'AP50': 2 * student}, 'teacher': {'AP': teacher, 'AP50': 2 * teacher}},
    }


@pytest.fixture
def entries():
    return [
        entry('few', 0, 20.0, 18.0),
        entry('sed', 0, 24.0, 25.0, 30.0),
        entry('all', 0, 39.0, 40.0),
        entry('few', 1, 10.0, 12.0),
        entry('sed', 1, 20.0, 21.0, 50.0),
        entry('all', 1, 30.0, 29.0),
    ]


def test_share_per_seed_takes_the_better_of_student_and_teacher(entries):
    found = shares(entries, 'sed')
    # Seed 0: (25 - 20) / (40 - 20); seed 1: (21 - 12) / (30 - 12)
    assert found[0].headroom == pytest.approx(20) and found[0].share == pytest.approx(0.25)
    assert found[1].headroom == pytest.approx(18) and found[1].share == pytest.approx(0.5)


def test_share_of_the_means(entries):
    share = share_of_means(shares(entries, 'sed'))
    # few 16, all 35, sed 23: 7 / 19
    assert (share.few, share.all, share.run) == (16, 35, 23)
    assert share.share == pytest.approx(7 / 19)


def test_negative_gain_is_a_negative_share(entries):
    entries[1] = entry('sed', 0, 30.0, 15.0)
    assert shares(entries, 'sed')[0].share == pytest.approx(-0.25)


def test_no_headroom_no_share(entries):
    entries[2] = entry('all', 0, 20.0, 19.0)
    assert shares(entries, 'sed')[0].share is None
    (row,) = [row for row in share_table(entries).rows if row[1] == '0']
    assert row[-1] == '-'


def test_seed_that_lacks_a_run_is_left_out(entries):
    assert list(shares(entries[:-1], 'sed')) == [0]


def test_other_names_of_the_compared_runs(entries):
    for item in entries:
        item['run'] = {'few': 'baseline'}.get(item['run'], item['run'])
    assert shares(entries, 'sed') == {}
    assert share_table(entries) is None
    assert shares(entries, 'sed', {'few': 'baseline'})[0].share == pytest.approx(0.25)


def test_both_tables_of_a_study_call_a_run_alike(entries):
    result, share = study_tables(entries, 'study', names={'sed': 'SED'})
    assert 'SED' in [row[0] for row in result.rows] and {row[0] for row in share.rows} == {'SED'}


def test_a_baseline_that_unlearns_is_told(entries):
    assert 'below the start' not in share_table([*entries, entry('start', 0, 19.0, 20.0)]).note
    note = share_table([*entries, entry('start', 0, 19.0, 20.0), entry('start', 1, 13.0, 5.0)]).note
    assert 'few ends below the start with seed 1:' in note


def test_result_table_over_seeds(entries):
    rows = {row[0]: row for row in result_table(entries).rows}
    # 24, 20: mean 22, sample deviation 2.83; 25, 21: 23; AP50 50, 42; seconds 30, 50
    assert rows['sed'] == ('sed', '2', '22.0 ± 2.8', '23.0 ± 2.8', '46.0 ± 5.7', '40 ± 14')


def test_run_without_a_teacher_stands_under_student():
    single = {'run': 'plain', 'seed': 0, 'seconds': 1.0, 'metrics': {'model': {'AP': 7.0, 'AP50': 9.0}}}
    assert result_table([single]).rows == [('plain', '1', '7.0', '-', '9.0', '1')]


def test_renderings_hold_the_same_cells(entries):
    tables = study_tables(entries, 'the study')
    markdown = tables[1].to_markdown()
    assert '| sed | 1 | 12.0 | 30.0 | 18.0 | 21.0 | 9.0 | 50% |' in markdown
    assert '| sed | means | 16.0 | 35.0 | 19.0 | 23.0 | 7.0 | 37% |' in markdown
    console = Console(width=150, record=True, file=open('/dev/null', 'w'))
    for table in tables:
        console.print(table.to_rich())
    text = console.export_text()
    assert 'the study' in text and '22.0 ± 2.8' in text and '37%' in text


def test_names_with_brackets_or_colons_stand_as_they_are():
    console = Console(width=150, record=True, file=open('/dev/null', 'w'))
    grid = Grid('mine[1]', ('run [/b]', 'AP'), [('[/red] :cat:', '1')], note='of [x]')
    console.print(grid.to_rich())
    text = console.export_text()
    assert all(name in text for name in ('mine[1]', 'run [/b]', '[/red] :cat:', 'of [x]'))


def test_spread():
    assert spread([1.0]) == '1.0'
    assert spread([None, None]) == '-'
    assert spread([1.0, None, 3.0]) == '2.0 ± 1.4'
