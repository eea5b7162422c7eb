"""Who computes the features: the extractor as one ONNX graph, and the engines that run it."""
