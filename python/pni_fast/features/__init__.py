"""From pictures to patch features: backbones, their weights, and the extractor."""
