"""Running a study: from its specification to jobs, from each job to processes and to its entry in the results."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sssd import provenance
from sssd.errors import UserError
from sssd.locks import POLL_SECONDS, directory_lock, training_in
from sssd.studies.board import Board, Lane
from sssd.studies.cluster import job_in
from sssd.studies.cost import Taken
from sssd.studies.datasets import make_data
from sssd.studies.final_test import FinalTest
from sssd.studies.follow import Follower, Status
from sssd.studies.intervals import summarise
from sssd.studies.job import Job, hash_in, make_job
from sssd.studies.pool import Failure, begins_with, run_jobs
from sssd.studies.results import ResultsFile
from sssd.studies.slots import Slot
from sssd.studies.spec import START, StudySpec, fingerprint, load_config
from sssd.studies.sweep import SIGN
from sssd.studies.testing import run_test
from sssd.studies.trial import Trial
from sssd.studies.watch import Reporter

#: What is told of a run that does not go on.
HELD, QUEUED = Status('another process has it; waiting for it'), Status('waiting in the queue')
TRAIN_COMMAND = (sys.executable, '-m', 'sssd', 'train')
TEST_COMMAND = (sys.executable, '-m', 'sssd', 'test')


class RunsFailed(UserError):
    """Some runs of a study failed; the results file has the others."""


class StudyRunner:
    """Runs what a study still lacks and keeps the results file up to date.

    Args:
        spec: The study.
        results: Its results file.
        work_dir: The directory under which the runs have theirs.
        trials: How every run but the start is tested when it is trained, beside the test part of the study.
        train_command: The words before the training arguments.
        test_command: The words before the arguments of a trial.
        reporter: Shows the progress.
        slots: Where the runs run, one at a time in each; default: one at a time on this machine.
        flags: More arguments of the training command.
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
        slots: Sequence[Slot] = (Slot(),),
        flags: Sequence[str] = (),
    ) -> None:
        self.spec = spec
        self.results = results
        self.work_dir = Path(work_dir)
        self.test = FinalTest(**spec.test) if spec.test else None
        self.trials = [*trials, *([self.test] if self.test else [])]
        self.train_command = list(train_command)
        self.test_command = list(test_command)
        self.reporter = reporter or Reporter()
        self.slots = list(slots)
        self.flags = list(flags)
        self._order: list[tuple[str, int]] = []
        self._learnt = False

    def run(self, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None) -> list[Job]:
        """Run what is not done yet, seed by seed.

        Args:
            seeds: Only these seeds (default: those of the study).
            runs: Only the runs of these names (default: all).

        Returns:
            The jobs that ran now; empty if all was done.

        Raises:
            RunsFailed: If runs failed; the others' results are kept.
        """
        pending, failures = self.jobs(seeds, runs), []
        if pending:
            make_data(self.spec)
            for job in pending if self.test else ():
                self.test.check(load_config(job.run, job.seed))
            self.learn(seeds, runs)
            self._order = [job.key for job in pending]
            failures = self._run_pending(pending)
        try:
            self._summarise()  # of those that ran
        finally:
            if failures:
                raise RunsFailed(told_failures(failures, len(pending)))
        return pending

    def _run_pending(self, pending: Sequence[Job]) -> list[Failure]:
        """Run jobs, one after the other or several at once."""
        works = [job.works(self._trained(job)) for job in pending]
        if len(self.slots) == 1:
            self.reporter.plan(works)
            try:
                return run_jobs(pending, self.slots, lambda job, slot: self._run_job(job, slot, self.reporter, pending))
            finally:
                self.reporter.close()
        with Board(self.reporter, works, len(self.slots)) as board:

            def work(job: Job, slot: Slot) -> None:
                self._run_job(job, slot, board.lane(pending.index(job)), pending)

            return run_jobs(pending, self.slots, work, board.stop)

    # From the specification to jobs.

    def all_jobs(self, seeds: Sequence[int], runs: Sequence[str] | None = None) -> list[Job]:
        """The jobs of these seeds and runs, done or not, without starts.

        Raises:
            UserError: If no generator of random numbers takes a seed.
        """
        jobs = []
        for seed in dict.fromkeys(seeds):
            if not 0 <= seed < 2**32:
                raise UserError(
                    f'a run was asked for with the seed {seed}, but a seed is at least 0 and below 2^32: name others'
                )
            place = dict(root=self.work_dir, data=self.spec.data, processes=self.slots[0].processes)
            start = None if self.spec.start is None else make_job(self.spec.start, seed, **place, start=None)
            jobs += [make_job(run, seed, **place, start=start, trials=self.trials) for run in self.spec.select(runs)]
        return jobs

    def is_done(self, job: Job) -> bool:
        """Whether the results file holds this very job with all its trials; of a start, the checkpoint is there too."""
        entry = self.results.find(job.run.name, job.seed)
        there = job.run.name != START or job.is_finished()
        return there and job.is_held(entry) and not job.untested(entry)

    def jobs(self, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None) -> list[Job]:
        """The jobs of these seeds and runs still to do, in order, each after the start that it needs."""
        pending = []
        for job in self.all_jobs(self.spec.seeds if seeds is None else seeds, runs):
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

    def learn(self, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None) -> None:
        """Tell the forecast, once, what trainings took that were done on such a machine before."""
        if self._learnt:
            return
        self._learnt, machine = True, provenance.machine()
        for job in self.all_jobs(self.spec.seeds if seeds is None else seeds, runs):
            entry = self.results.find(job.run.name, job.seed)
            if self.is_done(job) and entry.get('machine') == machine:
                self.reporter.forecast.learn(job.training(), Taken(None, entry['seconds'], None))

    # From a job to its entry.

    def _run_job(self, job: Job, slot: Slot, report: Reporter | Lane, pending: Sequence[Job]) -> None:
        """Train it, unless it is, then test it; what is known goes to the results file at once."""
        report.begin(job.title)
        try:
            with directory_lock(job.work_dir.with_name(f'.{job.run.name}.lock'), waits_and_says_so(report)):
                self._train_and_test(job, slot, report)
        except UserError as error:
            left_out = [number for number, other in enumerate(pending) if begins_with(other, [job.key])]
            report.leave_out(left_out)
            more = f'; {len(left_out)} runs that begin with it are left out' if left_out else ''
            report.end(f'failed: {error}{more}')
            raise

    def _train_and_test(self, job: Job, slot: Slot, report: Reporter | Lane) -> None:
        if self.is_done(job):
            report.end('done by another process')
            return
        moved = job.clear_other()
        if moved is not None:
            report.say(f'  an earlier run of another specification, or with other data, is now in {moved}')
        entry = self._trained(job)
        if entry is None:
            if not job.is_finished():
                self._require_unchanged(job)
                self._train(job, slot, report)
            entry = entry_of(job)
            self.results.put(entry, self._order)
        for trial in job.untested(entry):
            metrics = self._test(job, trial, slot, report)
            entry = {**entry, 'trials': {**entry.get('trials', {}), trial.name: metrics}}
            self.results.put(entry, self._order)
        report.end(summary(entry))

    def _train(self, job: Job, slot: Slot, report: Reporter | Lane) -> None:
        """Train it in a process of its own, from its last checkpoint on.

        Raises:
            UserError: If the process fails, or logs no evaluation.
        """
        self._await_others(job, slot, report)
        resumed, checkpoint = job.resume_point(lambda sentence: report.say(f'  {sentence}')) or (0, None)
        if checkpoint is not None:
            report.say(f'  resumes from {checkpoint.name}')
        words = [*self.train_command, *job.arguments(checkpoint), *self.flags]
        follower = Follower(job.work_dir, job.extent, job.cost, resumed, report.forecast.evaluation)
        process = slot.start(words, job.log, job.run.environment_for(job.seed), job.title)
        with job.attempt(checkpoint) as attempt, process as child:
            attempt.follow(child)
            while child.running():
                if child.waits:
                    attempt.wait()
                    report.tick(QUEUED)
                    continue
                if attempt.begin():
                    follower.begin(job.newest_number())
                attempt.keep()
                report.tick(follower.look())
            attempt.ran_on(child.machine)
        child.check(f'the run {job.title}')
        if not job.evaluations():
            raise UserError(
                f'the run {job.title} logged no evaluation ({job.log}): set train_cfg.val_interval in '
                f'{job.run.config} so that it ends with one'
            )
        job.finish()
        report.process_ended(follower.look().taken)

    def _require_unchanged(self, job: Job) -> None:
        """Refuse to run a job whose config is not what it was when the study began: its results would be told of that.

        Raises:
            UserError: Naming the config.
        """
        start = job.start.run if job.start else None
        if fingerprint(job.run, job.seed, start, self.spec.data, job.processes) != job.hash:
            raise UserError(
                f'{job.run.config} (or what it is based on) was changed while the study ran, before {job.title} began: '
                'call the study again, which takes it as it is now'
            )

    def _await_others(self, job: Job, slot: Slot, report: Reporter | Lane) -> None:
        """Wait for a training of this very job that outlives the study which has started it.

        Raises:
            UserError: If it is a job of Slurm, which only a study that runs there can follow.
        """
        found = job_in(job.work_dir)
        if found is not None and getattr(slot, 'cluster', None) == 'slurm':
            return  # it is followed
        if found is not None:
            raise UserError(
                f'{job.title} runs or waits as job {found[0]} of Slurm already: call the study with --cluster slurm '
                f'to follow it, or end it with `scancel {found[0]}` (if it has ended and Slurm cannot be asked here, '
                f'remove {found[1]}).'
            )
        told = None
        while (holder := training_in(job.work_dir)) is not None:
            if holder != told:
                report.say(
                    f'  {holder} still trains in {job.work_dir}; waiting for it ({holder.remedy} to go on at once)'
                )
                told = holder
            report.tick(Status(f'{holder} trains in its folder; waiting for it'))
            time.sleep(POLL_SECONDS)

    def _test(self, job: Job, trial: Trial | FinalTest, slot: Slot, report: Reporter | Lane) -> dict:
        """Test it, each model in a process of its own; the metrics."""
        self._require_unchanged(job)
        report.say(f'  test {trial.name}')
        test = partial(run_test, self.test_command, lambda what: report.tick(Status(what)), start=slot.start)
        metrics = trial.run(job, test)
        report.process_ended()
        return metrics

    def _summarise(self) -> None:
        """Compute the intervals of the test part over all that was tested, whatever was asked for now."""
        if self.test is None:
            return
        refused = summarise(self.test, self._folders(), self.results, self.spec.compare)
        if refused:
            self.reporter.say(refused)

    def _folders(self) -> dict[tuple[str, int], Path]:
        """The work directories of all entries that are of the present specification, and of those swept before."""
        entries = {(entry['run'], entry['seed']): entry for entry in self.results.entries()}
        jobs = self.all_jobs(sorted({seed for _, seed in entries}))
        found = {job.key: job.work_dir for job in jobs if job.is_held(entries.get(job.key))}
        for (run, seed), entry in entries.items():
            folder = self.work_dir / f'seed{seed}' / run
            if SIGN in run and run not in self.spec.runs and hash_in(folder) == entry['hash']:
                found[run, seed] = folder
        return found


def waits_and_says_so(report: Reporter | Lane) -> Callable[[], None]:
    """What goes on while another study has a run: that is said once, and then shown."""
    said = []

    def wait() -> None:
        if not said:
            said.append(report.say(f'  {HELD.text}'))
        report.tick(HELD)

    return wait


def told_failures(failures: Sequence[Failure], runs: int) -> str:
    """What is said of failed runs, in one sentence."""
    (job, error), *others = failures
    if not others:
        return str(error)
    names = '; '.join(job.title for job, _ in failures)
    return f'{len(failures)} of {runs} runs failed ({names}), as told above; the first because {error}'


def entry_of(job: Job) -> dict:
    """The entry of a finished job."""
    attempts = job.read_state()['attempts']
    evaluations = job.evaluations()
    last = attempts[-1]
    return {
        'run': job.run.name,
        'seed': job.seed,
        'hash': job.hash,
        'data': job.read_state().get('data'),
        'config': job.run.config,
        'command': job.shown_command(),
        'commit': last['commit'],
        'dirty': last['dirty'],
        'started': attempts[0]['started'],
        'seconds': round(sum(attempt['seconds'] for attempt in attempts), 1),
        'attempts': len(attempts),
        'machine': last.get('machine') or provenance.machine(),
        'versions': provenance.versions(),
        **({'gpus': job.processes} if job.processes > 1 else {}),
        'metrics': {role: dict(rows[-1].items()) for role, rows in evaluations.items()},
        'history': evaluations,
    }


def summary(entry: dict) -> str:
    """An entry in a few words."""
    words = ', '.join(f'{role} AP {_number(metrics.get("AP"))}' for role, metrics in entry['metrics'].items())
    return f'{words}, {entry["seconds"]:.0f} s'


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'
