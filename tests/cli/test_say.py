from coview.cli.say import note, say


def test_results_and_notes_go_different_ways(capsys):
    say("done")
    note(("careful", ""))
    said = capsys.readouterr()
    assert said.out == "done\n"
    assert said.err == "note: careful\n"
