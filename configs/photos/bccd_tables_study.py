# Tables 4, 6, 9 and 10 of the SED paper on photographs: the rows of configs/ablations with the data, start and schedule
# of bccd_faster_rcnn_study.py, and weights by their gradients. `sed` is the last row of each table; `sed_hold` has its
# weights follow the gradients to the end, by a moving average over about 100 iterations.
_base_ = './bccd_faster_rcnn_study.py'
name = 'photos_bccd_tables'
here = dict(BCCD_LABELED='train.{seed}@3', SED_BASE='../photos/faster_rcnn_bccd_tables.py')
length = _base_.runs['few'].cfg_options
runs = dict(
    _delete_=True,
    few=_base_.runs['few'],
    sed=dict(config='configs/photos/faster_rcnn_bccd_tables.py', env=here, cfg_options=length),
    sed_hold=dict(
        config='configs/photos/faster_rcnn_bccd_tables.py',
        env=here,
        cfg_options={**length, 'custom_hooks.3.hold': True, 'custom_hooks.3.interval': 5}),
    **{
        row: dict(config=f'configs/ablations/{row}.py', env=here, cfg_options=length)
        for row in ('reweight_mean', 'scr_mean', 'scr', 'distill_mean', 'distill', 'hard_targets',
                    'distill_wide_jitter', 'alpha_cosine', 'alpha_constant', 'reweight_ohem', 'reweight_focal')
    },
    all=_base_.runs['all'])
del here, length
