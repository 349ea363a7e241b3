"""Files in scientific formats as scenes, and the way back. Knows nothing of learning.

``scan(path)`` says what is there from headers alone; ``open_scenes(path)`` gives the scenes; a scene
reads windows of pixels in physical units and writes itself back with patches laid in;
``write_sample(...)`` writes pixels that have no source file; ``Delivery`` says what becomes of written files.
"""

from data_adapters.delivery import Delivery
from data_adapters.labels import write_labels
from data_adapters.registry import Inventory, adapter, open_scenes, scan
from data_adapters.scene import Channel, Grid, Patch, Pixels, Provenance, Scene, Template, Window

__all__ = [
    "Channel",
    "Delivery",
    "Grid",
    "Inventory",
    "Patch",
    "Pixels",
    "Provenance",
    "Scene",
    "Template",
    "Window",
    "adapter",
    "open_scenes",
    "scan",
    "write_labels",
]
