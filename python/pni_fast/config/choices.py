"""Names that more than one door offers: the library takes them and the command line lists them."""

from __future__ import annotations

DEVICES = ("auto", "cpu", "cuda")
"""Where the networks may run; ``cuda:1`` names one of several GPUs."""

PRECISIONS = ("auto", "fp32", "bf16")
"""What the networks may compute in; see :func:`pni_fast.runtime.precision.resolve_precision`."""

ENGINES = ("auto", "torch", "openvino", "onnxruntime")
"""What may run the extractor; see :func:`pni_fast.features.engines.choose.choose_engine`."""

FEATURE_DTYPES = ("float32", "float16")
"""What the features of a fit may be kept in."""

DATASETS = ("mvtec", "mvtec_loco", "mvtec_3d", "btad", "visa", "folder")
"""Layouts of data sets that `pni_fast.data` opens."""

RESULTS_MARK = ".pni-fast-results"
"""Name of the file that marks a folder of results: no pictures are read from below one."""

METRICS = ("image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro")
"""Figures of a test set, shares in [0, 1], in the order they are shown."""

VERDICTS = {True: "defective", False: "good", None: ""}
"""What an image is called, by whether it is defective; nothing where there is no threshold."""

INSPECTED, ORIGINAL = MAP_SIZES = ("inspected", "original")
"""Sizes of maps: of what the model sees, and of the photograph as it was."""
