# bccd_init_study.py with 6 labelled images (3 %) in place of 10, for which `python -m sssd init` writes the same.
# Nothing was chosen with so few.
_base_ = './bccd_init_study.py'
name = 'photos_bccd_init_3p'
data = dict(percents=[3])
here = dict(BCCD_LABELED='train.{seed}@3')
runs = dict(few=dict(env=here), sed_pseudo=dict(env=here), all=dict(env=here))
del here
