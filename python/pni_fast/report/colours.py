"""The colours of anomaly maps: inferno (van der Walt and Smith, CC0) without its dark third.

They are written down here, so that a picture on a machine at the belt takes no plotting library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST, LAST = 0.38, 0.97
"""The part of inferno's scale that is used."""

_TABLE = (
    "8c23698c23698d23698f24698f24699025689025689225689326679326679526679526679727669727669827669a2865"
    "9a28659b29649b29649d29649f2a639f2a63a02a63a02a63a22b62a32c61a32c61a52c60a52c60a62d60a82e5fa82e5f"
    "a92e5ea92e5eab2f5ead305dad305dae305cae305cb0315bb0315bb1325ab3325ab3325ab43359b43359b63458b73557"
    "b73557b93556b93556ba3655bc3754bc3754bd3853bd3853bf3952c03a51c03a51c13a50c13a50c33b4fc43c4ec43c4e"
    "c63d4dc63d4dc73e4cc73e4cc83f4bca404aca404acb4149cb4149cc4248ce4347ce4347cf4446cf4446d04545d24644"
    "d24644d34743d34743d44842d54a41d54a41d74b3fd74b3fd84c3ed84c3ed94d3dda4e3cda4e3cdb503bdb503bdd513a"
    "de5238de5238df5337df5337e05536e15635e15635e25734e25734e35933e45a31e45a31e55c30e55c30e65d2fe75e2e"
    "e75e2ee8602de8602de9612be9612bea632aeb6429eb6429eb6628eb6628ec6726ed6925ed6925ee6a24ee6a24ef6c23"
    "ef6e21ef6e21f06f20f06f20f1711ff1731df1731df2741cf2741cf3761bf37819f37819f47918f47918f57b17f57b17"
    "f57d15f67e14f67e14f68013f68013f78212f78410f78410f8850ff8850ff8870ef8890cf8890cf98b0bf98b0bf98c0a"
    "f98e09f98e09fa9008fa9008fa9207fa9407fa9407fb9606fb9606fb9706fb9706fb9906fb9b06fb9b06fb9d07fb9d07"
    "fc9f07fca108fca108fca309fca309fca50afca60cfca60cfca80dfca80dfcaa0ffcac11fcac11fcae12fcae12fcb014"
    "fcb216fcb216fcb418fcb418fbb61afbb61afbb81dfbba1ffbba1ffbbc21fbbc21fbbe23fac026fac026fac228fac228"
    "fac42afac62dfac62df9c72ff9c72ff9c932f9cb35f9cb35f8cd37f8cd37f8cf3af8cf3af7d13df7d340f7d340f6d543"
    "f6d543f6d746f5d949f5d949f5db4cf5db4cf4dd4ff4df53f4df53f4e156f4e156f3e35af3e55df3e55df2e661f2e661"
    "f2e865f2ea69f2ea69f1ec6df1ec6df1ed71f1ed71f1ef75f1f179f1f179f2f27df2f27df2f482f3f586f3f586f3f68a"
)

COLOURS: NDArray[np.float64] = np.frombuffer(bytes.fromhex(_TABLE), np.uint8).reshape(256, 3).astype(float)
"""256 colours, RGB from 0 to 255, from where colour sets in to the hottest."""
