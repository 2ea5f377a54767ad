"""The runs that a study does not have, and why: for its page."""

from collections.abc import Sequence

from sssd.studies.child import last_error
from sssd.studies.job import Job
from sssd.studies.runner import StudyRunner


def missing_runs(
    runner: StudyRunner, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None
) -> list[tuple[str, int, str]]:
    """Run, seed and reason of all that is not done.

    Args:
        runner: The study.
        seeds: Those that were asked for; those of the results are looked at in any case.
        runs: Only the runs of these names.
    """
    known = {entry['seed'] for entry in runner.results.entries()}
    wanted = runner.spec.seeds if seeds is None else seeds
    jobs = runner.all_jobs(sorted(known.union(wanted)), runs)
    return [(job.run.name, job.seed, why_missing(runner, job)) for job in jobs if not runner.is_done(job)]


def why_missing(runner: StudyRunner, job: Job) -> str:
    """Why a job is not done, as far as its work directory and that of its start tell."""
    entry = runner.results.find(job.run.name, job.seed)
    if job.is_held(entry):
        return f'trained, but not tested ({", ".join(trial.name for trial in job.untested(entry))})'
    if entry is not None:
        return 'its result is that of another specification'
    if job.log.is_file() and job.read_state()['hash'] == job.hash:
        return f'not finished; its log ends with: {last_error(job.log) or "nothing"}'
    if job.start is not None and not runner.is_done(job.start):
        return f'begins with {job.start.title}, which is missing: {why_missing(runner, job.start)}'
    return 'not run'
