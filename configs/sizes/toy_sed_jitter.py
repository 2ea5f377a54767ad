# toy_sed.py with the wide jitter of toy_supervised_jitter.py on its labelled images: does SED add to it?
_base_ = './toy_sed.py'
small, others = _base_.train_dataloader.dataset.datasets
for step in small.pipeline:
    if step.type == 'RandomResize':
        step.ratio_range = (0.8, 2.2)
del step
train_dataloader = dict(dataset=dict(datasets=[small, others]))
