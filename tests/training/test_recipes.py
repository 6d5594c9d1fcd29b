"""The table of recipes."""

from dataclasses import fields

import pytest

from studio.training.recipe import RECIPES


# the command line gives both by name; one that both have would only ever reach the model
@pytest.mark.parametrize("name", RECIPES.names())
def test_no_setting_of_a_trainer_has_the_name_of_one_of_its_model(name: str) -> None:
    recipe = RECIPES[name]
    both = {entry.name for entry in fields(recipe.model)} & {entry.name for entry in fields(recipe.trainer)}
    assert both == set()
