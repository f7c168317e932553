# SPDX-License-Identifier: BSD-3-Clause
"""A timeline as a PNG for a slide: CPUs above, tokens below, arrows for what goes between CPUs.

A CPU is a lane; the thread that runs has a colour, and its name where there is room.  A token has
a lane for who holds it (several, while threads share it), and thinner hatched ones for who waits.
Unless told, the picture shows the part of the run where most different things happen, and yet not
too many: window() looks for it.

Tests  tests/toolchain/test_trace_picture.py
"""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")       # before pyplot: there is no screen

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from toolchain.trace.model import Arrow, State, Thread, Timeline

US = 1000                   # nanoseconds in a microsecond
WIDTHS_US = (200, 400, 600, 900, 1400, 2200, 3500)
WIDE_WEIGHT, BUSY_WEIGHT, RAN_WEIGHT, CROWDED_WEIGHT, CROWDED = 2.5, 5.0, 0.3, 0.4, 14
FEW, GAPLESS = 60, 0.3      # threads that ran, and for which part of the time: all is shown
COLOURS = ("#4e79a7", "#f2a541", "#59a14f", "#b07aa1", "#d1495b", "#5fb3b3", "#e8c547", "#8d6e5a",
           "#f49fbc", "#30638e", "#a3c95a", "#7d5ba6", "#e07a5f", "#2a7f62", "#c9a0dc", "#9a8c3c",
           "#81b1d9", "#a23b5a", "#c7b299", "#4f6d3a")
IDLE, HALTED, INK, FAINT, CLOCK = "#dfe3e8", "#f3f5f7", "#22272e", "#8b949e", "#9aa4b2"
ARROWS = {"message": ("#c2410c", "-"), "reply": ("#15803d", "-"), "ipi": ("#475569", (0, (4, 2)))}
INCHES, DPI = (16.0, 9.0), 130
MARKS = 105                 # whose texts have room
LANE, WAIT_LANE = 0.72, 0.34
NAMES = {"sched._arrived": "a thread migrates", "sched._adopt": "a new thread",
         "sched._schedule_remote": "schedule", "sleepq._wakeup_remote": "wakeup"}
Ends = tuple[tuple[float, float], tuple[float, float]]
CARRIERS = ("msgport._thread_put_remote", "msgport._thread_reply_remote")


def draw(timeline: Timeline, to: Path, title: str, start: int | None = None,
         end: int | None = None, unit: str = "µs") -> tuple[int, int]:
    """Write the picture of [start, end) nanoseconds; what it shows, chosen where it was not said.
    `unit`: what the time axis counts, if a microsecond stands for something else.
    """
    found = window(timeline)
    start = found[0] if start is None else start
    end = found[1] if end is None else end
    if end <= start:
        end = start + US
    _Picture(timeline, start, end, unit).draw(to, title)
    return start, end


# ---- choosing the part that is shown ------------------------------------------------------------

def window(timeline: Timeline) -> tuple[int, int]:
    """The part of the run that shows most in little room; all of a short one that has no gaps."""
    best, highest = (0, max(timeline.end, US)), float("-inf")
    features = _features(timeline)
    busy = [_busy(timeline, cpu) for cpu in timeline.cpus]
    spans = sum(len(spans) for spans in timeline.cpus.values())
    worked = sum(total[-1] for _, total in busy) / best[1] / max(len(busy), 1)
    if spans <= FEW and worked > GAPLESS:
        return best
    for number, width in enumerate(us * US for us in WIDTHS_US):
        starts = np.arange(0, max(timeline.end - width, 1), width // 8)
        value = np.zeros(len(starts)) - WIDE_WEIGHT * number
        for begins, ends, weight, enough in features:
            seen = np.searchsorted(ends, starts + width) - np.searchsorted(begins, starts)
            value += weight * (np.clip(seen, 0, enough) + 2 * np.clip(seen, 0, 1))
        for moments, total in busy:
            share = np.interp(starts + width, moments, total) - np.interp(starts, moments, total)
            value += BUSY_WEIGHT * share / width / len(busy)
            edges = np.searchsorted(moments, starts + width) - np.searchsorted(moments, starts)
            value += RAN_WEIGHT * np.minimum(edges // 2, CROWDED)
            value -= CROWDED_WEIGHT * np.maximum(edges // 2 - CROWDED, 0)
        if value.max() > highest:
            at = int(starts[value.argmax()])
            best, highest = (at, at + width), value.max()
    return best


def _features(timeline: Timeline) -> list[tuple[np.ndarray, np.ndarray, float, int]]:
    """What is worth seeing: begins and ends, how much one is worth, how many are enough; the
    first of each kind is worth three times as much.

    Begins and ends are each in order; arrows count where both ends are seen.
    """
    away = [arrow for arrow in timeline.arrows if arrow.tail.cpu != arrow.head.cpu]
    spans = [span for thread in timeline.threads for span in thread.spans]
    waits = [wait for token in timeline.tokens for wait in token.waited]
    holds = [hold for token in timeline.tokens for hold in token.held]
    found = [
        ([(a.tail.time, a.head.time) for a in away if a.kind == "message"], 2.0, 4),
        ([(a.tail.time, a.head.time) for a in away if a.kind == "reply"], 2.0, 4),
        ([(a.tail.time, a.head.time) for a in away
          if a.kind == "ipi" and a.what not in CARRIERS], 2.0, 2),
        ([(w.start, w.start) for w in waits if w.end - w.start > 10 * US], 2.0, 5),
        ([(s.start, s.start) for s in spans if s.state is State.TOKENS], 3.0, 2),
        ([(s.start, s.start) for s in spans if s.state is State.PREEMPTED], 4.0, 1),
        ([(s.start, s.start) for s in spans if s.state is State.MIGRATING], 3.0, 1),
        ([(h.start, h.start) for h in holds if h.shared], 1.0, 4),
        ([(h.start, h.start) for h in holds if not h.shared], 1.0, 6),
        ([(h.end, h.end) for h in holds if h.lapsed], 2.0, 1),
    ]
    columns = [(np.array(times or [(0, 0)], dtype=np.int64)[:len(times)], weight, enough)
               for times, weight, enough in found]
    return [(np.sort(times[:, 0]), np.sort(times[:, 1]), weight, enough)
            for times, weight, enough in columns]


def _busy(timeline: Timeline, cpu: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments at which a CPU began or stopped to run a thread that does not only spin, and for
    how long it had done so by then."""
    worked = sorted((span.start, span.end) for thread in timeline.threads for span in thread.spans
                    if span.cpu == cpu and span.state is State.RUNNING)
    edges = np.array(worked or [[0, 0]], dtype=np.int64)
    total = np.cumsum(edges[:, 1] - edges[:, 0])
    moments = np.column_stack((edges[:, 0], edges[:, 1])).ravel()
    return moments, np.column_stack((total - edges[:, 1] + edges[:, 0], total)).ravel()


# ---- drawing ------------------------------------------------------------------------------------

@dataclass(frozen=True)
class _Lane:
    """A row of the picture: its middle and its height, in lane units from the top."""

    middle: float
    height: float


class _Picture:
    """One picture; x is microseconds (or `unit`) since the beginning of the trace."""

    def __init__(self, timeline: Timeline, start: int, end: int, unit: str) -> None:
        self.timeline, self.start, self.end, self.unit = timeline, start, end, unit
        self.marks = [m for m in timeline.marks if start <= m.time <= end]
        self.told = 0 < len(self.marks) <= MARKS        # each mark has room for its text
        self.colours = self._choose_colours()
        self.labels: list[tuple[float, float]] = []     # where arrows have been named

    def draw(self, to: Path, title: str) -> None:
        rows = self._token_rows()
        cpus = sorted(self.timeline.cpus)
        below = sum(lane.height + 0.1 for _, _, lane in rows) + 0.5
        tall = min(INCHES[1], 2.2 + 1.15 * len(cpus) + below)
        figure, panels = pyplot.subplots(
            2 if rows else 1, 1, sharex=True, figsize=(INCHES[0], tall), dpi=DPI, squeeze=False,
            height_ratios=(max(len(cpus) * 1.15, 2), max(below, 1.2)) if rows else None)
        upper, lower = panels[0][0], panels[-1][0]
        with pyplot.rc_context({"font.family": "DejaVu Sans", "hatch.linewidth": 0.6}):
            self._draw_cpus(upper, cpus)
            if rows:
                self._draw_tokens(lower, rows)
            upper.set_title(title, loc="left", fontsize=15, color=INK, pad=14, fontweight="bold")
            if self.unit == "µs":
                of, axis = f"{self.timeline.end / US / 1000:,.1f} ms", "microseconds"
            else:
                of, axis = f"{self.timeline.end / US:,.0f}", self.unit
            upper.set_title(f"{(self.end - self.start) / US:,.0f} {self.unit} of {of}", loc="right",
                            fontsize=10, color=FAINT, pad=14)
            lower.set_xlabel(f"{axis} since the beginning of the trace", color=INK)
            lower.set_xlim(self.start / US, self.end / US)
            lower.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            self._legend(figure)
            figure.tight_layout(rect=(0, 0.77 / tall, 1, 1), h_pad=1.0)
            figure.savefig(to)
        pyplot.close(figure)

    # ---- CPUs ----

    def _draw_cpus(self, axes: Axes, cpus: list[int]) -> None:
        at = {cpu: float(row) for row, cpu in enumerate(cpus)}
        for cpu in cpus:
            for span in self._inside(self.timeline.cpus[cpu]):
                colour = IDLE if span.thread.idle else self.colours[span.thread]
                self._bar(axes, span.start, span.end, at[cpu], LANE, colour,
                          "" if span.thread.idle or self.told else span.thread.name)
            for start, end in self.timeline.halts[cpu]:
                if start < self.end and end > self.start:
                    self._bar(axes, start, end, at[cpu], LANE, HALTED, "")
        self._mark_spinning(axes, at)
        self._tell_marks(axes, at)
        inside = [p for p in self.timeline.interrupts if self.start <= p.time < self.end]
        if inside:          # a line without points lies in the figure's corner, for the layout
            axes.plot([p.time / US for p in inside],
                      [at[p.cpu] - LANE / 2 - 0.06 for p in inside],
                      linestyle="", marker="v", markersize=5, color=INK, clip_on=False, zorder=5)
        self._draw_arrows(axes, at)
        self._style(axes, [(at[cpu], f"CPU {cpu}") for cpu in cpus])
        axes.set_ylim(len(cpus) - 0.4, -0.62)

    def _mark_spinning(self, axes: Axes, at: dict[int, float]) -> None:
        for thread in self.timeline.threads:
            for span in self._inside(thread.spans):
                if span.state is State.SPINNING:
                    axes.add_patch(Rectangle(
                        (span.start / US, at[span.cpu] - LANE / 2), (span.end - span.start) / US,
                        LANE, facecolor="none", edgecolor="white", hatch="////", linewidth=0,
                        zorder=3))

    def _tell_marks(self, axes: Axes, at: dict[int, float]) -> None:
        """What happened at each moment that was marked, if there is room."""
        if not self.told:
            return
        for mark in self.marks:
            colour = IDLE if mark.thread.idle else self.colours[mark.thread]
            text = axes.text(mark.time / US, at[mark.cpu], mark.what.partition("  ")[0],
                             rotation=90, fontsize=6, ha="left", va="center", color=_ink(colour),
                             zorder=4, clip_on=True)
            text.set_in_layout(False)

    def _draw_arrows(self, axes: Axes, at: dict[int, float]) -> None:
        for arrow in self.timeline.arrows:
            carries = arrow.kind == "ipi" and arrow.what in CARRIERS
            if not carries and arrow.head.time >= self.start and arrow.tail.time < self.end:
                self._draw_arrow(axes, at, arrow)

    def _draw_arrow(self, axes: Axes, at: dict[int, float], arrow: Arrow) -> None:
        tail, head = arrow.tail, arrow.head
        colour, dashes = ARROWS[arrow.kind]
        down = at[head.cpu] - at[tail.cpu]
        side = LANE / 2 * (1 if down >= 0 else -1)
        ends = ((tail.time / US, at[tail.cpu] + side),
                (head.time / US, at[head.cpu] - side if down else at[head.cpu] + side))
        thick = 1.1 if arrow.kind == "ipi" else 1.8
        axes.add_patch(FancyArrowPatch(
            *ends, arrowstyle="-|>", mutation_scale=11 if down else 7, color=colour,
            linestyle=dashes, linewidth=thick if down else 1.0, shrinkA=0, shrinkB=0, zorder=6,
            connectionstyle=f"arc3,rad={0.0 if down else 0.3}",
            path_effects=[Stroke(linewidth=thick + 1.6, foreground="white", alpha=0.75),
                          Normal()]))
        if arrow.kind == "ipi" and down:
            self._name_arrow(axes, arrow, ends, colour)

    def _name_arrow(self, axes: Axes, arrow: Arrow, ends: Ends, colour: str) -> None:
        """Say what an IPI message is for, in its middle, unless another says so already there."""
        x, y = (ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2
        near = (self.end - self.start) / US * 0.06
        if not self.start / US + near < x < self.end / US - near or any(
                abs(x - left) < near and abs(y - top) < 0.25 for left, top in self.labels):
            return
        self.labels.append((x, y))
        axes.text(x, y, NAMES.get(arrow.what, arrow.what.partition(".")[2].strip("_")),
                  fontsize=7.5, color=colour, zorder=7, ha="center", va="center", clip_on=True,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})

    # ---- tokens ----

    def _token_rows(self) -> list[tuple[str, list[tuple[int, int, Thread, bool]], _Lane]]:
        """(label, spans, lane): for each token the rows that hold, then those that wait."""
        rows, y = [], 0.0
        for token in self.timeline.tokens:
            held = [(h.start, h.end, h.thread, False) for h in self._inside(token.held)]
            waits = [(w.start, w.end, w.thread, True) for w in self._inside(token.waited)]
            if not held and not waits:
                continue
            packed = [(lane, LANE) for lane in _pack(held) or [[]]]
            packed += [(lane, WAIT_LANE) for lane in _pack(waits)]
            for number, (spans, height) in enumerate(packed):
                rows.append((token.name if number == 0 else "", spans,
                             _Lane(y + height / 2, height)))
                y += height + 0.07
            y += 0.3
        return rows

    def _draw_tokens(self, axes: Axes,
                     rows: list[tuple[str, list[tuple[int, int, Thread, bool]], _Lane]]) -> None:
        for _, spans, lane in rows:
            for start, end, thread, waits in spans:
                self._bar(axes, start, end, lane.middle, lane.height, self.colours[thread],
                          thread.name, waits=waits)
        self._style(axes, [(lane.middle, f"token\n{name}") for name, _, lane in rows if name])
        bottom = max(lane.middle + lane.height / 2 for _, _, lane in rows)
        axes.set_ylim(bottom + 0.15, -0.15)

    # ---- what both need ----

    def _inside(self, spans: list) -> list:
        return [span for span in spans if span.start < self.end and span.end > self.start]

    def _bar(self, axes: Axes, start: int, end: int, middle: float, height: float, colour: str,
             name: str, waits: bool = False) -> None:
        left, right = max(start, self.start) / US, min(end, self.end) / US
        axes.add_patch(Rectangle(
            (left, middle - height / 2), right - left, height,
            facecolor="white" if waits else colour, edgecolor=colour if waits else "white",
            hatch="/////" if waits else None, linewidth=0.8 if waits else 0.5, zorder=2))
        share = (right - left) / ((self.end - self.start) / US)
        room = share * INCHES[0] * 0.9 * 72 / max(len(name), 1)     # points a letter
        size = 7 if waits else min(9, int(room / 0.6))
        if name and room > size * 0.6 and size >= 6:
            axes.text((left + right) / 2, middle, name, ha="center", va="center", fontsize=size,
                      color=INK if waits else _ink(colour), zorder=4, clip_on=True,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if waits
                      else None)

    def _style(self, axes: Axes, lanes: list[tuple[float, str]]) -> None:
        axes.set_yticks([y for y, _ in lanes], [name for _, name in lanes], fontsize=11,
                        color=INK)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", colors=FAINT)
        axes.grid(axis="x", color="#e5e9ee", linewidth=0.8, zorder=0)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)

    def _choose_colours(self) -> dict[Thread, str]:
        """The threads seen here have the first colours, the busiest first."""
        seen: Counter[Thread] = Counter()
        for spans in self.timeline.cpus.values():
            for span in self._inside(spans):
                seen[span.thread] += min(span.end, self.end) - max(span.start, self.start)
        colours = {thread: CLOCK for thread in self.timeline.threads}
        named = [thread for thread in colours if not thread.idle and not _is_clock(thread)]
        for number, thread in enumerate(sorted(named, key=lambda thread: -seen[thread])):
            colours[thread] = COLOURS[number % len(COLOURS)]
        return colours

    def _legend(self, figure: pyplot.Figure) -> None:
        running = {span.thread for spans in self.timeline.cpus.values()
                   for span in self._inside(spans) if not span.thread.idle}
        handles: list[Patch | Line2D] = [
            Patch(facecolor=self.colours[thread], label=thread.name)
            for thread in sorted(running, key=lambda thread: thread.name)
            if not _is_clock(thread)]
        handles += [
            Patch(facecolor=CLOCK, label="softclock"),
            Patch(facecolor=IDLE, label="idle"),
            Patch(facecolor=HALTED, edgecolor=IDLE, label="halted"),
            Patch(facecolor=FAINT, edgecolor="white", hatch="////", label="spins for a token"),
            Patch(facecolor="white", edgecolor=FAINT, hatch="/////", label="waits for a token"),
            Line2D([], [], color=INK, marker="v", linestyle="", markersize=5, label="interrupt")]
        handles += [Line2D([], [], color=colour, linestyle=dashes, linewidth=1.8, marker=">",
                           markersize=5, markevery=(1, 2), label=name)
                    for name, (colour, dashes) in (
                        ("message", ARROWS["message"]), ("reply", ARROWS["reply"]),
                        ("IPI message", ARROWS["ipi"]))]
        figure.legend(handles=handles, loc="lower center", ncols=min(len(handles), 12),
                      frameon=False, fontsize=9, labelcolor=INK, handlelength=1.6,
                      columnspacing=1.4)


def _pack(spans: list[tuple[int, int, Thread, bool]]
          ) -> list[list[tuple[int, int, Thread, bool]]]:
    """As few rows as needed in which no two spans overlap."""
    rows: list[list[tuple[int, int, Thread, bool]]] = []
    for span in sorted(spans, key=lambda span: span[:2]):
        for row in rows:
            if row[-1][1] <= span[0]:
                row.append(span)
                break
        else:
            rows.append([span])
    return rows


def _is_clock(thread: Thread) -> bool:
    """Whether it is one of the threads that every CPU has for callouts: shown in grey."""
    return thread.name.startswith("softclock")


def _ink(colour: str) -> str:
    """Black or white, whichever is read more easily on `colour`."""
    red, green, blue = (int(colour[at:at + 2], 16) for at in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "white"
