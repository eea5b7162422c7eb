"""A coreset inside a scikit-learn pipeline: scale, describe each row by its distances to the picks, classify.

python examples/scikit_learn_pipeline.py
"""

from pni_fast.sklearn import GreedyCoreset
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

digits, labels = load_digits(return_X_y=True)
for size in (10, 50, 200):
    pipeline = make_pipeline(StandardScaler(), GreedyCoreset(size=size), RidgeClassifier())
    accuracy = cross_val_score(pipeline, digits, labels, cv=3).mean()
    print(f"{size:4} picks: accuracy {accuracy:.3f}")
