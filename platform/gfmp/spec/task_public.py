"""What a task file says of the public data behind it: address, files, rows, what is not sure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gfmp.spec.base import Closed, PositiveInt

Text = Annotated[str, Field(min_length=1)]


class DownloadSpec(Closed):
    """A plain file that can be downloaded.

    Attributes:
        url: Where it lies (https, http or ftp).
        path: Where it goes, relative to the YAML file.
        sha256: Digest the file must have; without it the first download is remembered.
        size_bytes: Its size, for people; checked when given.
        members: Of a zip or tar archive: member to the path it is unpacked to. Nothing else of
            the archive is unpacked.
    """

    url: Annotated[str, Field(pattern=r"^(https?|ftp)://\S+$")]
    path: Text
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    size_bytes: PositiveInt | None = None
    members: dict[Text, Text] = Field(default_factory=dict)


class RowsSpec(Closed):
    """Rows of each split as published; a split that is not named is not compared.

    Attributes:
        train: Rows that are learned from.
        valid: Rows that choose.
        test: Rows that are only scored.
    """

    train: PositiveInt | None = None
    valid: PositiveInt | None = None
    test: PositiveInt | None = None

    def given(self) -> dict[str, int]:
        """Return the splits that are named."""
        rows = {"train": self.train, "valid": self.valid, "test": self.test}
        return {split: count for split, count in rows.items() if count is not None}


class PublicSpec(Closed):
    """Where public data comes from and what it should hold.

    Attributes:
        address: The page for people.
        download: Plain files, which `gfmp tasks fetch NAME` gets.
        instruction: What to do by hand, where there is no plain download.
        rows: Rows as published.
        unverified: What is known second-hand only; holds until the rows found are those published.
    """

    address: Text
    download: tuple[DownloadSpec, ...] = ()
    instruction: str = ""
    rows: RowsSpec = RowsSpec()
    unverified: str = ""

    @model_validator(mode="after")
    def _can_be_had(self) -> PublicSpec:
        if not self.download and not self.instruction:
            raise ValueError("give download, or an instruction that says how to get the files")
        return self
