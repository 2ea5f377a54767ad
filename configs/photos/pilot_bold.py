name = 'pilot_bold'
seeds = [11, 12]
data = dict(type='splits', ann_file='data/bccd/train.json', out_dir='data/bccd_photo_splits', percents=[3], folds=13)
here = dict(BCCD_LABELED='train.{seed}@3')
length = {'train_cfg.max_iters': 400, 'train_cfg.val_interval': 200, 'param_scheduler.1.end': 400, 'param_scheduler.1.milestones': [400]}
start = dict(config='configs/photos/faster_rcnn_bccd_supervised.py', env=here,
    cfg_options={'train_cfg.max_iters': 600, 'train_cfg.val_interval': 600, 'param_scheduler.1.milestones': [600]})
s = dict(config='configs/photos/faster_rcnn_bccd_sed.py', env=here)
def _p(weight, thr, **more):
    return {'custom_hooks.0.lambda_p': weight, **{f'model.pseudo_labels.{k}': v for k, v in dict(score_thr=thr, **more).items()}}
def _l(s, d, **more):
    return {**length, 'custom_hooks.0.lambda_s': s, 'custom_hooks.0.lambda_d': d, **more}
runs = dict(
    both1=dict(s, cfg_options=_l(0.25, 1.2, **_p(1.0, 0.7))),
    both2=dict(s, cfg_options=_l(0.25, 1.2, **_p(2.0, 0.7))),
    ign2=dict(s, cfg_options=_l(0.25, 1.2, **_p(2.0, 0.7))),
    ign1=dict(s, cfg_options=_l(0.25, 1.2, **_p(1.0, 0.7))),
    ign5=dict(s, cfg_options=_l(0.25, 1.2, **_p(2.0, 0.5))),
    low2=dict(s, cfg_options=_l(0.1, 0.4, **_p(2.0, 0.7))),
    simple2=dict(s, cfg_options=_l(0.25, 1.2, **_p(2.0, 0.7, simple=True))),
    simple05=dict(s, cfg_options=_l(0.25, 1.2, **_p(2.0, 0.5, simple=True))),
    sed=dict(s, cfg_options=_l(0.25, 1.2)),
    all=dict(config='configs/photos/faster_rcnn_bccd_all.py', env=here, cfg_options=length),
    few=dict(config='configs/photos/faster_rcnn_bccd_supervised.py', env=here, cfg_options=length),
    pseudo=dict(config='configs/photos/faster_rcnn_bccd_softteacher.py', env=here, cfg_options={**length, 'model.semi_train_cfg.cls_pseudo_thr': 0.7, 'model.semi_train_cfg.unsup_weight': 2.0}),
)
quick = {'train_cfg.max_iters': 3, 'train_cfg.val_interval': 3, 'val_dataloader.dataset.indices': 8, 'default_hooks.logger.interval': 1}
del here, length, s, _l, _p
