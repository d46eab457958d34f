"""A window for pictures, where there is a screen."""

import os
import sys

import cv2
import numpy as np

# Two builds of OpenCV share their files: the one that stays has to be installed after the other went.
NO_SCREEN = (
    "--show: there is no screen, or OpenCV was built without windows: then "
    "`pip uninstall opencv-python-headless`, and `pip install --force-reinstall opencv-python`."
)


class Window:
    """A window; q or Escape ends it.

    Attributes:
        is_ended: Whether it shows no more.
    """

    def __init__(self) -> None:
        """Make sure that there is a screen: without one the window system ends the process.

        Raises:
            OSError: There is none.
        """
        is_linux = sys.platform.startswith("linux")
        if is_linux and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
            raise OSError(NO_SCREEN)
        self.is_ended = False

    def show(self, picture: np.ndarray, *, wait: int) -> None:
        """Show an (H, W, 3) BGR picture for some milliseconds, 0: until a key.

        Raises:
            OSError: OpenCV was built without windows.
        """
        try:
            cv2.imshow("solo", picture)
            self.is_ended = cv2.waitKey(wait) in (ord("q"), 27)
        except cv2.error as error:
            self.is_ended = True
            raise OSError(NO_SCREEN) from error
