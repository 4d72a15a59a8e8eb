import csv
import threading

import pytest

from coview.bench.results import COLUMNS, KEY, append_rows, put_rows, read_rows


def row(seed: int, error: float, **more: str) -> dict[str, str]:
    start = {"recipe": "a", "input": "exact", "seed": str(seed), "ring": "same"}
    start |= {"width": "8", "steps": "3", "views": "4"}
    return {name: "" for name in COLUMNS} | start | {"n_mpjpe_mm": str(error)} | more


def test_rows_are_replaced_in_their_place_and_added_at_the_end(tmp_path):
    path = tmp_path / "results" / "table.csv"
    put_rows(path, [row(0, 50.0), row(1, 60.0)])
    put_rows(path, [row(0, 40.0), row(2, 70.0)])
    assert [(r["seed"], r["n_mpjpe_mm"]) for r in read_rows(path)] == [
        ("0", "40.0"),
        ("1", "60.0"),
        ("2", "70.0"),
    ]


@pytest.mark.parametrize("name", KEY)
def test_every_part_of_the_key_makes_a_row_of_its_own(tmp_path, name):
    put_rows(tmp_path / "t.csv", [row(0, 50.0), row(0, 60.0) | {name: "9"}])
    assert len(read_rows(tmp_path / "t.csv")) == 2


def test_what_was_written_is_read(tmp_path):
    written = row(0, 50.0, machine='cpu, "fast"', notes="ä, b")
    put_rows(tmp_path / "t.csv", [written])
    assert read_rows(tmp_path / "t.csv") == [written]


def test_columns_of_an_older_table_stay(tmp_path):
    path = tmp_path / "t.csv"
    old = ",".join(KEY)
    path.write_text(f"{old},remark\na,exact,5,same,8,3,4,kept\n")
    put_rows(path, [row(0, 50.0)])
    first, second = read_rows(path)
    assert (first["remark"], first["n_mpjpe_mm"]) == ("kept", "")
    assert (second["remark"], second["n_mpjpe_mm"]) == ("", "50.0")


def test_a_row_from_before_there_were_views_is_one_of_four_cameras(tmp_path):
    path = tmp_path / "t.csv"
    names = [name for name in KEY if name != "views"]
    path.write_text(f"{','.join(names)},n_mpjpe_mm\na,exact,0,same,8,3,50.0\na,exact,1,same,8,3,60.0\n")
    assert [r["views"] for r in read_rows(path)] == ["4", "4"]
    put_rows(path, [row(0, 40.0), row(0, 90.0, views="2")])
    assert [(r["seed"], r["views"], r["n_mpjpe_mm"]) for r in read_rows(path)] == [
        ("0", "4", "40.0"),
        ("1", "4", "60.0"),
        ("0", "2", "90.0"),
    ]
    written = csv.DictReader(path.read_text().splitlines())
    assert [r["views"] for r in written] == ["4", "4", "2"]  # the file has them too


def test_nothing_is_there_before_the_first_row(tmp_path):
    assert read_rows(tmp_path / "t.csv") == []


def test_another_table_is_refused_and_left(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"no column recipe, input, seed, ring, width, steps"):
        put_rows(path, [row(0, 50.0)])
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"PK\x03\x04\xe9", b'recipe,input\n"cut'])
def test_a_damaged_table_is_named_and_left(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.csv .*--results"):
        read_rows(path)
    assert path.read_bytes() == content


def test_no_table_is_kept_in_the_place_of_a_folder_or_below_a_file(tmp_path):
    with pytest.raises(
        ValueError, match=r"is a folder. Name a file such as results/mocap4.csv with --results"
    ):
        read_rows(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file"):
        read_rows(tmp_path / "file" / "t.csv")


def test_a_quote_that_never_ends_is_damage(tmp_path):
    path = tmp_path / "t.csv"
    put_rows(path, [row(0, 50.0)])
    path.write_text(path.read_text() + 'b,"cut short')
    with pytest.raises(ValueError, match=r"unexpected end of data. Move the damaged file away"):
        read_rows(path)


def test_two_benches_at_once_lose_no_rows(tmp_path):
    path = tmp_path / "t.csv"
    writers = [threading.Thread(target=put_rows, args=(path, [row(seed, 1.0)])) for seed in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read_rows(path)) == 12


def test_measurements_are_added_below_those_that_are_there(tmp_path):
    path = tmp_path / "new" / "speed.csv"
    append_rows(path, ("case", "seconds"), [{"case": "a", "seconds": 1}])
    append_rows(path, ("case", "seconds"), [{"case": "b", "seconds": 2.5}])
    assert path.read_text() == "case,seconds\na,1\nb,2.5\n"
