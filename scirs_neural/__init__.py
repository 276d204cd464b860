"""scirs_neural: name a model, a dataset and the end product; get a trained, checked, deployable PyTorch model."""
