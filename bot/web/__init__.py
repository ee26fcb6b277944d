"""Web galleries: read-only pages of the pictures that `bot.service.moderation.web_gallery` lets visitors see."""
