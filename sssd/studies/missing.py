"""The runs that a study does not have, and why: for its page."""

from collections.abc import Sequence

from sssd.studies.child import last_error
from sssd.studies.job import Job
from sssd.studies.runner import StudyRunner

NOT_RUN = 'not run'


def missing_runs(
    runner: StudyRunner, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None
) -> list[tuple[str, int, str]]:
    """Run, seed and reason of what is not done, or gone, of that which was asked for or begun.

    Args:
        runner: The study.
        seeds: Those that were asked for; None for those of the study.
        runs: The runs that were asked for; None for all.
    """
    wanted = runner.spec.seeds if seeds is None else seeds
    asked = {run.name for run in runner.spec.select(runs)}
    known = {entry['seed'] for entry in runner.results.entries()}
    jobs = runner.all_jobs(sorted(known.union(wanted)))
    told = [(job, why_missing(runner, job)) for job in jobs if not (runner.is_done(job) and job.work_dir.is_dir())]
    return [
        (job.run.name, job.seed, why)
        for job, why in told
        if why != NOT_RUN or (job.run.name in asked and job.seed in wanted)
    ]


def why_missing(runner: StudyRunner, job: Job) -> str:
    """Why a job is not done, as far as its work directory and that of its start tell."""
    if runner.is_done(job):
        return f'done, but {job.work_dir} is gone: its figures alone are left'
    entry = runner.results.find(*job.key)
    if job.is_held(entry):
        return f'trained, but not tested ({", ".join(trial.name for trial in job.untested(entry))})'
    if entry is not None:
        return 'its result is that of another specification'
    if job.log.is_file() and job.read_state()['hash'] == job.hash:
        return f'not finished; its log ends with: {last_error(job.log) or "nothing"}'
    if job.start is not None and not job.start.is_held(runner.results.find(*job.start.key)):
        why = why_missing(runner, job.start)
        return NOT_RUN if why == NOT_RUN else f'begins with {job.start.title}, which is missing: {why}'
    return NOT_RUN
