import csv

import pytest
import torch

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.shared.base import CanonicalPoses
from coview.networks.encoders import unit
from coview.representations.canonical_pose import canonical_pose
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.evaluation.embedded import WHERE, Embedded, how_retrieved
from coview.training.evaluation.scoring import Score, how_scored


def batch() -> MultiView:
    return SyntheticConfig(instants=24, subjects=2, views=3, fps=1.0).train().instants


def perfect(seen: MultiView, first: int = 0) -> CanonicalPoses:
    """The true pose in every view, and an embedding that knows the instant."""
    pose = canonical_pose(seen.joints3d, H36M_17)[:, None].expand(-1, 3, -1, -1)
    own = torch.eye(24)[first : first + len(seen.rig), None].expand(-1, 3, -1)
    return CanonicalPoses(joints3d=pose, embedding=own)


def test_canonical_poses_are_scored_under_names_of_their_own():
    running, seen = Score(H36M_17), batch()
    running.update(perfect(seen[:10]), seen[:10])
    running.update(perfect(seen[10:], 10), seen[10:])
    found = running.compute()
    assert "n_mpjpe_mm" not in found
    assert "mpjpe_mm" not in found
    for name in ("canonical_n_mpjpe_mm", "canonical_mpjpe_mm", "p_mpjpe_mm"):
        assert found[name] == pytest.approx(0, abs=0.1)
    assert found["hit_percent_at_1"] == 100
    words = how_scored(found, H36M_17)
    assert set(words) == set(found), "every number is explained"
    assert "not to be compared with n_mpjpe_mm" in words["canonical_n_mpjpe_mm"]


def test_an_error_in_metres_is_told_from_one_in_size():
    running, seen = Score(H36M_17), batch()
    twice = perfect(seen)
    running.update(CanonicalPoses(joints3d=2 * twice.joints3d, embedding=twice.embedding), seen)
    found = running.compute()
    assert found["canonical_n_mpjpe_mm"] == pytest.approx(0, abs=0.1)
    assert found["canonical_mpjpe_mm"] > 100


def test_a_map_is_written_with_a_row_per_view(tmp_path):
    embedded, seen = Embedded(H36M_17), batch()
    embedded.update(perfect(seen), seen)
    embedded.write_map(tmp_path / "embedding.csv")
    first, *rows = (tmp_path / "embedding.csv").read_text().splitlines()
    assert first.startswith("# ")
    assert len(list(csv.DictReader(rows))) >= 60  # 24 instants of 3 views, less those without a heading


def test_data_that_does_not_say_whose_its_instants_are_is_scored_without_retrieval(tmp_path):
    running, seen = Score(H36M_17), batch()
    running.update(perfect(seen), seen.only(seen.fields - WHERE))
    assert not any("retrieval" in name for name in running.compute())
    running.embedded.write_map(tmp_path / "embedding.csv")
    assert not (tmp_path / "embedding.csv").exists()


def test_nothing_is_drawn_where_no_pose_is_known(tmp_path):
    embedded, seen = Embedded(H36M_17), batch()
    embedded.update(perfect(seen), seen.replaced(joints3d=torch.full((24, 17, 3), torch.nan)))
    assert embedded.compute() == {}
    embedded.write_map(tmp_path / "embedding.csv")
    assert not (tmp_path / "embedding.csv").exists()


def test_every_retrieval_number_has_words():
    embedded, seen = Embedded(H36M_17), batch()
    answer = CanonicalPoses(joints3d=perfect(seen).joints3d, embedding=unit(torch.randn(24, 3, 8)))
    embedded.update(answer, seen)
    found = embedded.compute()
    assert set(how_retrieved(found)) == set(found)
    assert any(name.startswith("others_") for name in found)
    assert how_retrieved({"n_mpjpe_mm": 1.0}) == {}
