# A fall of the learning rate after two thirds of small.py's iterations, for configs that add it to param_scheduler.
fall = dict(type='MultiStepLR', by_epoch=False, begin=0, end=1500, milestones=[1000], gamma=0.1)
