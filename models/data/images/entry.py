"""Image folders' catalogue entry. What opens images needs Pillow, and is imported when used."""

from typing import Final

from models.catalog import DataEntry
from models.data.images.options import NAMES
from models.importing import later

IMAGES: Final = DataEntry(
    name="images",
    summary="A folder with a folder of images for each class, or a zip of it: "
    "data: {images: FOLDER}.",
    source="the layout of torchvision's ImageFolder",
    inspect=later("models.data.images.source:inspect_images"),
    explain=later("models.data.images.source:explain_images"),
    options=NAMES,
    needs_path=True,
)
