# Table 6, [300, 1200]: 32.0. distill.py, the images drawn at 300/800 to 1200/800 of the size at test, long edge too.
_base_ = './distill.py'
wide = dict(type='RandomResize', scale=_base_.test_pipeline[1].scale, ratio_range=(0.375, 1.5), keep_ratio=True)
train_dataloader = dict(dataset=dict(datasets=[
    {**source, 'pipeline': [wide if step.type == 'RandomResize' else step for step in source.pipeline]}
    for source in _base_.train_dataloader.dataset.datasets]))
