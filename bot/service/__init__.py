"""The application without Discord: submit jobs, queue them fairly, generate them, deliver them. Event loop.

The frontend uses `Service`, its parts `submissions`, `batches`, `votes`, `wildcards`, `archive`, `personal_settings`,
`presets`, `personal_data`, `guilds`, `words`, `reports`, `waiting`, `web_gallery`,
`host` and `post`, and the values named here.
"""

from bot.jobs import Report, ReportedPicture, ReportReason
from bot.service.application import Service
from bot.service.archive import style_picture
from bot.service.job_runner import GRID
from bot.service.moderation.web_gallery import WebDetails, WebGallery, WebPage
from bot.service.operator import HostStatus
from bot.service.people.settings import CHOICES as PERSONAL_CHOICES
from bot.service.people.settings import DEFAULT as PERSONAL_DEFAULT
from bot.service.people.settings import TEXTS as PERSONAL_TEXTS
from bot.service.people.settings import Ping, Preferences
from bot.service.submission.batches import BatchView
from bot.service.submission.votes import Ballot, Result
from bot.service.values import (
    Delivery,
    FileInput,
    FollowUp,
    GalleryEntry,
    GalleryPage,
    ImageInput,
    JobSpec,
    JobView,
    Outcome,
    PictureFile,
    Place,
    Preset,
    Preview,
    ReportPage,
    Requester,
    RetentionPlan,
    Safety,
    ServerModels,
    SetDefaults,
    Sheet,
    Statistics,
    Style,
    SubmittedJob,
    Whose,
)
from bot.store import WebPicture
from bot.worker.protocol import WorkerStatus

__all__ = [
    "GRID",
    "PERSONAL_CHOICES",
    "PERSONAL_DEFAULT",
    "PERSONAL_TEXTS",
    "Ballot",
    "BatchView",
    "Delivery",
    "FileInput",
    "FollowUp",
    "GalleryEntry",
    "GalleryPage",
    "HostStatus",
    "ImageInput",
    "JobSpec",
    "JobView",
    "Outcome",
    "PictureFile",
    "Ping",
    "Place",
    "Preferences",
    "Preset",
    "Preview",
    "Report",
    "ReportPage",
    "ReportReason",
    "ReportedPicture",
    "Requester",
    "Result",
    "RetentionPlan",
    "Safety",
    "ServerModels",
    "Service",
    "SetDefaults",
    "Sheet",
    "Statistics",
    "Style",
    "SubmittedJob",
    "WebDetails",
    "WebGallery",
    "WebPage",
    "WebPicture",
    "Whose",
    "WorkerStatus",
    "style_picture",
]
