"""Running a study: from its specification to jobs, from each job to processes and to its entry in the results."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sssd import provenance
from sssd.errors import UserError
from sssd.studies.child import Child
from sssd.studies.cost import Taken
from sssd.studies.datasets import make_data
from sssd.studies.final_test import FinalTest
from sssd.studies.follow import Follower, Status
from sssd.studies.intervals import summarise
from sssd.studies.job import Job, make_job
from sssd.studies.locks import directory_lock
from sssd.studies.results import ResultsFile
from sssd.studies.spec import START, StudySpec, load_config
from sssd.studies.trial import TEST_COMMAND, Trial, run_test
from sssd.studies.watch import Reporter

TRAIN_COMMAND = (sys.executable, '-m', 'sssd', 'train')


class StudyRunner:
    """Runs what a study still lacks and keeps the results file up to date.

    Args:
        spec: The study.
        results: Its results file.
        work_dir: The directory under which the runs have theirs.
        trials: How every run but the start is tested when it is trained, beside the study's own test part.
        train_command: The words before the training arguments.
        test_command: The words before the arguments of a trial.
        reporter: Shows the progress.
    """

    def __init__(
        self,
        spec: StudySpec,
        results: ResultsFile,
        work_dir: Path,
        *,
        trials: Sequence[Trial] = (),
        train_command: Sequence[str] = TRAIN_COMMAND,
        test_command: Sequence[str] = TEST_COMMAND,
        reporter: Reporter | None = None,
    ) -> None:
        self.spec = spec
        self.results = results
        self.work_dir = Path(work_dir)
        self.final = FinalTest(**spec.test) if spec.test else None
        self.trials = [*trials, *([self.final] if self.final else [])]
        self.train_command = list(train_command)
        self.test_command = list(test_command)
        self.reporter = reporter or Reporter()

    def run(self, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None) -> list[Job]:
        """Run what is not done yet, seed by seed.

        Args:
            seeds: Only these seeds (default: those of the study).
            runs: Only the runs of these names (default: all).

        Returns:
            The jobs that ran now; empty if all was done.

        Raises:
            UserError: If a run fails; the others' results are kept.
        """
        jobs = self.all_jobs(self.spec.seeds if seeds is None else seeds, runs)
        pending = self._pending(jobs)
        if pending:
            make_data(self.spec)
            self._check(pending)
            self._plan(jobs, pending)
        try:
            for job in pending:
                with directory_lock(job.work_dir.with_name(f'.{job.run.name}.lock')):
                    self._run_job(job)
        finally:
            self.reporter.close()
        self._summarise()
        return pending

    # From the specification to jobs.

    def all_jobs(self, seeds: Sequence[int], runs: Sequence[str] | None = None) -> list[Job]:
        """The jobs of these seeds and runs, done or not, without starts.

        Raises:
            UserError: If no generator of random numbers takes a seed.
        """
        jobs = []
        for seed in seeds:
            if not 0 <= seed < 2**32:
                raise UserError(
                    f'a run was asked for with the seed {seed}, but a seed is at least 0 and below 2^32: name others'
                )
            place = dict(root=self.work_dir, data=self.spec.data)
            start = None if self.spec.start is None else make_job(self.spec.start, seed, **place, start=None)
            jobs += [make_job(run, seed, **place, start=start, trials=self.trials) for run in self.spec.select(runs)]
        return jobs

    def is_done(self, job: Job) -> bool:
        """Whether the results file holds this very job with all its trials; of a start, the checkpoint is there too."""
        entry = self.results.find(job.run.name, job.seed)
        there = job.run.name != START or job.is_finished()
        return there and job.is_held(entry) and not job.untested(entry)

    def _pending(self, jobs: Sequence[Job]) -> list[Job]:
        """Those that are not done, each after the start that it needs."""
        pending = []
        for job in jobs:
            if self.is_done(job):
                continue
            start = job.start
            if start is not None and start not in pending and not self._trained(job) and not self.is_done(start):
                pending.append(start)
            pending.append(job)
        return pending

    def _trained(self, job: Job) -> dict | None:
        """The entry of a job that lacks trials only; without its checkpoint the job is trained again, for one entry."""
        entry = self.results.find(job.run.name, job.seed)
        return entry if job.run.name != START and job.is_held(entry) and job.is_finished() else None

    def _plan(self, jobs: Sequence[Job], pending: Sequence[Job]) -> None:
        """Tell the reporter what is to come, and what trainings took that were done on such a machine before."""
        machine = provenance.machine()
        for job in jobs:
            entry = self.results.find(job.run.name, job.seed)
            if job not in pending and entry.get('machine') == machine:
                self.reporter.forecast.learn(job.training(), Taken(None, entry['seconds'], None))
        self.reporter.plan([job.works(self._trained(job)) for job in pending])

    # From a job to its entry.

    def _run_job(self, job: Job) -> None:
        """Train it, unless it is, then test it; what is known goes to the results file at once."""
        self.reporter.begin(job.title)
        if self.is_done(job):
            self.reporter.end('done by another process')
            return
        moved = job.clear_other()
        if moved is not None:
            self.reporter.say(f'  an earlier run with another specification is now in {moved}')
        entry = self._trained(job)
        if entry is None:
            if not job.is_finished():
                self._train(job)
            entry = entry_of(job)
            self.results.put(entry)
        for trial in job.untested(entry):
            metrics = self._test(job, trial)
            entry = {**entry, 'trials': {**entry.get('trials', {}), trial.name: metrics}}
            self.results.put(entry)
        self.reporter.end(summary(entry))

    def _train(self, job: Job) -> None:
        """Train it in a process of its own, from its last checkpoint on.

        Raises:
            UserError: If the process fails, or logs no evaluation.
        """
        resumed, checkpoint = job.resume_point() or (0, None)
        if checkpoint is not None:
            self.reporter.say(f'  resumes from {checkpoint.name}')
        words = [*self.train_command, *job.arguments(checkpoint)]
        follower = Follower(job.work_dir, job.extent, resumed, self.reporter.forecast.evaluation)
        with job.attempt(checkpoint) as keep, Child(words, job.log, job.run.environment_for(job.seed)) as child:
            while child.running():
                keep()
                self.reporter.tick(follower.look())
        child.check(f'the run {job.title}')
        if not job.evaluations():
            raise UserError(
                f'the run {job.title} logged no evaluation ({job.log}): set train_cfg.val_interval in '
                f'{job.run.config} so that it ends with one'
            )
        job.finish()
        self.reporter.process_ended(follower.look().taken)

    def _test(self, job: Job, trial: Trial) -> dict:
        """Test it, each checkpoint in a process of its own.

        Returns:
            What the trial makes of the metrics.

        Raises:
            UserError: If the process fails, or leaves no metrics.
        """
        self.reporter.say(f'  test {trial.name}')

        def test(name: str, *args) -> dict:
            """Test one checkpoint."""
            status = Status(f'test {name}')
            found = run_test(name, *args, command=self.test_command, tick=lambda: self.reporter.tick(status))
            self.reporter.process_ended()
            return found

        return trial.run(job, test)

    # From entries to what they say together.

    def _check(self, jobs: Sequence[Job]) -> None:
        """Refuse, before anything is trained, jobs that train or validate with images of the test part."""
        for job in jobs if self.final else ():
            self.final.check(load_config(job.run, job.seed))

    def _summarise(self) -> None:
        """Compute the intervals of the test part over all that was tested, whatever was asked for now."""
        if self.final is None:
            return
        seeds = sorted({entry['seed'] for entry in self.results.entries()})
        refused = summarise(self.final, self.all_jobs(seeds), self.results, self.spec.compare)
        if refused:
            self.reporter.say(refused)


def entry_of(job: Job) -> dict:
    """The entry of a finished job."""
    attempts = job.read_state()['attempts']
    evaluations = job.evaluations()
    last = attempts[-1]
    return {
        'run': job.run.name,
        'seed': job.seed,
        'hash': job.hash,
        'config': job.run.config,
        'command': job.shown_command(),
        'commit': last['commit'],
        'dirty': last['dirty'],
        'started': attempts[0]['started'],
        'seconds': round(sum(attempt['seconds'] for attempt in attempts), 1),
        'attempts': len(attempts),
        'machine': provenance.machine(),
        'versions': provenance.versions(),
        'metrics': {role: dict(rows[-1].items()) for role, rows in evaluations.items()},
        'history': evaluations,
    }


def summary(entry: dict) -> str:
    """An entry in a few words."""
    words = ', '.join(f'{role} AP {_number(metrics.get("AP"))}' for role, metrics in entry['metrics'].items())
    return f'{words}, {entry["seconds"]:.0f} s'


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'
