"""The application itself: takes wishes, keeps them in a fair queue, has them painted and hands them out for posting.

Everything here runs on the event loop. The frontend uses `Service`, its parts `submissions`, `archive`, `people`,
`guilds`, `words`, `host` and `post`, and the values named here.
"""

from bot.service.application import Service
from bot.service.job_runner import GRID
from bot.service.operator import HostStatus
from bot.service.values import (
    Asker,
    Change,
    Delivery,
    GalleryEntry,
    GalleryPage,
    ImageWish,
    JobView,
    PictureFile,
    Place,
    Preview,
    Report,
    ReportReason,
    Safety,
    Statistics,
    Style,
    Ticket,
    Wish,
)

__all__ = [
    "GRID",
    "Asker",
    "Change",
    "Delivery",
    "GalleryEntry",
    "GalleryPage",
    "HostStatus",
    "ImageWish",
    "JobView",
    "PictureFile",
    "Place",
    "Preview",
    "Report",
    "ReportReason",
    "Safety",
    "Service",
    "Statistics",
    "Style",
    "Ticket",
    "Wish",
]
