"""The camera: where a frame looks at the picture of its shot, as a homography.

Coordinates have their origin in the picture's centre, x to the right and y downwards; 1 is half the shorter side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MAX_TILT = 60.0
_FOCAL = 2.0


class Camera(NamedTuple):
    """Position of the camera.

    Attributes:
        zoom: natural logarithm of the enlargement.
        x, y: where it looks.
        turn: degrees, clockwise.
        tilt: degrees by which it looks up: the upper edge of the picture recedes.
    """

    zoom: float = 0.0
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    tilt: float = 0.0

    def since(self, other: Camera) -> Camera:
        """The way from another position to this one; the tilt is that of this one."""
        return Camera(self.zoom - other.zoom, self.x - other.x, self.y - other.y, self.turn - other.turn, self.tilt)

    def moved(self, other: Camera, share: float = 1.0) -> Camera:
        """This position after (a share of) the way of another; the tilt stays."""
        zoom, x, y, turn = (mine + share * theirs for mine, theirs in zip(self[:4], other[:4], strict=True))
        return Camera(zoom, x, y, turn, self.tilt)

    def matrix(self) -> Matrix:
        """Matrix that takes a point of the frame to the point of the picture that is seen there."""
        import numpy as np  # Plans of films are checked where no picture is made.

        angle, tilt = math.radians(self.turn), math.radians(self.tilt)
        scale = math.exp(-self.zoom)
        shrunk = np.diag([scale, scale, 1.0])
        tilted = np.array(
            [[math.cos(tilt) * _FOCAL, 0, 0], [0, _FOCAL, 0], [0, math.sin(tilt), math.cos(tilt) * _FOCAL]]
        )
        turned = np.array([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
        shifted = np.array([[1, 0, self.x], [0, 1, self.y], [0, 0, 1.0]])
        whole: Matrix = shifted @ turned @ tilted @ shrunk
        return whole
