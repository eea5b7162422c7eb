"""Images, masks and the folders they lie in."""

from .images import IMAGE_SUFFIXES, image_size, list_images, read_image, read_mask
from .layout import Category, Sample, collect_inputs, open_category, training_images

__all__ = [
    "IMAGE_SUFFIXES",
    "Category",
    "Sample",
    "collect_inputs",
    "image_size",
    "list_images",
    "open_category",
    "read_image",
    "read_mask",
    "training_images",
]
