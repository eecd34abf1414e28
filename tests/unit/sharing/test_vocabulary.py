import re

from sharing.vocabulary import ACTS, Act, new_id


def test_ids_are_26_characters_of_a_to_z_and_2_to_7_and_never_twice():
    ids = {new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(re.fullmatch("[a-z2-7]{26}", value) for value in ids)


def test_every_act_has_a_dicom_type_and_an_action_code():
    assert set(ACTS) == set(Act)
    assert Act.SLIDE_OPENED.type == "110103"
    assert Act.SLIDE_OPENED.code == "R"
