"""The embedded emoji: pictures, their families, and how they were made."""

from egsde.data.emoji.pictures import Emoji

__all__ = ["Emoji"]
