"""The application itself: takes wishes, keeps them in a fair queue, has them painted and hands them out for posting.

Everything here runs on the event loop. The frontend uses `Service`, its parts `archive`, `people`, `guilds`, `words`,
`host` and `post`, and the values named here.
"""

from bot.service.application import Service
from bot.service.job_runner import GRID
from bot.service.operator import HostStatus
from bot.service.values import (
    Delivery,
    FollowUp,
    GalleryEntry,
    GalleryPage,
    ImageInput,
    JobSpec,
    JobView,
    PictureFile,
    Place,
    Preview,
    Report,
    ReportReason,
    Requester,
    Safety,
    Statistics,
    Style,
    SubmittedJob,
)

__all__ = [
    "GRID",
    "Delivery",
    "FollowUp",
    "GalleryEntry",
    "GalleryPage",
    "HostStatus",
    "ImageInput",
    "JobSpec",
    "JobView",
    "PictureFile",
    "Place",
    "Preview",
    "Report",
    "ReportReason",
    "Requester",
    "Safety",
    "Service",
    "Statistics",
    "Style",
    "SubmittedJob",
]
