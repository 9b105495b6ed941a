"""From light to a photo."""

import attrs
import cv2
import numpy as np

from declutter_async.emulator.arrays import Floats
from declutter_async.emulator.room_light import Glow
from declutter_async.emulator.room_raster import Frame
from declutter_async.emulator.room_textures import Rng

_JPEG_QUALITY = 90
_DAYLIGHT = np.array((1.06, 1.0, 0.95), np.float32)  # BGR
_LAMPLIGHT = np.array((0.62, 0.86, 1.12), np.float32)
_BOUNCED = np.array((0.97, 1.0, 1.0), np.float32)


@attrs.frozen
class Film:
    """How light becomes a photo, the same for both photos of a room: exposure, vignette, noise."""

    exposure: float
    vignette: Floats
    noise: Floats

    @classmethod
    def load(cls, rng: Rng, width: int, height: int, glow: Glow) -> "Film":
        """A film for photos of `width` x `height` pixels, exposed for the light in `glow`."""
        across = (np.arange(width, dtype=np.float32) / width - 0.5) ** 2
        down = (np.arange(height, dtype=np.float32) / height - 0.5) ** 2
        vignette = 1 - np.float32(rng.uniform(0.25, 0.5)) * (across[None] + down[:, None])
        noise = rng.standard_normal((height // 2, width // 2), np.float32)
        coarse = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        light = glow.day + glow.lamp + glow.around
        bright = float(np.quantile(light[::8, ::8], 0.7))
        return cls(
            exposure=float(rng.uniform(0.82, 0.98)) / bright,
            vignette=vignette,
            noise=coarse * np.float32(0.8)
            + np.float32(1.5) * rng.standard_normal((height, width), np.float32),
        )

    def print(self, frame: Frame, glow: Glow) -> bytes:
        """The photo, as a JPEG."""
        height, width = self.vignette.shape
        look = np.asarray(cv2.resize(frame.look, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        color, own = look[..., :3].astype(np.float32), look[..., 3] / np.float32(100)
        for channel in range(3):
            light = (
                glow.day * _DAYLIGHT[channel]
                + glow.lamp * _LAMPLIGHT[channel]
                + glow.around * _BOUNCED[channel]
            )
            light *= np.float32(self.exposure)
            light += own * (2 - light * np.float32(0.5))
            # Gamma, and a shoulder that keeps bright places from clipping.
            light = np.sqrt(light)
            color[..., channel] *= light * np.float32(1.18) / (1 + light * light * np.float32(0.16))
        color *= self.vignette[..., None]
        color += self.noise[..., None]
        photo = cv2.GaussianBlur(cv2.convertScaleAbs(np.maximum(color, 0)), (3, 3), 0.45)
        return cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
