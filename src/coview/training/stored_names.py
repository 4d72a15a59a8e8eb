"""Names under which settings are stored in `recipe.json`, so that stored runs load after modules have moved.

A class that stands in `NAMES` is stored by its name there, any other (a method of yours, say) by its import path.
`OLD_PATHS` says what the import paths mean that coview 0.1.0 stored, `OLD_FIELDS` what fields were called earlier.
Moving a class changes its line in `NAMES` and nothing else; a name, once released, keeps its meaning for good.
"""

# name in the file -> where the class is today
NAMES = {
    "recipe": "coview.training.recipe.Recipe",
    # methods
    "algebraic_triangulation": "coview.methods.algebraic_triangulation.AlgebraicTriangulationConfig",
    "ransac_triangulation": "coview.methods.algebraic_triangulation.RansacTriangulationConfig",
    "volumetric_triangulation": "coview.methods.volumetric_triangulation.VolumetricTriangulationConfig",
    "canonpose": "coview.methods.canonpose.CanonPoseConfig",
    "self_fusion": "coview.methods.cross_view_fusion.SelfFusionConfig",
    "epipolar_pose": "coview.methods.epipolar_pose.EpipolarPoseConfig",
    "refinement_unit": "coview.methods.refinement_unit.RefinementUnitConfig",
    "weak_25d": "coview.methods.weak_25d.Weak25DConfig",
    "weak_25d_lifting": "coview.methods.weak_25d_lifting.Weak25DLiftingConfig",
    "mcss": "coview.methods.mcss.McssConfig",
    "mcss_images": "coview.methods.mcss.McssImageConfig",
    "mcss_lifting": "coview.methods.mcss_lifting.McssLiftingConfig",
    "pseudo_label_lifting": "coview.methods.pseudo_label_lifting.PseudoLabelLiftingConfig",
    "supervised_lifting": "coview.methods.supervised_lifting.SupervisedLiftingConfig",
    "skeleton_morphing": "coview.methods.skeleton_morphing.SkeletonMorphingConfig",
    # data
    "session_data": "coview.data.session_dataset.RecordedConfig",
    "synthetic": "coview.data.synthetic.recordings.SyntheticConfig",
    "detector_noise": "coview.data.synthetic.recordings.DetectorNoise",
    "mocap4": "coview.data.mocap.mocap4.Mocap4Config",
    "human36m": "coview.data.human36m.dataset.Human36MConfig",
    "rendered": "coview.data.rendering.dataset.RenderedConfig",
    # how they are batched, shown and varied
    "shuffled": "coview.data.batching.Shuffled",
    "mixed": "coview.data.batching.Mixed",
    "subject_times": "coview.data.batching.SubjectTimes",
    "label_budget": "coview.data.label_budget.ShownLabels",
    "augment": "coview.data.augment.Augment",
    "image_augment": "coview.data.augment_images.ImageAugment",
    "virtual_views": "coview.data.virtual_views.VirtualViews",
    "pseudo_labels": "coview.data.pseudo_labels.config.PseudoConfig",
    # parts of methods
    "fusion": "coview.representations.fusion.evidence_maps.FusionSettings",
    "limb_lengths": "coview.body.limb_lengths.LimbLengths",
    "placing": "coview.representations.relative_depth.Placing",
    "skeleton": "coview.skeleton_maps.Skeleton",
}

# import path that coview 0.1.0 stored -> name
OLD_PATHS = {
    "coview.training.recipe.Recipe": "recipe",
    "coview.methods.algebraic_triangulation.AlgebraicTriangulationConfig": "algebraic_triangulation",
    "coview.methods.algebraic_triangulation.RansacTriangulationConfig": "ransac_triangulation",
    "coview.methods.volumetric_triangulation.VolumetricTriangulationConfig": "volumetric_triangulation",
    "coview.methods.canonpose.CanonPoseConfig": "canonpose",
    "coview.methods.cross_view_fusion.SelfFusionConfig": "self_fusion",
    "coview.methods.epipolar_pose.EpipolarPoseConfig": "epipolar_pose",
    "coview.methods.refinement_unit.RefinementUnitConfig": "refinement_unit",
    "coview.methods.weak_25d.Weak25DConfig": "weak_25d",
    "coview.methods.weak_25d_lifting.Weak25DLiftingConfig": "weak_25d_lifting",
    "coview.methods.mcss.McssConfig": "mcss",
    "coview.methods.mcss.McssImageConfig": "mcss_images",
    "coview.methods.mcss_lifting.McssLiftingConfig": "mcss_lifting",
    "coview.methods.pseudo_label_lifting.PseudoLabelLiftingConfig": "pseudo_label_lifting",
    "coview.methods.supervised_lifting.SupervisedLiftingConfig": "supervised_lifting",
    "coview.methods.skeleton_morphing.SkeletonMorphingConfig": "skeleton_morphing",
    "coview.data.recorded.RecordedConfig": "session_data",
    "coview.data.synthetic.SyntheticConfig": "synthetic",
    "coview.data.synthetic.DetectorNoise": "detector_noise",
    "coview.data.mocap4.Mocap4Config": "mocap4",
    "coview.data.human36m.Human36MConfig": "human36m",
    "coview.data.rendered.RenderedConfig": "rendered",
    "coview.data.batching.Shuffled": "shuffled",
    "coview.data.batching.Mixed": "mixed",
    "coview.data.batching.SubjectTimes": "subject_times",
    "coview.data.labels.ShownLabels": "label_budget",
    "coview.data.augment.Augment": "augment",
    "coview.data.augment_images.ImageAugment": "image_augment",
    "coview.data.virtual_views.VirtualViews": "virtual_views",
    "coview.data.pseudo_config.PseudoConfig": "pseudo_labels",
    "coview.representations.evidence_maps.FusionSettings": "fusion",
    "coview.representations.limb_lengths.LimbLengths": "limb_lengths",
    "coview.representations.relative_depth.Placing": "placing",
    "coview.skeletons.Skeleton": "skeleton",
}

# name -> {field as stored earlier: field today}
_OLD_LIFTING = {"both_sides": "flip_test", "placed_by": "centring", "pose_start": "pose_head_init_scale"}
_OLD_IMAGE = {"reference": "released_numerics"}
OLD_FIELDS: dict[str, dict[str, str]] = {
    "recipe": {"revise_at": "resolve_ambiguity_at"},
    "pseudo_labels": {"trust": "min_confidence"},
    "canonpose": _OLD_LIFTING,
    "self_fusion": _OLD_LIFTING,
    "supervised_lifting": _OLD_LIFTING,
    "pseudo_label_lifting": _OLD_LIFTING,
    "algebraic_triangulation": _OLD_IMAGE,
    "ransac_triangulation": {**_OLD_IMAGE, "refinements": "refine"},
    "volumetric_triangulation": _OLD_IMAGE,
    "epipolar_pose": _OLD_IMAGE,
    "weak_25d": {**_OLD_IMAGE, "least_trust": "min_confidence", "least_pseudo": "min_pseudo_confidence"},
    "human36m": _OLD_IMAGE,
    "weak_25d_lifting": {"least_trust": "min_confidence"},
    "mcss_lifting": {"least_trust": "min_confidence"},
    "fusion": {"least_turn": "min_axis_sine"},
    "placing": {"hold": "detach_depth"},
}

_NAME_OF = {path: name for name, path in NAMES.items()}


def stored_name(kind: type) -> str:
    """The name of a class in a stored recipe: its name in `NAMES`, or its import path.

    Args:
        kind: A class of settings.

    Returns:
        The name.
    """
    path = f"{kind.__module__}.{kind.__qualname__}"
    return _NAME_OF.get(path, path)


def import_path(stored: str) -> str:
    """The import path of a class in a stored recipe, of this or an earlier version.

    Args:
        stored: The name, or an import path that coview 0.1.0 stored.

    Returns:
        Today's import path.
    """
    name = OLD_PATHS.get(stored, stored)
    return NAMES.get(name, name)


def renamed_fields(stored: str) -> dict[str, str]:
    """Fields of a stored class that earlier versions called otherwise.

    Args:
        stored: Name of the class in the recipe.

    Returns:
        Old name -> name today.
    """
    return OLD_FIELDS.get(OLD_PATHS.get(stored, stored), {})
