"""One run of the checks: what was read and found so far."""

from dataclasses import dataclass, field

from sssd.checks.findings import Findings
from sssd.checks.headers import Header
from sssd.checks.overlap import Source
from sssd.checks.reading import Files


@dataclass
class Run:
    """What the checks of one config share.

    Attributes:
        thorough: Look at every image, with progress; else at a sample.
        findings: What was found.
        files: Annotation files that were read.
        headers: Headers of images that were looked at, by their paths.
        sources: The images of all data sets.
        sets: How many data sets the config has; not all of them may be sources.
        shared: Images that sources of different roles share, which are told.
        absent: The roots, which do not exist, of data sets by their keys; each root is told once.
    """

    thorough: bool = False
    findings: Findings = field(default_factory=Findings)
    files: Files = None
    headers: dict[str, Header] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    sets: int = 0
    shared: set[str] = field(default_factory=set)
    absent: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = Files(self.findings, told=self.thorough)

    @staticmethod
    def role_of(key: str, labelled: bool) -> str:
        """What the images of a data set are for, by its key."""
        if not key.startswith('train'):
            return 'val'
        return 'labelled' if labelled else 'unlabelled'
