"""Where pictures are drawn: of arrays and words; no model and no data set is known here.

A picture is an (H, W, 3) uint8 BGR array, which `pictures` writes: `draw` has instances on an image, `labels` where their
names stand, `palette` their colours, `marks` what is right and wrong, `legend` what that means,
`closeup` a part of one, `sheet` images beside their ground truth and their prediction, `training_images`
what training sees, `gallery` pictures with captions, `video` frames. A plot is written to a file by
`plots`: `curves` has losses and AP, `accuracy` precision and errors, `survey_plot` a data set.
"""

from solo.visualization.curves import plot_metrics, plot_runs
from solo.visualization.draw import draw_instances
from solo.visualization.pictures import write_picture
from solo.visualization.sheet import SheetRow, prediction_sheet

__all__ = [
    "SheetRow",
    "draw_instances",
    "plot_metrics",
    "plot_runs",
    "prediction_sheet",
    "write_picture",
]
