"""When a trouble that lasts is told again."""

from sharing.alarm import AGAIN_US, Alarm


def test_a_trouble_is_told_when_it_changes_and_every_hour_and_its_end_once() -> None:
    alarm = Alarm()
    turns = [
        ("", 0, False),
        ("caen", 1, True),
        ("caen", 2, False),
        ("caen", AGAIN_US, False),
        ("caen", AGAIN_US + 1, True),
        ("caen", AGAIN_US + 2, False),
        ("caen, lille", AGAIN_US + 3, True),
        ("caen", AGAIN_US + 4, True),
        ("", AGAIN_US + 5, True),
        ("", 9 * AGAIN_US, False),
        ("caen", 9 * AGAIN_US, True),
    ]
    assert [alarm.due(state, now_us) for state, now_us, _ in turns] == [told for *_, told in turns]
