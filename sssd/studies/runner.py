"""Running a study: every run with every seed, each in its own process."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sssd import provenance
from sssd.errors import UserError
from sssd.studies.child import run_child
from sssd.studies.job import Job, make_job
from sssd.studies.locks import directory_lock
from sssd.studies.results import ResultsFile
from sssd.studies.spec import START, StudySpec
from sssd.studies.trial import TEST_COMMAND, Trial
from sssd.studies.watch import ChildStatus, Reporter

TRAIN_COMMAND = (sys.executable, '-m', 'sssd', 'train')
STATE_SECONDS = 10.0


class StudyRunner:
    """Runs what a study still lacks and keeps the results file up to date.

    Args:
        spec: The study.
        results: Its results file.
        work_dir: The directory under which the runs have theirs.
        trials: How every run but the start is tested when it is trained.
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
        self.trials = list(trials)
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
        pending = self.jobs(seeds, runs)
        if not pending:
            return []
        self.prepare_data()
        self.reporter.plan([job.run.name for job in pending])
        try:
            for job in pending:
                lock = job.work_dir.with_name(f'.{job.run.name}.lock')
                with directory_lock(lock):
                    self._run_job(job)
        finally:
            self.reporter.close()
        return pending

    def jobs(self, seeds: Sequence[int] | None = None, runs: Sequence[str] | None = None) -> list[Job]:
        """The jobs still to do: shared starts where needed, then runs."""
        pending = []
        for seed in self.spec.seeds if seeds is None else seeds:
            missing = [job for job in self.all_jobs([seed], runs) if not self.is_done(job)]
            starts = [job.start for job in missing if job.start is not None and not self._kept(job)]
            if starts and not (starts[0].is_finished() and self.is_done(starts[0])):
                pending.append(starts[0])
            pending += missing
        return pending

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
            start = None
            if self.spec.start is not None:
                start = self._job(self.spec.start, seed, None)
            jobs += [self._job(run, seed, start) for run in self.spec.select(runs)]
        return jobs

    def is_done(self, job: Job) -> bool:
        """Whether the results file holds this very job with all its trials."""
        entry = self.results.find(job.run.name, job.seed)
        return entry is not None and entry['hash'] == job.hash and not self._untested(job, entry)

    def _untested(self, job: Job, entry: dict) -> list[Trial]:
        """The trials that an entry of a job lacks."""
        trials = [] if job.run.name == START else self.trials
        return [trial for trial in trials if trial.name not in entry.get('trials', {})]

    def prepare_data(self) -> None:
        """Make the study's data sets, one or several, if its specification names any.

        Raises:
            UserError: If one is of a kind that cannot be made here.
        """
        from sssd.datasets.recapture import recapture
        from sssd.datasets.splits import make_splits
        from sssd.datasets.toy import make_toy

        makers = {'toy': (make_toy, 'root'), 'recapture': (recapture, 'out_dir'), 'splits': (make_splits, 'out_dir')}
        for settings in self._data_settings():
            kind = settings.pop('type', None)
            if kind not in makers:
                raise UserError(
                    f'the study {self.spec.name} asks for data of '
                    f'the type {kind!r}: those that can be made '
                    f'here are {", ".join(makers)}'
                )
            make, place = makers[kind]
            with directory_lock(Path(settings[place]).parent):
                make(**settings)

    def _data_settings(self) -> list[dict]:
        data = self.spec.data or []
        return [dict(one) for one in (data if isinstance(data, (list, tuple)) else [data])]

    def _job(self, run, seed: int, start: Job | None) -> Job:
        return make_job(run, seed, self.work_dir, data=self.spec.data, start=start)

    def _run_job(self, job: Job) -> None:
        self.reporter.begin(job.title)
        began = time.monotonic()
        if self.is_done(job) and (job.run.name != START or job.is_finished()):
            self.reporter.end(job.run.name, 0.0, 'done by another process')
            return
        moved = job.clear_other()
        if moved is not None:
            self.reporter.say(f'  an earlier run with another specification is now in {moved}')
        entry = self._kept(job)
        if entry is None:
            if not job.is_finished():
                self._train(job)
            entry = _entry(job)
            self.results.put(entry)
        for trial in self._untested(job, entry):
            self.reporter.say(f'  test {trial.name}')
            metrics = trial.run(job, self.test_command, self._tick)
            entry = {**entry, 'trials': {**entry.get('trials', {}), trial.name: metrics}}
            self.results.put(entry)
        self.reporter.end(job.run.name, time.monotonic() - began, _summary(entry))

    def _kept(self, job: Job) -> dict | None:
        """The entry of a job that lacks trials only; without its checkpoint the job is trained again, for one entry."""
        entry = self.results.find(job.run.name, job.seed)
        known = entry is not None and entry['hash'] == job.hash and job.is_finished()
        return entry if known and job.run.name != START else None

    def _tick(self, log: Path, offset: int) -> None:
        self.reporter.tick(ChildStatus.read(log, offset))

    def _train(self, job: Job) -> None:
        """Train in a process of its own, from its last checkpoint on."""
        resume_from = job.resume_point(lambda sentence: self.reporter.say(f'  {sentence}'))
        if resume_from is not None:
            self.reporter.say(f'  resumes from {resume_from.name}')
        state = job.read_state()
        attempt = {
            'started': provenance.now(),
            **provenance.commit(),
            'seconds': 0.0,
            'resumed_from': resume_from.name if resume_from else None,
        }
        state['attempts'].append(attempt)
        job.work_dir.mkdir(parents=True, exist_ok=True)
        job.write_state(state)
        code = self._watch(job, state, job.arguments(resume_from))
        if code != 0:
            raise UserError(
                f'the run {job.title} failed with exit status '
                f'{code}: see the end of {job.log}, mend it and '
                'call the study again; what is done is kept'
            )
        if not job.evaluations():
            raise UserError(
                f'the run {job.title} logged no evaluation '
                f'({job.log}): set train_cfg.val_interval in '
                f'{job.run.config} so that it ends with one'
            )
        state['finished'] = True
        job.write_state(state)

    def _watch(self, job: Job, state: dict, arguments: list[str]) -> int:
        """Start the process and report on it until it ends."""
        began = saved = time.monotonic()
        attempt = state['attempts'][-1]

        def tick(offset: int) -> None:
            """Show how far it is, and now and then keep how long it has run."""
            nonlocal saved
            self.reporter.tick(ChildStatus.read(job.log, offset))
            if time.monotonic() - saved > STATE_SECONDS:
                saved = time.monotonic()
                attempt['seconds'] = round(saved - began, 1)
                job.write_state(state)

        try:
            return run_child([*self.train_command, *arguments], job.log, job.run.environment_for(job.seed), tick)
        finally:
            attempt['seconds'] = round(time.monotonic() - began, 1)
            job.write_state(state)


def _entry(job: Job) -> dict:
    """The results file's entry of a finished job."""
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


def _summary(entry: dict) -> str:
    words = ', '.join(f'{role} AP {_number(metrics.get("AP"))}' for role, metrics in entry['metrics'].items())
    return f'{words}, {entry["seconds"]:.0f} s'


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'
