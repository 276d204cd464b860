"""Images: reading, preprocessing, augmentation, data sets."""
