import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coview import recipes
from coview.data.batching import SubjectTimes
from coview.data.label_budget import ShownLabels
from coview.data.session_dataset import RecordedConfig
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.skeletons import COCO_17, H36M_17, Skeleton
from coview.training.recipe import Recipe, check_fields, from_plain, numerics_notes, to_plain

RECIPE = Recipe(method=CanonPoseConfig(width=8), data=SyntheticConfig(instants=9), steps=3)


def test_numerics_that_do_not_go_together_are_said():
    recipe = recipes.load("algebraic_human36m")
    released = replace(recipe.method, released_numerics=True), replace(recipe.data, released_numerics=True)
    assert numerics_notes(recipe) == numerics_notes(RECIPE) == ()
    assert numerics_notes(replace(recipe, method=released[0], data=released[1]), released=True) == ()
    (note,) = numerics_notes(replace(recipe, method=released[0]))
    assert "data.released_numerics is not" in note
    assert "--data.released-numerics" in note
    (note,) = numerics_notes(replace(recipe, data=released[1]))
    assert "method.released_numerics is not" in note
    (note,) = numerics_notes(recipe, released=True)
    assert "errors are not those published. Add --method.released-numerics" in note


def test_a_number_of_steps_that_became_a_choice_is_read():
    assert from_plain(10, bool) is True
    assert from_plain(0, bool) is False


@pytest.mark.parametrize("name", recipes.names())
def test_recipes_survive_json(name):
    recipe = recipes.load(name)
    text = json.dumps(to_plain(recipe))
    assert from_plain(json.loads(text), Recipe) == recipe


def test_paths_tuples_and_skeletons_survive_json():
    own = Skeleton("mine", ("a", "b"), (("a", "b"),), "a")
    for data in (
        RecordedConfig((Path("/tmp/a b"), Path("c")), cameras=("left",)),
        SyntheticConfig(skeleton=own, size=(640, 480)),
        SyntheticConfig(skeleton=COCO_17),
    ):
        assert from_plain(json.loads(json.dumps(to_plain(data))), type(data)) == data


def test_known_skeletons_are_written_by_name():
    assert to_plain(SyntheticConfig())["skeleton"] == "h36m_17"


def test_what_is_no_value_is_refused():
    @dataclass(frozen=True)
    class Odd:
        thing: Any = field(default_factory=set)

    with pytest.raises(TypeError, match="not set"):
        to_plain(Odd())


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"type": "os.path.join"}, "is no Recipe"),
        ({"type": "coview.skeletons.Skeleton", "name": "x"}, "is no Recipe"),
        ({"type": "evil_module.Payload"}, "not part of coview. Import 'evil_module' first"),
        ({"type": "coview.training.recipe.Nothing"}, "cannot be found"),
        ({**to_plain(RECIPE), "speed": 3}, "has no speed: the recipe comes from another version"),
        ({"method": {}}, "cannot be found|not part of coview"),
    ],
)
def test_foreign_json_is_refused(plain, message):
    with pytest.raises(ValueError, match=message):
        from_plain(plain, Recipe)


def test_data_that_lacks_a_field_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"CanonPoseConfig needs 'rig', which SyntheticConfig does not provide; it has"
    ):
        check_fields(RECIPE, SyntheticConfig().provides - {"rig"})
    check_fields(RECIPE, SyntheticConfig().provides)


def test_data_must_say_what_batches_and_splits_go_by():
    known = SyntheticConfig().provides
    few = replace(RECIPE, batching=SubjectTimes(), labels=ShownLabels(split="s1"))
    check_fields(few, known)
    with pytest.raises(ValueError, match="needs 'labelled', which"):
        check_fields(few, known - {"joints3d"})
    with pytest.raises(ValueError, match="needs 'subject', 'time', which"):
        check_fields(few, known - {"subject", "time"})


def test_labels_that_cannot_be_hidden_are_refused():
    with pytest.raises(ValueError, match=r"CanonPose.* sees 2D joints at test time: they are no labels"):
        check_fields(replace(RECIPE, labels=ShownLabels(share2d=0.5)), SyntheticConfig().provides)
    second = recipes.load("refinement_unit")
    second = replace(second, labels=ShownLabels(share=0.5), first_from=Path("runs/first"))
    with pytest.raises(ValueError, match="first_from names a run that would be shown the rest"):
        check_fields(second, second.data.provides)


def test_needs_are_known_without_memory():
    big = Recipe(method=CanonPoseConfig(width=100_000), data=SyntheticConfig(), steps=1)  # 400 GB of weights
    assert big.needs == {"joints2d", "confidence", "image_size", "rig"}
    assert big.unbuilt().root == H36M_17.root_index


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"resolve_ambiguity_at": (0.0,)}, "resolve_ambiguity_at holds shares of the run"),
        ({"resolve_ambiguity_at": (float("nan"),)}, "resolve_ambiguity_at must be a finite number, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number, got inf"),
        ({"weight_decay": -1.0}, r"weight_decay cannot be negative, got -1\.0"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"batch_size": 10, "accumulate": 4}, "batch_size 10 cannot be cut into 4 equal parts"),
        ({"batch_size": 12, "accumulate": 4, "devices": 2}, "cut into 8 equal parts .*each of devices 2"),
        ({"devices": 0}, "devices must be at least 1, got 0"),
        ({"clip_norm": -1.0}, r"clip_norm cannot be negative, got -1\.0"),
        ({"warm_up": -1}, "warm_up cannot be negative, got -1"),
        (
            {"method": CanonPoseConfig(view_weight=float("nan"))},
            r"method\.view_weight must be a finite number",
        ),
        ({"data": SyntheticConfig(fps=float("inf"))}, r"data\.fps must be a finite number, got inf"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{"method": CanonPoseConfig(), "data": SyntheticConfig(), "steps": 5, **wrong})


@dataclass(frozen=True)
class Reaching(CanonPoseConfig):
    reach: float = math.inf


def test_a_setting_whose_default_is_infinite_may_be_so():
    Recipe(method=Reaching(), data=SyntheticConfig(), steps=5)
    with pytest.raises(ValueError, match=r"method\.reach must be a finite number, got nan"):
        Recipe(method=Reaching(reach=math.nan), data=SyntheticConfig(), steps=5)


def test_a_precision_nobody_knows_is_refused():
    recipe = Recipe(method=CanonPoseConfig(), data=SyntheticConfig(), steps=5)
    object.__setattr__(recipe, "precision", "16")  # past the type checker that tests run with
    with pytest.raises(ValueError, match="precision is '32' or 'bf16', got '16'"):
        recipe.__post_init__()


def test_pictures_of_a_size_that_the_method_refuses_are_not_made():
    recipe = recipes.load("ransac_rendered")
    with pytest.raises(
        ValueError, match=r"pictures are 64 pixels.*longer side of 128.*--data.size and --method.size"
    ):
        check_fields(replace(recipe, data=replace(recipe.data, size=64)), recipe.data.provides)
    with pytest.raises(ValueError, match="128 × 48 pixels"):
        check_fields(replace(recipe, data=replace(recipe.data, height=48)), recipe.data.provides)
    check_fields(recipe, recipe.data.provides)
