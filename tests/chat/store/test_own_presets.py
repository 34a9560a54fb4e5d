"""Presets: those that come with furet, and one's own."""

from __future__ import annotations

import pytest

from furet.chat.formats import find_preset
from furet.chat.presets import PRESETS
from furet.chat.store import Store
from furet.errors import BadRequest, NotFound


def test_those_that_come_with_furet_can_all_be_used(store: Store) -> None:
    presets = store.presets()
    assert all(preset.built_in for preset in presets) and len({preset.id for preset in presets}) == len(presets) > 30
    for preset in presets:
        chat = store.new_chat("m", system=preset.system, settings=preset.settings, preset=preset.format)
        assert chat.preset == find_preset(preset.format or "").name and store.preset(preset.id) == preset
    assert {preset.format for preset in presets} == {preset.name for preset in PRESETS}
    named = {preset.name: preset for preset in presets}
    assert named["Saiga 7B"].settings == {"temperature": 0.8, "top_k": 20, "repeat_penalty": 1.176}
    assert named["TinyLlama"].system == "You are a story writing assistant."


def test_ones_own_are_made_changed_and_deleted(store: Store) -> None:
    made = store.save_preset(" Pirate ", system="Arr.", settings={"temperature": 1.5}, format="ChatML")
    assert (made.name, made.format, made.built_in) == ("Pirate", "chatml", False)
    assert store.presets()[0] == store.preset(made.id) == made
    changed = store.save_preset("pirate", preset=made.id)
    assert (changed.id, changed.name, changed.system, changed.settings) == (made.id, "pirate", None, {})
    other = store.save_preset("Admiral")
    assert [preset.name for preset in store.presets()[:2]] == ["Admiral", "pirate"]
    for name, preset in (("PIRATE", None), ("Pirate", other.id)):
        with pytest.raises(BadRequest, match="there is a preset"):
            store.save_preset(name, preset=preset)
    store.delete_preset(made.id)
    with pytest.raises(NotFound):
        store.delete_preset(made.id)
    with pytest.raises(NotFound):
        store.save_preset("x", preset=made.id)


def test_those_that_come_with_furet_stay(store: Store) -> None:
    chatml = next(preset for preset in store.presets() if preset.name == "ChatML")
    for call in (lambda: store.delete_preset(chatml.id), lambda: store.save_preset("mine", preset=chatml.id)):
        with pytest.raises(BadRequest, match="comes with furet"):
            call()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": ""}, "name: wanted a text"),
        ({"name": "a\nb"}, "name: .*single line"),
        ({"name": "a", "settings": {"nonsense": 1}}, "no setting 'nonsense'"),
        ({"name": "a", "format": "nonsense"}, "format: no preset"),
        ({"name": "a", "system": 5}, "system: "),
    ],
)
def test_what_cannot_be_is_refused(store: Store, arguments: dict, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        store.save_preset(**arguments)
