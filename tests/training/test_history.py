from coview.training.history import History


def test_rows_come_back_and_gaps_stay_gaps(tmp_path):
    rows = [{"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": 0.25, "validation/n": 80.0}]
    History(rows).save(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text().splitlines()[1] == "1.0,0.5,"
    assert History.load(tmp_path / "history.csv").rows == rows


def test_rows_beyond_a_step_are_cut_off(tmp_path):
    History([{"step": 10.0}, {"step": 20.0}, {"step": 30.0}]).save(tmp_path / "h.csv")
    assert [row["step"] for row in History.load(tmp_path / "h.csv", until=20).rows] == [10, 20]


def test_no_file_is_an_empty_history(tmp_path):
    assert History.load(tmp_path / "none.csv").rows == []


def test_a_step_has_one_row_and_keeps_what_it_holds():
    history = History()
    history.add(2, {"seconds": 1.0, "loss": 3.0})
    history.add(2, {"seconds": 9.0, "validation/mpjpe_mm": 40.0})
    history.add(4, {"seconds": 10.0})
    assert history.rows == [
        {"step": 2, "seconds": 1.0, "loss": 3.0, "validation/mpjpe_mm": 40.0},
        {"step": 4, "seconds": 10.0},
    ]
