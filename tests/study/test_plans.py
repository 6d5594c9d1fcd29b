"""What the studies plan, counted by hand."""

import pytest

from studio.core.errors import InvalidRequest, StudioError
from studio.core.fields import configure
from studio.study.activations import ActivationStudy
from studio.study.objectives import ObjectiveStudy
from studio.study.plan import STUDIES, RunPlan
from studio.training.recipe import RECIPES


def test_the_activation_study_tries_each_in_both_networks_and_mixtures_together() -> None:
    study = ActivationStudy()
    settings = study.settings
    assert len(settings) == 21  # 8 in G and 8 in D share the paper's pair; 2 mixtures in G, in D and in both
    assert settings.count(("relu", "leaky_relu")) == 1
    assert ("relu,prelu", "relu,prelu") in settings
    runs = STUDIES["activations"].plans(study)
    assert len(runs) == 63
    assert {run.images for run in runs} == {study.steps * study.batch}
    assert [run.seed for run in runs[:21]] == [0] * 21, "seed by seed"


def test_the_objective_study_gives_every_run_the_same_time() -> None:
    runs = STUDIES["objectives"].plans(ObjectiveStudy(seconds=60, seeds=2))
    assert {run.seconds for run in runs} == {60}
    assert [run.setting for run in runs[:9]] == [
        "GAN minimax", "GAN non-saturating", "GAN least-squares", "GAN hinge", "GAN relativistic",
        "E-GAN", "E-GAN every 30 steps", "conditional GAN", "VAE",
    ]  # fmt: skip
    assert [run.trainer for run in runs[5:7]] == [{}, {"interval": 30}]
    settings = {run.setting for run in STUDIES["objectives"].plans(ObjectiveStudy(interval=0))}
    assert "E-GAN" in settings
    assert not any("every" in setting for setting in settings)


@pytest.mark.parametrize("name", STUDIES.names())
def test_every_plan_is_a_recipe_with_settings_that_it_takes(name: str) -> None:
    for run in STUDIES[name].plans(STUDIES[name].config()):
        recipe = RECIPES[run.recipe]
        configure(recipe.model, run.model)
        configure(recipe.trainer, run.trainer)
        assert RunPlan(**run.to_json()) == run


def test_a_plan_is_the_same_wherever_it_runs_and_another_with_other_settings() -> None:
    run = STUDIES["activations"].plans(ActivationStudy())[0]
    told = run.to_json()
    assert run.same_as(told | {"device": "cuda", "features": "vgg16=elsewhere.safetensors"})
    assert not run.same_as(told | {"seed": 5})
    assert not run.same_as(None)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"activations": "relu,swish"}, "swish.*sigmoid, tanh, relu"),
        ({"activations": "", "mixed": ""}, "no setting"),
        ({"networks": "encoder"}, "networks is 'encoder'"),
        ({"steps": 0}, "steps is 0"),
        ({"resolution": 48}, "resolution is 48"),
        ({"seeds": 0}, "seeds is 0"),
    ],
)
def test_settings_out_of_bounds_are_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(StudioError, match=sentence):
        ActivationStudy(**settings)  # type: ignore[arg-type]


def test_unknown_objectives_and_models_are_refused() -> None:
    with pytest.raises(StudioError, match="Unknown objective 'swirl'"):
        ObjectiveStudy(objectives="swirl")
    with pytest.raises(InvalidRequest, match="others is 'flow'; it must be one of egan, cdcgan, vae"):
        ObjectiveStudy(others="flow")
