"""A predictor whose process is killed midway, in a module that workers can import."""

import os
import signal
from pathlib import Path

from solo.inference import Predictor

# Of the image at which it is killed, and of a file that is made then.
LAST_IMAGE, MARK = "photos/13.png", "killed"


class Mortal(Predictor):
    """Is killed at an image, as by a system without memory, if none was before."""

    def __call__(self, image, **threshold):
        if image == LAST_IMAGE and not Path(MARK).exists():
            Path(MARK).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(image, **threshold)
