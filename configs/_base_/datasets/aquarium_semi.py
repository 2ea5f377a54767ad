# Aquarium: 448 training photographs, 127 for validation, 63 for tests, 7 classes. Options, from the environment so that every path follows: AQUARIUM_ROOT;
# AQUARIUM_LABELED, the labelled part as `python -m sssd split` names it in AQUARIUM_SPLITS; AQUARIUM_PART, `test` for the test part.
_base_ = './photos_semi.py'
data_root = '{{$AQUARIUM_ROOT:data/aquarium/}}'
split_root = '{{$AQUARIUM_SPLITS:data/aquarium_photo_splits/}}'
labeled = '{{$AQUARIUM_LABELED:train.1@10}}'
part = '{{$AQUARIUM_PART:val}}'
metainfo = dict(classes=('fish', 'jellyfish', 'penguin', 'puffin', 'shark', 'starfish', 'stingray'))
classes = metainfo['classes']
common = dict(data_root='', metainfo=metainfo, data_prefix=dict(img=data_root + 'images/'))

labeled_dataset = dict(ann_file=split_root + labeled + '.json', pipeline=_base_.sup_pipeline, **common)
unlabeled_dataset = dict(ann_file=split_root + labeled + '-unlabeled.json', pipeline=_base_.unsup_pipeline, **common)
train_dataloader = dict(
    dataset=dict(
        datasets=[{**_base_.labeled_dataset, **labeled_dataset}, {**_base_.unlabeled_dataset, **unlabeled_dataset}]))
# For labels alone.
supervised_dataloader = {
    **_base_.train_dataloader, 'batch_size': 4, 'sampler': dict(type='InfiniteSampler', shuffle=True),
    'dataset': {**_base_.labeled_dataset, **labeled_dataset, 'pipeline': _base_.sup_only_pipeline}
}
val_dataloader = dict(dataset=dict(ann_file=data_root + part + '.json', pipeline=_base_.test_pipeline, **common))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + part + '.json')
test_evaluator = val_evaluator
