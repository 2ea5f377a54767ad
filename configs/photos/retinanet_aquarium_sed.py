_base_ = [
    '../_base_/models/retinanet_mobilenet_v2.py', '../_base_/datasets/aquarium_semi.py', '../_base_/schedules/photos.py',
    '../_base_/photos_sed.py', '../_base_/small_runtime.py'
]
detector = _base_.model
detector.bbox_head.num_classes = 7
model = dict(
    _delete_=True,
    type='sssd.SED',
    detector=detector,
    data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor),
    scale_loss=_base_.unsupervised_loss,
    distill_loss=_base_.unsupervised_loss)
train_dataloader = dict(batch_size=8, sampler=dict(batch_size=8))
