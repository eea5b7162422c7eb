"""Kill the commands that write at each of their file operations, and look at what is left behind.

    python fuzz/kill_outputs.py --command score

Every command runs over the output of an older run of its own, and into nothing. A run is ended at one
operation below its output: opening for writing, renaming, removing, making a folder, changing a mode,
syncing. ``kill`` and ``term`` are the signals; ``power`` is SIGKILL after which every file that was written
and not synced is empty; ``cut`` is a kill in the midst of a write, at a size the seed decides. What lies
there then is the whole older run, or the whole new one, or holds no table and a journal by which the next
run goes back to one of the two; after SIGTERM nothing else is there. The same command once more must succeed
and leave what an undisturbed run leaves, and nothing beside it.

One process imports everything and forks one child a run (Linux).
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ended_runs import STATUS, run, tree, unfinished
from killed_commands import COMMANDS, Case, cases
from pni_fast.cli import fit, results
from pni_fast.cli.record import RECORD

CUTS = 12
"""Kills in the midst of a write, for each command and state before it."""

RANDOM = re.compile(r"-[a-z0-9_]{8}(?=[./]|$)")
"""In the names of temporary files and folders."""


class Finding(Exception):  # noqa: N818  what this looks for, no error of its own
    """Something that is neither the older run nor the new one."""


class Trial:
    """One command over one state: what lies there before it, and after it when nothing happens."""

    def __init__(self, case: Case, template: Path, place: Path, keep: Path | None) -> None:
        self.case, self.template, self.place, self.keep = case, template, place, keep
        self.old = tree(template)
        self.seen: set[frozenset[tuple[str, str]]] = set()
        self.reset()
        status, self.operations, said = run(case.newer, place)
        if status:
            raise SystemExit(f"{case.name}: an undisturbed run ended with status {status}: {said}")
        self.new = tree(place)
        self.largest = max(path.stat().st_size for path in place.rglob("*") if path.is_file())
        self.reset()
        if run(case.newer, place)[0] or tree(place) != self.new:
            raise SystemExit(f"{case.name}: two undisturbed runs differ in {self.differing(self.new)}")

    def reset(self) -> None:
        """Put the state before the command in place."""
        shutil.rmtree(self.place, ignore_errors=True)
        if self.template.exists():
            shutil.copytree(self.template, self.place, symlinks=True)

    def differing(self, wanted: dict[str, str]) -> str:
        """Return the names that differ from what is wanted."""
        found = tree(self.place)
        names = [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]
        return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

    def ended(self, at: int, ending: str, recover: bool) -> str | None:
        """End the command once and look; return the state left, None where it ended before that operation."""
        self.reset()
        status, count, said = run(self.case.newer, self.place, at, ending)
        if status == 0 and (ending == "cut" or count < at):
            return None
        try:
            if status != STATUS[ending]:
                raise Finding(f"status {status}")
            state = self.state(ending)
            if recover and self.case.table is not None and self.place.exists():
                results._recover(self.place)
                self.settled("undoing")
            self.again()
        except Finding as finding:
            if self.keep is not None:
                shutil.copytree(self.place, self.keep / f"{self.template.name}-{ending}-{at}", symlinks=True)
            raise Finding(f"{self.case.name}: {ending} at {at} ({said}): {finding}") from None
        return state

    def state(self, ending: str) -> str:
        """Return which run lies there."""
        if ending == "term":
            return self.settled("SIGTERM", every=True)
        found = tree(self.place)
        files, old, new = (self.files(one) for one in (found, self.old, self.new))
        if files in (old, new):
            return "old" if files == old else "new"
        if self.case.table is not None and self.case.table not in files and results.ASIDE in found:
            return "undone"
        raise Finding(f"a mixture: not the old run by {self.differing(self.old)}; not the new by "
                      f"{self.differing(self.new)}")  # fmt: skip

    def files(self, found: dict[str, str]) -> dict[str, str]:
        """Return what a user is shown: the table and what it vouches for."""
        aside = (RECORD, self.case.own)
        return {
            name: value
            for name, value in found.items()
            if value != "folder" and name not in aside and not unfinished(name)
        }

    def settled(self, after: str, *, every: bool = False) -> str:
        """Return which run lies there to the last entry, those of killed runs aside unless `every`."""
        found = {
            name: value
            for name, value in tree(self.place).items()
            if name != self.case.own and (every or not unfinished(name) or name == results.ASIDE)
        }
        if found not in (self.old, self.new):
            raise Finding(f"after {after} not the old run by {self.differing(self.old)}; not the new by "
                          f"{self.differing(self.new)}")  # fmt: skip
        return "old" if found == self.old else "new"

    def again(self) -> None:
        """Run the command once more, some minutes later as leftovers take it; once for each state."""
        state = frozenset((RANDOM.sub("-*", name), value) for name, value in tree(self.place).items())
        if state in self.seen:
            return
        self.seen.add(state)
        for path in self.place.rglob("*"):
            if unfinished(path.name):
                os.utime(path, (time.time() - 600,) * 2, follow_symlinks=False)
        status, _, said = run(self.case.newer, self.place)
        if status or tree(self.place) != self.new:
            raise Finding(
                f"the next run ended with status {status} ({said}) and differs in {self.differing(self.new)}"
            )


def older_run(case: Case, place: Path, template: Path) -> None:
    """Leave in `template` what the older run writes, beside files of the user's own and through a link."""
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    if case.table is None:
        (place / "latest.safetensors").symlink_to("model.safetensors")
    status, _, said = run(case.older, place)
    if status:
        raise SystemExit(f"{case.name}: the older run ended with status {status}: {said}")
    for folder in [path for path in place.iterdir() if path.is_dir()]:
        (folder / "mine.txt").write_text("mine")
    shutil.copytree(place, template, symlinks=True)


def tried(trial: Trial, every: int, rng: random.Random) -> tuple[Counter[str], list[str]]:
    """End a command at each `every`th operation in each way; return counts and findings."""
    counts: Counter[str] = Counter()
    findings = []
    for ending in STATUS:
        cuts = sorted(rng.randrange(1, trial.largest) for _ in range(max(CUTS // every, 1)))
        first = rng.randrange(every) + 1
        for number, at in enumerate(cuts if ending == "cut" else range(first, 10**6, every)):
            try:
                state = trial.ended(at, ending, recover=number % 2 == 0)
            except Finding as finding:
                findings.append(str(finding))
                state = "FAILED"
            if state is None and ending != "cut":
                break
            if state is not None:
                counts.update((ending, state))
    return counts, findings


def main_() -> int:
    """Try the commands and print a line for each."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--command", choices=COMMANDS, action="append", help="this one alone; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="end at each Nth operation only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave there what a finding was found in")
    options = parser.parse_args()
    # What is cut is the writing, not the look at the room before it.
    fit.SMALLEST_MODEL, fit.check_room = 0, lambda _: None
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        names = options.command or COMMANDS
        known = cases(work, options.seed, models=set(names) != {"synthesize"})
        for name in names:
            begun, counts = time.monotonic(), Counter[str]()
            for state in ("older", "nothing"):
                template = work / f"{name}-{state}"
                if state == "older":
                    older_run(known[name], work / "place", template)
                trial = Trial(known[name], template, work / "place", options.keep)
                more, found = tried(trial, options.every, random.Random(options.seed))
                shutil.rmtree(work / "place")
                counts += more
                for line in found:
                    print(f"FAILED over {state}: {line}", flush=True)
                findings += found
            ended = ", ".join(f"{counts[ending]} {ending}" for ending in STATUS)
            left = ", ".join(f"{counts[state]} {state}" for state in ("old", "new", "undone", "FAILED"))
            print(f"{name}: {ended}; left {left}; {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main_())
