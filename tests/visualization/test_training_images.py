import numpy as np

from solo.visualization.draw import PALETTE
from solo.visualization.training_images import LevelTargets, draw_cells, draw_training_image
from tests.conftest import rectangles

SIZE = (64, 64)
RED = np.array([0, 0, 255])


def level(side, *pairs):
    cells, instances = zip(*pairs, strict=True) if pairs else ((), ())
    return LevelTargets(side, np.array(cells, dtype=int), np.array(instances, dtype=int))


def nearest(pixel):
    """Return the number of the palette's colour that a pixel resembles most."""
    return int(np.abs(np.array(PALETTE) - pixel.astype(int)).sum(axis=1).argmin())


def test_cells_have_the_colours_of_their_objects():
    truth = rectangles(SIZE, [(0, 0, 4, 4), (60, 60, 64, 64)], [0, 1])
    # 4 x 4 cells of 16 pixels; one claimed by both objects.
    targets = level(4, (1, 0), (11, 1), (14, 0), (14, 1))
    drawn = draw_cells(np.full((*SIZE, 3), 128, np.uint8), truth, targets, longer_side=256)
    assert drawn.shape == (256, 256, 3)
    center = {cell: drawn[64 * (cell // 4) + 32, 64 * (cell % 4) + 32] for cell in range(16)}
    assert nearest(center[1]) == 0 and nearest(center[11]) == 1
    empty = [cell for cell in range(16) if cell not in (1, 11, 14)]
    assert all(np.ptp(center[cell]) == 0 for cell in empty)
    row, left = 64 * 3 + 32, 64 * 2
    assert (nearest(drawn[row, left + 16]), nearest(drawn[row, left + 48])) == (0, 1)


def test_a_level_without_cells_shows_its_grid():
    truth = rectangles(SIZE, [], [])
    drawn = draw_cells(np.full((*SIZE, 3), 128, np.uint8), truth, level(4), longer_side=256)
    lines = (drawn[:, 5] != drawn[5, 5]).any(axis=1)
    assert np.nonzero(lines)[0].tolist() == [64, 128, 192]


def test_objects_without_a_cell_are_outlined_in_red():
    truth = rectangles(SIZE, [(8, 8, 24, 24), (40, 40, 56, 56)], [0, 1])
    image = np.full((*SIZE, 3), 128, np.uint8)
    for drawn in (
        draw_cells(image, truth, level(4, (0, 0)), longer_side=256, warn_of=[1]),
        draw_training_image(image, truth, longer_side=256, warn_of=[1]),
    ):
        rows, columns = np.nonzero((drawn == RED).all(axis=2))
        assert min(rows.min(), columns.min()) > 150 and max(rows.max(), columns.max()) < 230


def test_training_images_show_boxes_that_the_masks_do_not():
    truth = rectangles(SIZE, [(8, 8, 24, 24)], [1])
    truth.gt_boxes.tensor[:] = truth.gt_boxes.tensor.new_tensor([8, 8, 56, 56])
    drawn = draw_training_image(np.zeros((*SIZE, 3), np.uint8), truth, ["a", "b"], longer_side=256)
    assert (drawn[223, 100:200] == PALETTE[1]).all()
