"""Every recipe is found, builds, takes one step and never sees what it did not ask for."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from coview import recipes
from coview.data.base import InMemory
from coview.data.label_budget import ShownLabels
from coview.data.session_dataset import RecordedConfig
from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
from coview.methods.epipolar_pose import EpipolarPoseConfig
from coview.methods.mcss import McssConfig, McssImageConfig
from coview.methods.mcss_lifting import McssLiftingConfig
from coview.methods.refinement_unit import RefinementUnitConfig
from coview.methods.shared.image_method import ImageConfig
from coview.methods.skeleton_morphing import SkeletonMorphingConfig
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.methods.weak_25d_lifting import Weak25DLiftingConfig
from coview.training.recipe import Recipe, from_plain, to_plain

TAUGHT_BY_LABELS = (
    RefinementUnitConfig,
    SkeletonMorphingConfig,
    SupervisedLiftingConfig,
    McssConfig,
    McssLiftingConfig,
)
ON_IMAGES = (ImageConfig, McssImageConfig)
FIELDS = ("images", "cameras", "joints2d", "confidence", "image_size", "joints3d", "base_point", "rig")
PSEUDO = {"pseudo3d", "pseudo_covariance", "pseudo_cameras"}  # made from the data before training begins
CROP = 64  # pixels


def some_data(recipe: Recipe) -> InMemory:
    """A few instants of the recipe's own data; generated ones where that data is the user's to bring."""
    own = recipe.data if isinstance(recipe.data, SyntheticConfig) else SyntheticConfig(noise=DetectorNoise())
    changes = {"instants": 6, "validation_instants": 4, "subjects": 1}
    instants = type(own)(**{**vars(own), **changes}).train().instants
    guesses = torch.randn(*instants.joints2d.shape[:-1], 3, generator=torch.Generator().manual_seed(2))
    instants = ShownLabels(count=3).shown(InMemory(instants)).instants if recipe.labels.some3d else instants
    pseudo = {"pseudo3d": instants.joints3d, "pseudo_covariance": 1e-4 * torch.eye(3).expand(6, 17, 3, 3)}
    labelled2d = torch.arange(6)[:, None].expand(6, instants.joints2d.shape[1]) < 3
    instants = instants.replaced(
        labelled2d=labelled2d, first_guess=guesses, pseudo_cameras=instants.cameras, **pseudo
    )
    if not isinstance(recipe.method, ON_IMAGES):
        return InMemory(instants)
    crops = instants.cameras.resize(torch.full((2,), float(CROP)))
    images = torch.rand(6, crops.size.shape[1], 3, CROP, CROP, generator=torch.Generator().manual_seed(0))
    base = instants.joints3d[:, instants.skeleton.root_index]
    return InMemory(
        instants.replaced(
            images=images,
            cameras=crops,
            pseudo_cameras=crops,
            joints2d=crops.project(instants.joints3d[:, None]),
            image_size=crops.size,
            base_point=base,
        )
    )


def small(recipe: Recipe) -> Recipe:
    """The recipe with a network that takes a test's time, where it is one for images."""
    method = recipe.method
    if isinstance(method, ImageConfig):
        method = replace(method, depth=18, size=CROP, deconv=16)
    if isinstance(method, McssImageConfig):
        method = replace(method, size=CROP, trunk=4)
    if isinstance(method, VolumetricTriangulationConfig):
        method = replace(method, cells=8, levels=2, width=8, channels=8)
    if isinstance(method, EpipolarPoseConfig):
        method = replace(method, cells=8)
    return replace(recipe, method=method)


@pytest.mark.parametrize("name", recipes.names())
def test_one_step(name):
    recipe = small(recipes.load(name))
    data = some_data(recipe)
    method = recipe.method.build(data.skeleton)
    batch = data[torch.arange(6)]
    if isinstance(recipe.method, McssConfig):
        method.fit_statistics([batch])
    terms = method.losses(method(batch.only(method.inputs)), batch.only(method.needs))
    total = sum(terms.values())
    total.backward()
    assert total.isfinite()
    learning = [p for p in method.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning)
    facts = method.resolve_ambiguity(batch.only(method.needs))
    assert all(isinstance(value, bool | int | float | str) for value in facts.values())


@pytest.mark.parametrize("name", recipes.names())
def test_what_is_not_declared_cannot_be_read(name):
    recipe = recipes.load(name)
    method = recipe.unbuilt()
    assert not method.inputs & method.supervision
    batch = some_data(recipe)[torch.arange(2)].only(method.needs)
    for hidden in set(FIELDS) - method.needs:
        with pytest.raises(LookupError, match=f"no '{hidden}'"):
            getattr(batch, hidden)


@pytest.mark.parametrize("name", recipes.names())
def test_self_supervised_recipes_read_no_labels(name):
    """CanonPose's promise, checked: neither 3D joints nor cameras, ever. Methods that learn from labels
    are named here one by one, so that none becomes one unnoticed. Those on images need calibrated cameras, and
    may not look at 3D joints to find them."""
    recipe = recipes.load(name)
    labels = recipe.needs & {"joints3d", "cameras"}
    if isinstance(recipe.method, TAUGHT_BY_LABELS):
        assert labels, f"{name}: a method listed as taught by labels reads none; take it off the list."
        assert not labels & recipe.unbuilt().inputs
    elif isinstance(recipe.method, ImageConfig):
        assert recipe.unbuilt().inputs <= {"images", "cameras", "base_point"}
        if isinstance(recipe.method, EpipolarPoseConfig):
            assert ("joints3d" in recipe.needs) == name.endswith("_supervised")
    elif isinstance(
        recipe.method, Weak25DLiftingConfig
    ):  # of cameras, lenses alone; its own tests hide the rest
        assert labels == {"cameras"}
        assert recipe.unbuilt().intrinsics_only
    else:
        assert not labels


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_a_value_and_its_data_feeds_its_method(name):
    recipe = recipes.load(name)
    elsewhere = {"base_point", "first_guess"} | PSEUDO  # from another run, or made from the data
    provided = recipe.data.provides | recipe.labels.added(recipe.data.provides)
    if isinstance(recipe.data, RecordedConfig) and recipe.unbuilt().intrinsics_only:
        elsewhere |= {"cameras"}  # the user's, whose recording has them or is refused
    if name in ("mcss_session", "mcss_lifting_session"):  # the session is to be reconstructed
        elsewhere |= {"joints3d", "labelled"}
    assert recipe.needs - elsewhere <= provided
    with pytest.raises(FrozenInstanceError):
        recipe.steps = 3


def test_unknown_recipes_are_answered_with_the_known_ones():
    with pytest.raises(LookupError, match=r"no recipe 'canonpoze'\. Known: .*canonpose_demo"):
        recipes.load("canonpoze")
    with pytest.raises(LookupError, match=r"no module 'not\.there'"):
        recipes.load("not.there")
    with pytest.raises(LookupError, match="defines no value named `recipe`"):
        recipes.load("coview.skeletons")


def test_the_table_of_needs_has_a_row_per_recipe():
    rows = {row["recipe"]: row for row in recipes.needs()}
    assert sorted(rows) == recipes.names()
    assert rows["canonpose_demo"] == {
        "recipe": "canonpose_demo",
        "method": "CanonPose",
        "reads at test time": "confidence, image_size, joints2d",
        "reads in training besides": "rig",
    }


def test_any_dotted_path_is_a_recipe(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("recipe = 3\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text(
        "from coview.recipes.synthetic.canonpose_synthetic import recipe\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert recipes.load("elsewhere.mine") == recipes.load("canonpose_synthetic")
    with pytest.raises(LookupError, match=r"no module 'elsewhere\.yours'"):
        recipes.load("elsewhere.yours")


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_survives_being_written_as_json(name):
    recipe = recipes.load(name)
    assert from_plain(to_plain(recipe), Recipe) == recipe


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("supervised_mocap4", "3D labels, given cameras"),
        ("mcss_mocap4", "few 3D labels"),
        ("canonpose_mocap4", "nothing"),
        ("coview_mocap4", "intrinsics"),
        ("epipolar_lift_mocap4", "intrinsics"),
        ("weak25d_mocap4", "intrinsics"),
    ],
)
def test_what_a_recipe_is_taught_by(name, words):
    assert recipes.taught_by(name) == words


def test_pseudo_labels_from_given_cameras_need_given_cameras(monkeypatch):
    recipe = recipes.load("epipolar_lift_mocap4")
    given = replace(recipe, pseudo=replace(recipe.pseudo, cameras="given"))
    monkeypatch.setattr(recipes, "load", lambda name: given)
    assert recipes.taught_by("any") == "given cameras"
