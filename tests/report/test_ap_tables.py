"""One table: all AP of a run, and a dash where there is none."""

from solo.report.ap_tables import ap_table, last_tables


def test_the_last_values_and_no_number():
    metrics = {
        "segm/AP": [(10, 1.0), (20, 2.25)],
        "bbox/AP": [(20, 3.0)],
        "segm/APl": [(20, float("nan"))],
        "segm/AP-a cat": [(20, 4.0)],
        "segm/F1": [(20, 99.0)],
        "lr": [(20, 0.1)],
    }
    lines = [
        [word.strip() for word in line.split("|")[1:-1]]
        for line in ap_table(last_tables(metrics)).splitlines()
    ]
    assert lines[0] == ["", "mask AP", "box AP"]
    assert ["all", "2.2", "3.0"] in lines and ["large", "-", "-"] in lines
    assert lines[-1] == ["a cat", "4.0", "-"] and len(lines) == 9
