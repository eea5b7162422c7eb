"""Fit on a folder of good images, keep the model, score a folder of new ones, worst first.

python examples/fit_and_score.py photos/good photos/new part.safetensors
"""

import sys

from pni_fast import PNI

good, new, file = sys.argv[1:]
PNI().fit(good).save(file)

model = PNI.load(file)
for result in sorted(model.predict(new), key=lambda result: -result.score):
    row, column = divmod(result.anomaly_map.argmax(), result.anomaly_map.shape[1])
    print(f"{result.score:8.3f}  {result.name}  (worst at row {row}, column {column} of the map)")
