import pytest
from lightning.pytorch.utilities import rank_zero_only

from coview.training.history import History
from coview.training.history_logger import HistoryLogger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "history.csv"


def logged(path, until=0) -> HistoryLogger:
    path.parent.mkdir(exist_ok=True)
    logger = HistoryLogger(path, until)
    for step in (2, 4, 6):
        logger.log_metrics({"loss": 0.5 * step}, step=step)
    return logger


def test_what_is_logged_is_in_the_file_when_saved(path):
    logger = logged(path)
    assert not path.exists()
    logger.save()
    assert path.read_text() == "step,loss\n2,1.0\n4,2.0\n6,3.0\n"
    assert (logger.name, logger.save_dir) == ("run", str(path.parent))


def test_rows_beyond_the_checkpoint_are_made_again(path):
    logged(path).save()
    assert [row["step"] for row in HistoryLogger(path, until=4).history.rows] == [2, 4]
    assert HistoryLogger(path).history.rows == []


def test_a_finished_run_is_written_and_a_failed_one_leaves_the_older_file(path):
    logged(path).finalize("failed")
    assert not path.exists()
    logged(path).finalize("success")
    assert len(History.load(path).rows) == 3


def test_the_first_process_alone_writes(path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = logged(path)
    logger.finalize("success")
    assert logger.history.rows == []
    assert not path.exists()
