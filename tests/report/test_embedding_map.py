import pytest

from coview.report.embedding_map import embedding_figure, read_dots
from coview.report.page import write_report

TABLE = "# 61 percent of the variance; places have no unit\nx,y,group,view\n-1,0,0,0\n1,0.5,3,1\n0,1,3,0\n"


def test_two_plots_with_a_point_per_view(tmp_path):
    (tmp_path / "embedding.csv").write_text(TABLE)
    dots = read_dots(tmp_path / "embedding.csv")
    assert dots.places == ((-1.0, 0.0), (1.0, 0.5), (0.0, 1.0))
    assert (dots.groups, dots.views) == ((0, 3, 3), (0, 1, 0))
    page = embedding_figure(dots)
    assert page.count("<svg") == 2
    assert page.count("<circle") == 6
    assert "61 percent of the variance" in page
    assert 'cx="12.0"' in page  # the leftmost point lies at the edge, inside
    assert 'cx="288.0"' in page


def test_no_points_no_figure(tmp_path):
    (tmp_path / "embedding.csv").write_text("# nothing\nx,y,group,view\n")
    assert embedding_figure(read_dots(tmp_path / "embedding.csv")) == ""


def test_the_report_of_a_run_shows_it(tmp_path):
    (tmp_path / "evaluation.json").write_text('{"metrics": {"canonical_n_mpjpe_mm": 70.5}}')
    (tmp_path / "embedding.csv").write_text(TABLE)
    page = write_report(tmp_path).read_text()
    assert "group of poses" in page
    assert "canonical_n_mpjpe_mm" in page


@pytest.mark.parametrize("content", ["", "# a\nx,y\n1,2\n", "# a\nx,y,group,view\n1,2,red,0\n"])
def test_a_damaged_table_names_its_file(tmp_path, content):
    (tmp_path / "embedding.csv").write_text(content)
    if not content:
        assert embedding_figure(read_dots(tmp_path / "embedding.csv")) == ""
        return
    with pytest.raises(ValueError, match=r"embedding\.csv is damaged: .* Run `coview evaluate` again"):
        read_dots(tmp_path / "embedding.csv")
