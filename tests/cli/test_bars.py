"""Bars of nodes, calls and pauses: what stands where, in which characters, and how wide."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from projections import Span
from replay.axis import Scale, duration
from replay.bars import ASCII, cells, draw, fit, render, rows_of

START = datetime(2026, 5, 4, 12, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(kind: str, name: str, start: float, end: float | None, status: str = "completed") -> Span:
    over = None if end is None else moment(end)
    return Span(kind, f"{name}-id", name, moment(start), over, status)  # type: ignore[arg-type]


RUN = [
    span("node", "check", 0, 2),
    span("call", "model", 1, 2),
    span("pause", "approval", 2, 6, "resumed"),
    span("node", "charge", 6, 7, "failed"),
    span("node", "charge", 7, 8),
    span("node", "gift wrap", 8, 8, "skipped"),
    span("node", "ship", 8, None, "running"),
]


def lines(spans: list[Span], width: int = 80, **options: object) -> list[str]:
    drawn = draw(spans, width, **options)  # type: ignore[arg-type]
    return ["".join(text for text, _ in line) for line in drawn]


def printed(spans: list[Span], width: int = 80, encoding: str = "utf-8", **console: object) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width, **console).print(render(spans))  # type: ignore[arg-type]
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_each_kind_and_status_has_characters_of_its_own() -> None:
    # Given a run of ten seconds, and three cells for each
    cells_of_labels, cells_of_notes = 10, 27
    # When
    shown = lines(RUN, cells_of_labels + 30 + cells_of_notes, now=moment(10))
    # Then
    assert shown == [
        "check     ██████                                 2 s",
        "  model      ━━━                                 1 s",
        "approval        ░░░░░░░░░░░░                     4 s  resumed",
        "charge                      ██✗███               2 s  completed x2",
        "gift wrap                         ◆             0 ms  skipped",
        "ship                              █████▶         2 s  running",
        "          ┬──────────────┬─────────────┬",
        "          0              5 s",
    ]


def test_a_node_that_ran_again_stays_in_one_row_where_it_first_began() -> None:
    # Given
    spans = [span("node", "b", 3, 4), span("node", "a", 0, 1, "failed"), span("node", "a", 5, 6)]
    # When
    rows = rows_of(spans)
    # Then
    assert [(row.label, len(row.spans)) for row in rows] == [("a", 2), ("b", 1)]


def test_an_attempt_that_nobody_ended_looks_lost() -> None:
    # Given
    spans = [span("node", "a", 0, 5, "restarted"), span("node", "a", 5, 10)]
    # When
    shown = lines(spans, 22)
    # Then
    assert shown[0] == "a ▒▒▒▒▒▒▒▒▒▒██████████"


def test_without_now_what_goes_on_reaches_a_little_beyond_all_that_is_known() -> None:
    # Given a pause that has been open since years
    spans = [span("node", "a", 0, 10), span("pause", "p", 5, None, "open")]
    # When
    first, second, *_ = lines(spans, 22)
    # Then
    assert first == "a ██████████████████  "
    assert second == "p          ░░░░░░░░░░▶"


def test_no_spans_say_so() -> None:
    assert lines([]) == ["no nodes, calls or pauses yet"]


@pytest.mark.parametrize("width", [24, 40, 59, 60, 80, 200])
def test_no_line_is_wider_than_asked(width: int) -> None:
    # Given
    spans = [*RUN, span("node", "a node with a name that is much too long to be shown", 3, 5)]
    # When
    shown = lines(spans, width)
    # Then
    assert max(map(cells, shown)) <= width
    assert max(map(cells, shown)) >= width - 20


def test_a_span_shorter_than_a_cell_still_has_one() -> None:
    # Given a step of a millisecond in a run of ten days
    spans = [span("pause", "p", 0.001, 864_000, "resumed"), span("node", "a", 0, 0.001)]
    # When
    shown = lines(spans, 40)
    # Then
    assert shown[0].startswith("a █ ")


def test_what_happens_at_the_very_end_has_the_last_cell() -> None:
    # Given
    spans = [span("node", "a", 0, 10), span("node", "b", 10, 10, "skipped")]
    # When
    shown = lines(spans, 42)
    # Then
    assert shown[1] == "b " + " " * 39 + "◆"


def test_an_end_before_the_start_of_another_clock_is_drawn_as_a_cell() -> None:
    # Given
    spans = [span("node", "a", 0, 10), span("node", "b", 8, 6)]
    # When
    shown = lines(spans, 80)
    # Then
    assert shown[1].count("█") == 1
    assert shown[1].split()[-2:] == ["0", "ms"]


def test_labels_cannot_command_the_terminal() -> None:
    # Given a label with an escape code, a line break and a bell
    spans = [span("node", "a\x1b[31m\n\x07", 0, 1)]
    # When
    shown = printed(spans, force_terminal=True, color_system="truecolor")
    # Then
    assert "\x1b[31m" not in shown
    assert "\x07" not in shown
    assert len(shown.splitlines()) == 3


def test_wide_characters_take_two_cells() -> None:
    # Given
    spans = [span("node", "注文", 0, 1), span("node", "e\u0301", 0, 1)]
    # When
    shown = lines(spans, 40)
    # Then
    assert [cells(line) for line in shown[:2]] == [40, 40]
    assert fit("注文", 3) == "注…"


def test_a_pipe_gets_plain_characters() -> None:
    # When
    shown = printed(RUN)
    # Then
    assert "\x1b" not in shown
    assert "████✗" in shown
    assert "failed" not in shown  # the second attempt went well
    assert all(line == line.rstrip() for line in shown.splitlines()[:-1])


def test_an_ascii_console_gets_ascii() -> None:
    # When
    shown = printed(RUN, encoding="ascii")
    # Then
    assert shown.isascii()
    assert all(glyph in shown for glyph in ("####x####", "====", "::::", "*", "##>"))


def test_colours_repeat_what_the_characters_say() -> None:
    # Given
    coloured = printed(RUN, force_terminal=True, color_system="standard")
    # When
    bare = printed(RUN, force_terminal=True, color_system="standard", no_color=True)
    # Then
    assert "\x1b[31m" in coloured  # the failed attempt is red
    assert "\x1b[31m" not in bare
    assert "███✗" in bare


def test_the_width_is_the_console_s_unless_less_is_asked_for() -> None:
    # Given
    console = Console(file=io.StringIO(), width=70, record=True)
    # When
    console.print(render(RUN))
    wide = console.export_text().splitlines()
    console.print(render(RUN, width=40))
    narrow = console.export_text().splitlines()
    console.print(render(RUN, width=400))
    capped = console.export_text().splitlines()
    # Then
    assert max(map(len, narrow)) == 40
    assert max(map(len, wide)) <= 70
    assert capped == wide


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (0.004, ["0", "1 ms", "2 ms", "3 ms"]),
        (0.9, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (1.8, ["0", "0.5 s", "1 s", "1.5 s"]),
        (50, ["0", "10 s", "20 s", "30 s", "40 s"]),
        (150, ["0", "30 s", "60 s", "90 s", "120 s"]),
        (40 * 60, ["0", "10 min", "20 min", "30 min"]),
        (5 * 3600, ["0", "1 h", "2 h", "3 h", "4 h"]),
        (30 * 3600, ["0", "6 h", "12 h", "18 h", "24 h"]),
        (9 * 86400, ["0", "2 d", "4 d", "6 d", "8 d"]),
        (4000 * 86400, ["0", "1000 d", "2000 d", "3000 d"]),
    ],
)
def test_the_axis_counts_in_a_sensible_unit(seconds: float, ticks: list[str]) -> None:
    # Given
    scale = Scale.over([span("node", "a", 0, seconds)], 60)
    # When
    line, times = scale.axis("-", "+")
    # Then
    assert [text.strip() for text in times.split("  ") if text.strip()] == ticks
    assert len(line) == 60
    for text in ticks[1:]:  # each time begins under its tick
        assert line[times.index(text)] == "+"


@pytest.mark.parametrize(
    ("length_ms", "words"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (1_234, "1.23 s"),
        (59_400, "59.4 s"),
        (59_999, "1 min 00 s"),
        (245_000, "4 min 05 s"),
        (3_599_900, "1 h 00 min"),
        (11_100_000, "3 h 05 min"),
        (86_399_999, "1 d 00 h"),
        (1_047_600_000, "12 d 03 h"),
    ],
)
def test_lengths_of_time_are_told_in_words(length_ms: int, words: str) -> None:
    assert duration(length_ms) == words


def test_ascii_and_unicode_draw_the_same_shape() -> None:
    # When
    drawn = lines(RUN), lines(RUN, glyphs=ASCII)
    # Then
    assert [len(line) for line in drawn[0]] == [len(line) for line in drawn[1]]
    assert all("".join(drawn[1]).isascii() for line in drawn[1])
