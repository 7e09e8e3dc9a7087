"""Colour profiles: a picture with one becomes sRGB, as a viewer shows it."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
UNREAD = "colour profile not read"  # key of Image.info


def to_srgb(image: Image.Image) -> Image.Image:
    """The same pixels as sRGB, alpha kept; one whose profile is damaged stays, and says so."""
    data = image.info.get("icc_profile")
    if not data:
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        name = (ImageCms.getProfileDescription(profile) or "").strip()
        if "sRGB" in name and image.mode not in ("CMYK", "LAB"):
            return image
        return _converted(image, profile)
    except (ImageCms.PyCMSError, OSError, ValueError, KeyError) as error:
        image.info[UNREAD] = str(error) or type(error).__name__
        return image


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    mode = SPACES[profile.profile.xcolor_space]
    alpha = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    opacity = image.convert("RGBA").getchannel("A") if alpha else None
    colours = image if image.mode == mode else image.convert(mode)
    result = ImageCms.profileToProfile(
        colours,
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert result is not None
    if opacity is not None:
        result.putalpha(opacity)
    result.info = {k: v for k, v in image.info.items() if k not in ("transparency", "icc_profile")}
    return result
