"""The `label` command: lines in, lines out, and a score that can be bad."""

import io
import json
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.commands.label import labelled, score


def row(message: str, *kinds: str) -> str:
    return json.dumps({"message": message, "label": "sensitive" if kinds else "clear", "kinds": list(kinds)})


def ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *argv: str, said: str = ""
) -> tuple[int, list[str]]:
    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    code = main(["label", *argv], {})
    return code, capsys.readouterr().out.splitlines()


def test_a_message_is_labelled_without_any_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, (line,) = ask(capsys, monkeypatch, "I'm John Smith, 415-555-0132")
    assert (code, json.loads(line)) == (0, {"label": "sensitive", "kinds": ["name_self", "phone"]})


def test_lines_are_answered_in_their_order_and_a_bad_one_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = '{"message": "any SUVs?"}\n\nnonsense\n{"message": 3}\n{"message": "jane@example.com"}\n'
    code, lines = ask(capsys, monkeypatch, "--jsonl", said=said)
    told = [json.loads(line) for line in lines]
    assert code == 1
    assert [one.get("label") for one in told] == ["clear", None, None, "sensitive"]
    assert told[1]["error"].startswith("line 3: ")


@pytest.mark.parametrize("argv", [(), ("hi", "--jsonl")])
def test_what_is_asked_must_be_one_thing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    assert ask(capsys, monkeypatch, *argv) == (2, [])


def test_misses_and_false_alarms_are_counted_and_named_by_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    rows = [row("jane@example.com", "email"), row("hello", "phone"), row("jane@example.com"), row("hi")]
    corpus.write_text("\n".join(rows))
    scored = score(rows)
    assert (scored.structured_recall, scored.false_alarms) == (0.5, 0.5)
    code, lines = ask(capsys, monkeypatch, "--evaluate", str(corpus))
    assert code == 0
    assert "missed: line 2" in lines and "false alarm: line 3" in lines
    _, lines = ask(capsys, monkeypatch, "--evaluate", str(corpus), "--show")
    assert "missed: line 2: hello" in lines


def test_a_corpus_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(capsys, monkeypatch, "--evaluate", str(tmp_path / "none")) == (2, [])


def test_nothing_found_is_clear() -> None:
    assert labelled("any SUVs?") == {"label": "clear", "kinds": []}
