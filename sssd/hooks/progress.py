"""Progress of a running training, as schedules want it."""

from sssd.schedules import Progress

#: Where the largest learning rate so far is kept: the message hub, which every checkpoint holds.
PEAK_LR = 'sssd_peak_lr'


def learning_rate(optim_wrapper) -> float:
    """The present learning rate of the first group of parameters, or of the whole if parts have factors on it."""
    rates = optim_wrapper.get_lr()
    return float((rates['base_lr'] if 'base_lr' in rates else next(iter(rates.values())))[0])


def progress_of(runner) -> Progress:
    """Progress at the present iteration; right also just after a resume.

    The largest learning rate so far is kept with the checkpoint, so that warm-up is never taken for decay and a
    resumed run knows that it has decayed.
    """
    lr = learning_rate(runner.optim_wrapper)
    peak = max(lr, runner.message_hub.get_info(PEAK_LR, 0.0))
    runner.message_hub.update_info(PEAK_LR, peak)
    return Progress(iteration=runner.iter, total=runner.max_iters, lr=lr, peak_lr=peak)
