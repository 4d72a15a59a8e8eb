"""Malformed text files are named with their line."""

import pytest

from coview.formats.io.text import read_json, read_text, read_toml, read_xml


def file(tmp_path, content: str | bytes):
    path = tmp_path / "given.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_toml_names_file_and_line(tmp_path):
    with pytest.raises(ValueError, match=r"given.txt is not valid TOML: .*line 2"):
        read_toml(file(tmp_path, 'a = 1\nb = "open\n'))


def test_json_names_file_and_line(tmp_path):
    with pytest.raises(ValueError, match=r"given.txt, line 3, column 1: not valid JSON"):
        read_json(file(tmp_path, '{"people":\n[1, 2,\n'))


def test_an_empty_json_file_is_called_empty(tmp_path):
    with pytest.raises(ValueError, match=r"line 1.*The file is empty"):
        read_json(file(tmp_path, ""))


def test_deeply_nested_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(file(tmp_path, "[" * 100_000))


def test_xml_names_file_and_line(tmp_path):
    with pytest.raises(ValueError, match=r"given.txt, line 2, column \d+: not valid XML"):
        read_xml(file(tmp_path, "<a>\n<b></a>"))


def test_xml_entities_are_refused(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>'
    with pytest.raises(ValueError, match="declares a document type or entities"):
        read_xml(file(tmp_path, bomb))


def test_xml_with_a_declared_encoding_is_read(tmp_path):
    assert read_xml(file(tmp_path, "<?xml version='1.0' encoding='ASCII'?>\n<a b='1'/>")).get("b") == "1"


def test_text_in_another_encoding_names_the_line(tmp_path):
    with pytest.raises(ValueError, match=r"given.txt, line 2: byte 0xff is not UTF-8"):
        read_text(file(tmp_path, b"good\nbad \xff\n"))


def test_a_byte_order_mark_is_no_content(tmp_path):
    assert read_toml(file(tmp_path, b"\xef\xbb\xbfa = 1\n")) == {"a": 1}


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing.json\."):
        read_json(tmp_path / "nothing.json")
    with pytest.raises(FileNotFoundError, match="that is a folder"):
        read_json(tmp_path)
