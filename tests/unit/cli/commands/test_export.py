from __future__ import annotations

from weir.cli.commands.export import Inert


def test_on_a_terminal_a_file_is_inert_in_whatever_pieces_it_comes() -> None:
    data = '{"a":"\u202e\x7f漢"}\n'.encode()
    inert = Inert("jsonl")
    assert "".join(inert.text(data[n : n + 1]) for n in range(len(data))) == '{"a":"\\u202e\\u007f漢"}\n'
    assert Inert("csv").text(b'a,"\x1b[2J\r\nb"\r\n') == 'a,"\\x1b[2J\r\nb"\r\n'
