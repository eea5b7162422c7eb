import pytest
from pni_fast.config import setting_names
from pni_fast.errors import PniError
from pni_fast.presets import Config, preset


def test_names_reach_into_the_parts():
    names = setting_names(Config)
    assert {"rule", "likelihood_lambda", "mlp.dropout", "refiner.ratio"} <= set(names)
    assert "mlp" not in names


def test_text_is_read_as_the_type_of_its_field():
    config = preset(
        "lite",
        **{
            "mlp.dropout": "0.5",
            "mlp.epochs": "7",
            "position": "no",
            "rule": "scores",
            "refiner.side": "none",
        },
    )
    assert (config.mlp.dropout, config.mlp.epochs, config.position) == (0.5, 7, False)
    assert (config.rule, config.refiner.side) == ("scores", None)
    assert preset("lite", **{"refiner.levels": "0,1,2,3"}).refiner.levels == (0, 1, 2, 3)


def test_a_part_may_be_changed_by_name_by_mapping_or_whole():
    named = preset("paper", **{"mlp.dropout": 0.5})
    assert named.mlp.dropout == 0.5
    assert named.mlp.width == 2048
    assert preset("paper", mlp={"dropout": 0.5}) == named
    assert preset("paper", mlp=named.mlp) == named


def test_the_ablation_options_are_off_in_the_papers_preset():
    config = preset("paper")
    assert (config.rule, config.likelihood_lambda) == ("average", 0.0)
    assert (config.mlp.dropout, config.mlp.validation, config.mlp.fit_temperature) == (0.0, 0.0, False)
    assert config.mlp.temperature == 2.0


@pytest.mark.parametrize("name", ["mlp.drop", "dropout", "rule.x", "mlp.", "mlp.dropout.x", "nothing"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(TypeError, match=r"unknown setting '.*'; settings are .*mlp\.dropout"):
        preset("lite", **{name: 1})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mlp.dropout", 1.0, "mlp.dropout must be at least 0 and below 1, got 1.0"),
        ("mlp.dropout", "much", "mlp.dropout must be a number, got 'much'"),
        ("mlp.dropout", float("nan"), "mlp.dropout must be at least 0 and below 1, got nan"),
        ("mlp.validation", -0.1, "mlp.validation must be at least 0 and below 1, got -0.1"),
        ("mlp.fit_temperature", True, "mlp.fit_temperature needs a validation share above 0"),
        ("mlp.fit_temperature", "perhaps", "mlp.fit_temperature must be yes or no, got 'perhaps'"),
        ("mlp.epochs", 1.5, "mlp.epochs must be a whole number, got 1.5"),
        ("mlp.epochs", True, "mlp.epochs must be a whole number, got True"),
        ("mlp.layers", 1, "mlp.layers must be at least 2, got 1"),
        ("mlp.temperature", 0, "mlp.temperature must be above 0 and finite, got 0.0"),
        ("mlp", 3, "mlp must be a MLPConfig, got 3"),
        ("refiner.ratio", 2, "refiner.ratio must be in [0, 1], got 2.0"),
        ("refiner.side", "wide", "refiner.side must be a whole number or none, got 'wide'"),
        ("likelihood_lambda", -1, "likelihood_lambda must be at least 0 and finite, got -1.0"),
        ("likelihood_lambda", float("inf"), "likelihood_lambda must be at least 0 and finite, got inf"),
        ("rule", "product", "rule must be one of average, both, scores, penalty, blend, got 'product'"),
        ("rule", 3, "rule must be a text, got 3"),
        ("dimension", 0, "dimension must be at least 1, got 0"),
        ("sigma", -1.0, "sigma must be at least 0 and finite, got -1.0"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name, value, message):
    with pytest.raises(PniError) as caught:
        preset("lite", **{name: value})
    assert message in str(caught.value)
