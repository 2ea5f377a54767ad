"""Ids: unique, of one type, and of images and categories that are there."""

import pytest

from sssd.registry import DATASETS


def test_sound_sets_have_no_finding(sets):
    assert sets.findings() == {}
    assert [line.split(', of ')[0].split(': ')[1] for line in sets.run.findings.lines] == [
        '6 images, 12 boxes, 2 classes',
        '4 images, unlabelled',
        '3 images, 6 boxes, 2 classes',
    ]


def repeat(name, key='id'):
    def change(coco):
        coco[name][1][key] = coco[name][0][key]

    return change


@pytest.mark.parametrize('part', ['train', 'val'])
@pytest.mark.parametrize('name', ['images', 'annotations', 'categories'])
def test_ids_that_repeat(sets, part, name):
    sets.edit(repeat(name), part)
    found = sets.findings()['duplicate-id']
    assert found.level == 'error' and found.count == 1 and found.examples == (1,)
    assert (
        found.where == str(sets.file(part)) and f"1 id of '{name}' stands for several entries (1; 1 entry" in found.text
    )


@pytest.mark.parametrize('part', ['train', 'val'])
def test_files_and_classes_that_repeat(sets, part):
    sets.edit(repeat('images', 'file_name'), part)
    found = sets.findings()['duplicate-file']
    assert found.level == 'error' and found.examples == ('0000.png',)
    sets.edit(repeat('categories', 'name'), part)
    assert sets.findings()['duplicate-class'].examples == ('disc',)


@pytest.mark.parametrize('value', [True, None, 1.5, [1], {}, ''])
@pytest.mark.parametrize(
    'name, key', [('images', 'id'), ('annotations', 'id'), ('categories', 'id'), ('annotations', 'image_id')]
)
def test_ids_that_are_none(sets, name, key, value):
    sets.edit(lambda coco: coco[name][1].update({key: value}))
    found = sets.findings()['form']
    assert found.level == 'error' and found.examples == (1,)
    assert f"{sets.file()}: '{key}' of entry 1 of '{name}' is '{value}', but has to be a whole number" in found.text


def test_ids_of_two_types(sets):
    sets.edit(lambda coco: coco['images'][1].update(id='2'))
    found = sets.findings()
    assert "some ids of 'images' are text, such as '2', and others are numbers" in found['id-type'].text
    assert found['unknown-image'].level == 'error'


def test_ids_as_text_in_one_place_and_numbers_in_the_other(sets):
    sets.edit(lambda coco: [thing.update(image_id=str(thing['image_id'])) for thing in coco['annotations']])
    found = sets.findings()['unknown-image']
    assert found.count == 12 and "write both as whole numbers (one is '1', the other 1)" in found.text


def as_text(coco):
    for image in coco['images']:
        image['id'] = f'a{image["id"]}'
    for number, thing in enumerate(coco['annotations']):
        thing.update(id=f'b{number}', image_id=f'a{thing["image_id"]}')


def test_text_everywhere_works_in_training_and_not_in_an_evaluation(sets):
    sets.edit(as_text)
    assert [finding.level for finding in sets.findings().values()] == ['note']
    assert len(DATASETS.build(sets.train)) == 6
    sets.edit(as_text, 'val')
    found = sets.findings()['id-type']
    assert {finding.level for finding in sets.run.findings.found} == {'note', 'error'} and found
    assert any('annotation ids that are text' in finding.text for finding in sets.run.findings.of('error'))


def test_an_annotation_of_id_0_in_an_evaluation(sets):
    sets.edit(lambda coco: coco['annotations'][0].update(id=0), 'train')
    assert sets.findings() == {}, 'training does not mind'
    sets.edit(lambda coco: coco['annotations'][0].update(id=0), 'val')
    found = sets.findings()['annotation-id-0']
    assert found.level == 'error' and "type='sssd.CocoMetric'" in found.text
    sets.cfg.val_evaluator.type = 'sssd.CocoMetric'
    assert sets.findings() == {}


@pytest.mark.parametrize('key, kind', [('image_id', 'unknown-image'), ('category_id', 'unknown-category')])
def test_annotations_of_what_is_not_there(sets, key, kind):
    sets.edit(lambda coco: coco['annotations'][3].update({key: 77}))
    found = sets.findings()[kind]
    assert (found.level, found.count, found.examples) == ('error', 1, (77,))
    assert f'1 of 12 annotations has the {key} of no entry' in found.text


def test_one_file_in_two_spellings(sets):
    sets.edit(lambda coco: coco['images'][1].update(file_name='./' + coco['images'][0]['file_name']))
    assert sets.findings()['duplicate-file'].examples == ('0000.png',)


def test_one_class_in_two_spellings(sets):
    sets.edit(lambda coco: coco['categories'].append(dict(id=3, name='Disc ')))
    found = sets.findings()['class-spelling']
    assert found.level == 'warning' and found.examples == ('disc', 'Disc ')


@pytest.mark.parametrize('shift, told', [(1, 'take 1 from every category_id'), (-1, 'add 1 to every category_id')])
def test_category_ids_that_are_one_off(sets, shift, told):
    sets.edit(lambda coco: [thing.update(category_id=thing['category_id'] + shift) for thing in coco['annotations']])
    found = sets.findings()['unknown-category']
    assert found.level == 'error' and told in found.text
    sets.edit(lambda coco: coco['annotations'][0].update(category_id=7))
    assert "add what is missing to 'categories'" in sets.findings()['unknown-category'].text
