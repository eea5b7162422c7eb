"""The product works alone: no connection is opened, and no file that was not named, ours or a library's."""

import subprocess
import sys
from pathlib import Path

FILES = Path(__file__).resolve().parent.parent / "files"

WATCH = """
import os, sys, tempfile
from pathlib import Path
import numpy as np
from pni_fast import PNI
import timm, torch, pni_fast.features.backbones, pni_fast.refinement.network  # what older models bring

own = [Path(folder).resolve() for folder in {sys.prefix, sys.base_prefix, *filter(None, sys.path)}]
own.append(Path(sys.modules["pni_fast"].__file__).resolve().parent)
own.append(own[-1].joinpath("cli").resolve())  # a link
temporary = Path(tempfile.gettempdir()).resolve()
seen = []
named, written, system = [], [], ["/proc", "/sys"]
library = lambda path: False  # code alone: no embedded weights, no cache of a hub, no token

def inside(path, folders):
    return any(path.is_relative_to(folder) for folder in folders)

def watch(event, arguments):
    # A process of its own would be watched by nobody.
    alone = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.")
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", *alone)):
        seen.append(f"{event} {arguments}")
        raise SystemExit(seen[-1])
    if event != "open" or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    path, flags = Path(os.fsdecode(arguments[0])).resolve(), arguments[2] or 0
    if inside(path, written):
        return
    if flags & (os.O_WRONLY | os.O_RDWR):
        if path != Path(os.devnull):
            seen.append(f"opened to write: {path}")
        return
    if path not in named and not inside(path, named + system):
        # Where modules are looked for need not be there: python311.zip never is.
        code = path.suffix in (".py", ".pyc", ".so") or path.is_dir() or path in own
        if not inside(path, own) or not (code or library(path)):
            seen.append(f"opened: {path}")

def told(what):
    if seen:
        raise SystemExit(f"{what}: {seen}")

sys.addaudithook(watch)
"""

LOADED = """
for file in sys.argv[1:]:
    named[:] = [Path(file).resolve()]
    PNI.load(file, device="cpu", num_threads=1).score_samples([np.zeros((80, 80, 3), np.uint8)])
    told(file)
"""

COMMANDS = """
library = lambda path: True  # its data too: fonts, weights, styles
from pni_fast.cli.application import application

category, out = map(Path, sys.argv[1:])
test = category / "test"
system += ["/dev", "/etc", "/usr/share", "/usr/lib", "/lib"]
model = out / "m.safetensors"
tiny = ["--set", "resize=80", "--set", "crop=64", "--no-neighborhood"]
for inputs, command in (
    ([category / "train"], ["fit", category, "-o", model, *tiny]),
    ([model, test], ["score", model, test, "-o", out / "s", "--maps", "--overlays"]),
    ([model, category], ["evaluate", model, category, "-o", out / "e"]),
):
    named[:], written[:] = inputs, [out, temporary]
    application([*map(str, command), "-q", "--device", "cpu"], standalone_mode=False)
    told(command[0])
"""


def alone(environment, tmp_path, script, *arguments):
    home = {name: str(tmp_path / "home" / name) for name in ("HF_HOME", "HF_TOKEN_PATH", "HOME")}
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WATCH + script, *map(str, arguments)],
        cwd=tmp_path / "temporary",  # what is opened relative to a folder that is open looks as if here
        env={**environment, **home, "TMPDIR": str(tmp_path / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_a_model_file_needs_nothing_beside_itself(environment, tmp_path, model_file):
    alone(
        environment,
        tmp_path,
        LOADED,
        *(model_file, FILES / "format1-refined.safetensors", FILES / "format2.safetensors"),
    )


def test_commands_open_what_is_named_and_write_the_output(environment, tmp_path, shared_category):
    (tmp_path / "out").mkdir()
    alone(environment, tmp_path, COMMANDS, shared_category.resolve(), (tmp_path / "out").resolve())
