"""Are the parts of a config that name data dicts, texts and lists where they have to be?"""

from collections.abc import Iterator, Mapping

from sssd.checks.findings import Findings

#: What the values of a data set are, where they are there.
KINDS = dict(
    data_root=(str, 'a text'),
    ann_file=(str, 'a text'),
    data_prefix=(Mapping, 'a dict'),
    metainfo=(Mapping, 'a dict'),
    filter_cfg=(Mapping, 'a dict'),
    pipeline=((list, tuple), 'a list'),
)


def has_shape(findings: Findings, where: str, loader, model) -> bool:
    """Whether a dataloader and the model are of a form that can be looked into; what is not is told."""
    faults = list(_faults(where, loader, model))
    for key, value, kind in faults:
        findings.error('config', key, f'{key} is {value!r:.60}, but has to be {kind}; correct the config.')
    return not faults


def _faults(where: str, loader, model) -> Iterator[tuple[str, object, str]]:
    """(key, value, what it has to be) of all that is of another form."""
    if not isinstance(model, Mapping):
        yield 'model', model, 'a dict'
    if not isinstance(loader, Mapping):
        yield where, loader, 'a dict'
        return
    if not isinstance(loader.get('sampler') or {}, Mapping):
        yield f'{where}.sampler', loader['sampler'], 'a dict'
    yield from _of_dataset(f'{where}.dataset', loader.get('dataset'))


def _of_dataset(key: str, dataset) -> Iterator[tuple[str, object, str]]:
    if not isinstance(dataset, Mapping):
        yield key, dataset, 'a dict'
    elif 'datasets' in dataset:
        if not isinstance(dataset['datasets'], (list, tuple)) or not dataset['datasets']:
            yield f'{key}.datasets', dataset['datasets'], 'a list of dicts'
            return
        for number, inner in enumerate(dataset['datasets']):
            yield from _of_dataset(f'{key}.datasets[{number}]', inner)
    elif 'dataset' in dataset:
        yield from _of_dataset(f'{key}.dataset', dataset['dataset'])
    else:
        for name, (kind, said) in KINDS.items():
            if dataset.get(name) is not None and not isinstance(dataset[name], kind):
                yield f'{key}.{name}', dataset[name], said
        prefix = dataset.get('data_prefix')
        for name, value in prefix.items() if isinstance(prefix, Mapping) else ():
            if value is not None and not isinstance(value, str):
                yield f'{key}.data_prefix.{name}', value, 'a text'
