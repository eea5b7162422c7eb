"""anomalib's Patchcore with the exact coreset: `install()` is the only line that is ours.

python examples/anomalib_patchcore.py path/to/category     (MVTec AD layout; needs `pip install anomalib`)
"""

import sys
from pathlib import Path

import pni_fast.anomalib
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import Patchcore

pni_fast.anomalib.install()

root = Path(sys.argv[1])
defects = sorted(path.name for path in (root / "test").iterdir() if path.name != "good")
data = Folder(
    name=root.name,
    root=root,
    normal_dir="train/good",
    normal_test_dir="test/good",
    abnormal_dir=[f"test/{name}" for name in defects],
    num_workers=0,
)
model = Patchcore(backbone="resnet18", layers=["layer2", "layer3"], coreset_sampling_ratio=0.01)
engine = Engine(accelerator="auto")
engine.fit(model=model, datamodule=data)
print(engine.test(model=model, datamodule=data))
