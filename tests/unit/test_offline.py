"""A model file needs nothing beside itself: no connection is opened and no other file."""

from pathlib import Path

FILES = Path(__file__).resolve().parent.parent / "files"

OUTSIDE = """
import os, sys
from pathlib import Path
import numpy as np
from pni_fast import PNI
import scipy.ndimage  # what scoring imports when it is first asked

allowed = [Path(file).resolve() for file in sys.argv[1:]]
own = [Path(folder).resolve() for folder in {sys.prefix, sys.base_prefix, *filter(None, sys.path)}]
own.append(Path(sys.modules["pni_fast"].__file__).resolve().parent)

def watch(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "subprocess.", "os.system", "os.exec")):
        raise SystemExit(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = Path(os.fsdecode(arguments[0])).resolve()
        code = path.suffix in (".py", ".pyc", ".so") or path.is_dir()
        system = path.is_relative_to("/proc") or path.is_relative_to("/sys")
        if path not in allowed and not system and not (code and any(map(path.is_relative_to, own))):
            raise SystemExit(f"opened {path}")

sys.addaudithook(watch)
for file in sys.argv[1:]:
    PNI.load(file, device="cpu", num_threads=1).score_samples([np.zeros((80, 80, 3), np.uint8)])
"""


def test_loading_and_scoring_open_no_connection_and_no_other_file(starter, tmp_path, model_file):
    """Not the embedded weights, no cache of a hub, no token: the weights are in the file."""
    home = {"HF_HOME": str(tmp_path / "hub"), "HF_TOKEN_PATH": str(tmp_path / "token")}
    files = [
        str(file)
        for file in (model_file, FILES / "format1-refined.safetensors", FILES / "format2.safetensors")
    ]
    done = starter.run("-c", OUTSIDE, *files, environment=home)
    assert done.returncode == 0, done.stderr
