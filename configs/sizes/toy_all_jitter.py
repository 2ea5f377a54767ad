# toy_supervised_jitter.py with all labels.
_base_ = './toy_supervised_jitter.py'
train_dataloader = dict(dataset=dict(ann_file='train.json'))
