"""What lies in a folder of images: looked through once, kept in a file that later starts and other processes map."""

from sssd.listing.folder import Scan, passed_over, scan
from sssd.listing.kept import keep_beside, kept_as, list_folder, measure
from sssd.listing.names import Listing
from sssd.listing.near import file_above, near_file

__all__ = [
    'Listing',
    'Scan',
    'file_above',
    'keep_beside',
    'kept_as',
    'list_folder',
    'measure',
    'near_file',
    'passed_over',
    'scan',
]
