"""What a config of SED has to have beside its model: a moving teacher, and views of one geometry."""

from collections.abc import Iterator, Mapping

from mmengine.config import Config

from sssd.errors import UserError

MOVERS = ('EMATeacherHook', 'MeanTeacherHook')
#: Transforms that move pixels: a cell of one view is then another place of the image than that cell of the other.
GEOMETRY = (
    'Resize', 'RandomResize', 'RandomChoiceResize', 'FixShapeResize', 'ResizeShortestEdge', 'RandomFlip', 'Pad',
    'RandomCrop', 'MinIoURandomCrop', 'RandomCenterCropPad', 'RandomAffine', 'RandomShift', 'Rotate', 'ShearX',
    'ShearY', 'TranslateX', 'TranslateY', 'GeomTransform', 'Expand', 'Mosaic', 'MixUp', 'CachedMosaic', 'CachedMixUp',
    'CopyPaste', 'CenterCrop',
)  # fmt: skip
BRANCHES = ('unsup_teacher', 'unsup_student')


def check_role(cfg: Config, name: str, training: bool = False) -> None:
    """Refuse a part to predict on that a pair of student and teacher has not: mmdet would take the student.

    Args:
        cfg: A config.
        name: What it is called.
        training: Whether it is to be trained, when mmdet's loop evaluates teacher and student whatever is said.

    Raises:
        UserError: Naming it.
    """
    model = cfg.get('model') or {}
    role = (model.get('semi_test_cfg') or {}).get('predict_on', 'teacher')
    guide = model.get('guidance') is not None and not training
    if role not in ('teacher', 'student', *(['guide'] if guide else [])):
        raise UserError(
            f'{name}: model.semi_test_cfg.predict_on is {role!r}; use teacher (the default)'
            f'{", student or, with the labels given, guide" if guide else " or student"}.'
        )


def check_semi(cfg: Config, name: str) -> None:
    """Refuse an SED that would train on cells that are no pairs, or with a teacher that never learns.

    Raises:
        UserError: Naming what is wrong.
    """
    check_role(cfg, name, training=True)
    if str(cfg.model.get('type')).rpartition('.')[2] != 'SED':
        return
    hooks = [str(hook.get('type')).rpartition('.')[2] for hook in cfg.get('custom_hooks') or ()]
    if not any(hook in MOVERS for hook in hooks):
        raise UserError(
            f'{name} trains SED, but no hook moves its teacher, which would stay as it is at the start: add '
            "dict(type='sssd.EMATeacherHook') to custom_hooks, as configs/_base_/sed.py has it."
        )
    for branch, step in branch_steps((cfg.train_dataloader or {}).get('dataset') or {}):
        if branch in BRANCHES and step in GEOMETRY:
            raise UserError(
                f'{name}: {step} stands in the branch {branch} of MultiBranch, so weak and strong view have different '
                'geometries and their cells do not pair: put it before MultiBranch, where it is drawn once for both.'
            )


def branch_steps(value) -> Iterator[tuple[str, str]]:
    """Branch and type of every transform inside of a MultiBranch, however deeply it is wrapped."""
    if isinstance(value, Mapping):
        if str(value.get('type')).rpartition('.')[2] == 'MultiBranch':
            for branch in BRANCHES:
                yield from ((branch, step) for step in types_of(value.get(branch)))
        else:
            for item in value.values():
                yield from branch_steps(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from branch_steps(item)


def types_of(value) -> Iterator[str]:
    """All types named in nested dicts and lists, without their scopes."""
    if isinstance(value, Mapping):
        if 'type' in value:
            yield str(value['type']).rpartition('.')[2]
        for item in value.values():
            yield from types_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from types_of(item)
