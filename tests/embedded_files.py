"""Write the files of `pni_fast.features.embedded`, as torch and timm give them."""

import json

import numpy as np
import torch
from numpy.typing import NDArray
from pni_fast.config.backbones import EMBEDDED
from pni_fast.features.backbones import build_extractor
from pni_fast.features.embedded import (
    ANSWER,
    CROP,
    DIMENSION,
    EVERY,
    GRAPH,
    NAMES,
    PATCH,
    question,
    weights_file,
)
from pni_fast.features.engines.export import extractor_graph
from pni_fast.features.weights import load_weights
from pni_fast.runtime.threads import one_torch_thread
from pni_fast.runtime.torch_file import read_first_format


def fresh() -> tuple[bytes, str, NDArray[np.float32]]:
    """Return what the three files should hold."""
    import timm

    extractor = build_extractor(EMBEDDED, PATCH, DIMENSION)
    load_weights(extractor.backbone, EMBEDDED, None)
    # The whole network's list of tensors and the file's agree in their order.
    theirs = dict(
        zip(timm.create_model(EMBEDDED).state_dict(), read_first_format(weights_file()), strict=True)
    )
    own = {name: (theirs[name], value.nbytes) for name, value in extractor.backbone.state_dict().items()}
    with one_torch_thread():
        answer = extractor(torch.from_numpy(question()))[0, ::EVERY, ::EVERY].numpy()
    return extractor_graph(extractor, CROP, CROP), json.dumps(own) + "\n", answer


if __name__ == "__main__":
    graph, own_names, answer = fresh()
    GRAPH.write_bytes(graph)
    NAMES.write_text(own_names)
    np.save(ANSWER, answer)
