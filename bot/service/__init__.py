"""The application without Discord: submit jobs, queue them fairly, generate them, deliver them. Event loop.

The frontend uses `Service`, its parts `submissions`, `archive`, `personal_data`, `guilds`, `words`, `reports`,
`waiting`, `host` and `post`, and the values named here.
"""

from bot.jobs import Report, ReportedPicture, ReportReason
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
    Outcome,
    PictureFile,
    Place,
    Preview,
    ReportPage,
    Requester,
    RetentionPlan,
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
    "Outcome",
    "PictureFile",
    "Place",
    "Preview",
    "Report",
    "ReportPage",
    "ReportReason",
    "ReportedPicture",
    "Requester",
    "RetentionPlan",
    "Safety",
    "Service",
    "Statistics",
    "Style",
    "SubmittedJob",
]
