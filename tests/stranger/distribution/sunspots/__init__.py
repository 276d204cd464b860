"""A task, a kind of data, a model, a loss, an optimizer, a callback, a plugin and a metric of somebody else's."""
