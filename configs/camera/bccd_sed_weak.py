# bccd_sed.py whose labelled images have the weak view alone, as those of bccd_supervised.py: what the unlabelled images
# are worth when the labels are augmented alike.
_base_ = './bccd_sed.py'
few, others = _base_.train_dataloader.dataset.datasets
few.pipeline = _base_.sup_pipeline
train_dataloader = dict(dataset=dict(datasets=[few, others]))
