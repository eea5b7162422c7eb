"""Scores of a folder as a pandas frame, with how far each lies from the normal range, written as a table.

python examples/scores_in_a_frame.py part.safetensors photos/new scores.csv
"""

import sys

import pandas as pd
from pni_fast import PNI

file, folder, table = sys.argv[1:]
model = PNI.load(file)
low, high = model.normalization_  # of maps of normal images, seen when the model was fitted

frame = pd.DataFrame(
    {"image": result.name, "score": result.score, "area above normal": (result.anomaly_map > high).mean()}
    for result in model.predict(folder)
)
frame["times normal"] = (frame["score"] - low) / (high - low)
frame = frame.sort_values("score", ascending=False)
frame.to_csv(table, index=False)
print(frame.head(10).to_string(index=False))
