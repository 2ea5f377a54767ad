# toy_supervised.py with images of 0.8 to 2.2 times the test size in place of 0.8 to 1: what showing the small objects
# larger is worth without SED.
_base_ = './toy_supervised.py'
pipeline = _base_.sup_only_pipeline
for step in pipeline:
    if step.type == 'RandomResize':
        step.ratio_range = (0.8, 2.2)
del step
train_dataloader = dict(dataset=dict(pipeline=pipeline))
