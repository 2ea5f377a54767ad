# The distance and its share are logged as losses are: means over the log interval, not values of its last iteration.
_base_ = './small_runtime.py'
log_processor = dict(mean_pattern=r'.*(loss|time|data_time|grad_norm|distill_).*')
