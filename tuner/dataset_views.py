"""What the service answers about data: the catalogue's, uploaded ones, and uploads under way."""

from datetime import datetime

from tuner.catalog_views import CatalogEntry
from tuner.views import View


class DataFileView(View):
    """A file of an uploaded data set."""

    name: str
    bytes: int
    sha256: str
    added_at: datetime


class UploadedData(View):
    """A data set that somebody uploaded."""

    name: str
    #: Of all files.
    bytes: int
    #: Of what ``sha256sum *`` prints in the folder of the files.
    sha256: str
    #: By name.
    files: list[DataFileView]
    created_at: datetime


class DatasetEntry(CatalogEntry):
    """A data set of the catalogue, or one that was uploaded."""

    #: None where it is the catalogue's.
    uploaded: UploadedData | None = None


class DatasetList(View):
    """The catalogue's data sets, then the uploaded ones by name."""

    entries: list[DatasetEntry]


class UploadView(View):
    """An upload that is under way: so many bytes of a file are here."""

    id: str
    name: str
    filename: str
    offset: int
    #: None where it was not announced.
    length: int | None = None
    #: Where the rest is to be sent.
    url: str
