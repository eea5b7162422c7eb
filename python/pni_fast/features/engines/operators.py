"""What each operation of torch (ATen) is in ONNX."""

from __future__ import annotations

from .arithmetic import ARITHMETIC
from .call import Operator
from .layers import LAYERS
from .reshaping import RESHAPING

OPERATORS: dict[str, Operator] = {**ARITHMETIC, **LAYERS, **RESHAPING}
"""By the name torch has for it; of one in place without its last underscore."""
