"""Tables are held against averages worked out by hand, and every figure of the paper says whose it is."""

import csv
import json
import re

import pytest
from pni_fast.benchmark import paper
from pni_fast.benchmark.averages import methods
from pni_fast.benchmark.groups import GROUPS, named_groups, official_categories
from pni_fast.benchmark.outputs import write_tables
from pni_fast.benchmark.records import Record
from pni_fast.benchmark.tables import build_tables
from pni_fast.config.choices import METRICS

CURVES = None
MODEL = {"backbone": "tiny_net", "weights": "embedded"}


def record(category, variant="NPR", preset="lite", **metrics):
    values = dict.fromkeys((*METRICS, "image_threshold", "pixel_threshold")) | metrics
    seconds = {"fit": 1.0, "evaluate": 1.0}
    return Record(category, preset, variant, values, 4, 4, [], CURVES, MODEL, seconds, "cpu")


def by_name(tables):
    return {table.name: table for table in tables}


def row(table, label):
    (found,) = [item for item in table.rows if item.label == label]
    return dict(zip(table.columns, found.cells, strict=True))


MVTEC = [
    record("bottle", image_auroc=0.9, pixel_auroc=0.80, aupro=0.5, pixel_f1_max=0.10),
    record("cable", image_auroc=0.7, pixel_auroc=0.90, aupro=0.7, pixel_f1_max=0.30),
    record("tile", image_auroc=0.5, pixel_auroc=0.40, aupro=0.3, pixel_f1_max=0.80),
    record("bottle", "neither", image_auroc=0.6, pixel_auroc=0.5, aupro=0.4, pixel_f1_max=0.05),
    record("tile", "neither", image_auroc=0.2, pixel_auroc=0.3, aupro=None, pixel_f1_max=0.15),
    record("bottle", "N", image_auroc=0.65, pixel_auroc=0.55, aupro=0.45, pixel_f1_max=0.06),
]


def test_table_1_has_the_averages_of_objects_textures_and_all():
    table = by_name(build_tables(MVTEC, "mvtec"))["Table 1"]
    assert [item.label for item in table.rows] == [
        *("bottle", "cable", "Object average"),
        *("tile", "Texture average", "Average"),
    ]
    ours = "lite NPR"
    assert row(table, "cable")[f"I-AUROC {ours}"] == pytest.approx(70)
    assert row(table, "Object average")[f"I-AUROC {ours}"] == pytest.approx(80)
    assert row(table, "Object average")[f"P-AUROC {ours}"] == pytest.approx(85)
    assert row(table, "Texture average")[f"P-AUROC {ours}"] == pytest.approx(40)
    assert row(table, "Average")[f"I-AUROC {ours}"] == pytest.approx(70), "over categories, not groups"
    assert row(table, "Average")["I-AUROC lite PatchCore (neither)"] == pytest.approx(40)
    assert row(table, "cable")["P-AUROC lite PatchCore (neither)"] is None
    assert row(table, "bottle")["P-AUROC PNI (paper)"] == 98.87
    assert row(table, "Average")["I-AUROC PatchCore (paper)"] == 99.1
    assert not [column for column in table.columns if column.endswith("lite N")], "the ablation's table has N"
    assert any("lite NPR: averages over 3 of 15 categories, without capsule" in note for note in table.notes)


def test_table_2_averages_aupro_by_group():
    table = by_name(build_tables(MVTEC, "mvtec"))["Table 2"]
    assert table.columns == ("I-AUROC", "P-AUROC", "AUPRO object", "AUPRO texture", "AUPRO average")
    assert list(row(table, "lite NPR").values()) == pytest.approx([70, 70, 60, 30, 50])
    assert list(row(table, "lite PatchCore (neither)").values()) == pytest.approx([40, 40, 40, None, 40])
    assert list(row(table, "PNI (paper)").values()) == [99.56, 98.98, 96.34, 95.47, 96.05]


def test_table_3_has_a_row_for_every_variant_and_four_figures():
    table = by_name(build_tables(MVTEC, "mvtec"))["Table 3"]
    assert [item.label for item in table.rows] == [
        *("PatchCore (neither) (paper)", "N (paper)", "NP (paper)", "NPR (paper)"),
        *("lite PatchCore (neither)", "lite N", "lite NPR"),
    ]
    assert len(table.columns) == 12
    ours = row(table, "lite NPR")
    assert ours["P-F1max object"] == pytest.approx(20)
    assert ours["P-F1max texture"] == pytest.approx(80)
    assert ours["P-F1max average"] == pytest.approx(40)
    assert row(table, "NPR (paper)")["P-F1max average"] == 67.01
    assert row(table, "NPR (paper)")["AUPRO average"] is None
    assert "Table 3" not in by_name(build_tables(MVTEC[:3], "mvtec"))


def test_table_5_of_btad():
    records = [record(name, pixel_auroc=value) for name, value in (("01", 0.9), ("02", 0.8), ("03", 0.4))]
    table = by_name(build_tables(records, "btad"))["Table 5"]
    assert [item.label for item in table.rows] == ["01", "02", "03", "Average"]
    assert [row(table, label)["lite NPR"] for label in ("01", "Average")] == pytest.approx([90, 70])
    assert [row(table, label)["PNI (paper)"] for label in ("01", "Average")] == [97.4, 97.8]
    assert table.notes[-1].startswith("lite NPR: no image_auroc for 01, 02, 03")


def test_table_6_of_visa():
    values = {"cashew": 0.9, "fryum": 0.7, "candle": 0.5, "pcb4": 0.3}
    records = [record(name, image_auroc=value, pixel_auroc=value / 2) for name, value in values.items()]
    table = by_name(build_tables(records, "visa"))["Table 6"]
    assert list(row(table, "lite NPR").values()) == pytest.approx([80, 50, 30, 60, 40, 25, 15, 30])
    assert row(table, "PNI (paper)")["I-AUROC multiple instances"] == 87.9
    assert [name for name in table.columns if "average" in name] == ["I-AUROC average", "P-AUROC average"]


@pytest.mark.parametrize("dataset", ["folder", "mvtec_loco", "mvtec_3d"])
def test_other_data_sets_have_no_groups_and_nothing_of_the_paper(dataset):
    tables = build_tables(MVTEC, dataset)
    labels = [item.label for item in by_name(tables)["Table 1"].rows]
    assert labels == ["bottle", "cable", "tile", "Average"]
    for table in tables:
        assert all(table.source(item, column) == "ours" for item in table.rows for column in table.columns)
    assert "(paper)" not in json.dumps([table.as_dict() for table in tables])


def test_presets_are_told_apart():
    records = [*MVTEC, record("bottle", "NPR", "paper", image_auroc=1.0)]
    table = by_name(build_tables(records, "mvtec"))["Table 2"]
    assert row(table, "paper NPR")["I-AUROC"] == 100
    assert [method.label for method in methods(records)] == [
        *("lite PatchCore (neither)", "lite N", "lite NPR", "paper NPR")
    ]


@pytest.mark.parametrize("dataset", ["mvtec", "btad", "visa"])
def test_every_figure_of_the_paper_is_labelled_in_every_file(tmp_path, dataset):
    """Ours are 12.34 % everywhere here, so whatever else is printed is the paper's."""
    value = dict.fromkeys(METRICS, 0.1234)
    records = [
        record(name, variant, **value)
        for name in official_categories(dataset)
        for variant in ("neither", "NPR")
    ]
    write_tables(records, tmp_path, dataset, [])
    tables = json.loads((tmp_path / "benchmark.json").read_text())["tables"]
    cells = [
        (f"{item['label']} {column}", cell)
        for table in tables
        for item in table["rows"]
        for column, cell in zip(table["columns"], item["cells"], strict=True)
        if cell["value"] is not None
    ]
    theirs = [place for place, cell in cells if cell["value"] != pytest.approx(12.34)]
    assert len(theirs) > 15
    assert all("(paper)" in place for place in theirs)
    assert all((cell["source"] == "paper") == ("(paper)" in place) for place, cell in cells)

    with (tmp_path / "benchmark.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(cells)
    for line in lines:
        ours = float(line["percent"]) == pytest.approx(12.34)
        assert line["source"] == ("ours" if ours else "paper")
        assert ours != ("(paper)" in line["row"] + line["column"])

    head, seen = [], 0
    for line in (tmp_path / "benchmark.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("|") or line.startswith("| ---"):
            head = [] if not line.startswith("|") else head
            continue
        parts = [part.strip() for part in line.strip("|").split("|")]
        if not head:
            head = parts
            continue
        for column, cell in zip(head[1:], parts[1:], strict=True):
            if re.fullmatch(r"[\d.]+", cell):
                assert (cell == "12.34") != ("(paper)" in parts[0] + column), (parts[0], column, cell)
                seen += 1
    assert seen == len(cells)


def test_the_papers_categories_add_up_to_the_papers_averages():
    """A figure copied wrongly would show: rounding moves a mean by less than half of its last digit."""
    for name, slack in (("PatchCore", 0.051), ("PNI", 0.0051)):
        figures = paper.TABLE_1[name]
        for group, members in {**named_groups("mvtec"), "Average": official_categories("mvtec")}.items():
            for index in (0, 1):
                mean = sum(figures[member][index] for member in members) / len(members)
                assert abs(mean - figures[group][index]) <= slack, (name, group, index)
    for name, figures in paper.TABLE_5.items():
        mean = sum(figures[product] for product in ("01", "02", "03")) / 3
        assert abs(mean - figures["Average"]) <= 0.5, name
    for figures in paper.TABLE_6.values():
        for *groups, average in figures.values():
            assert abs(sum(groups) / 3 - average) <= 0.0501
    for variant, figures in paper.TABLE_3.items():
        for metric, (objects, textures, average) in figures.items():
            # The paper prints 57.08 for the baseline, where its own groups give 56.68; it is quoted as it is.
            printed_oddly = (variant, metric) == ("neither", "pixel_f1_max")
            mean = (10 * objects + 5 * textures) / 15
            assert abs(mean - average) <= (0.401 if printed_oddly else 0.0101), (variant, metric)
    assert paper.TABLE_3["NPR"]["image_auroc"][2] == paper.TABLE_1["PNI"]["Average"][0]


def test_groups_hold_every_category_once():
    for dataset, count in (("mvtec", 15), ("visa", 12), ("btad", 3)):
        names = official_categories(dataset)
        assert len(names) == len(set(names)) == count
    assert set(GROUPS) == {"mvtec", "visa", "btad"}


def test_files_say_what_is_missing_when_everything_failed(tmp_path):
    failure = {"category": "tile", "preset": "lite", "error": "no images", "trace": None}
    write_tables([], tmp_path, "mvtec", [failure])
    assert "- lite tile: no images" in (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert (tmp_path / "benchmark.csv").read_text() == "table,row,column,source,percent\n"


@pytest.mark.parametrize("dataset", ["folder", "mvtec", "btad", "visa"])
def test_no_category_is_a_formula_in_the_csv(tmp_path, dataset):
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'x", "a=1"]
    write_tables([record(name, image_auroc=0.5) for name in names], tmp_path, dataset, [])
    with (tmp_path / "benchmark.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for line in csv.reader(file) for cell in line[:4]]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    shown = {cell.partition(", lite")[0] for cell in cells}
    assert {f"'{name}" for name in names[:-1]} | {"a=1"} <= shown
    results = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))["results"]
    assert [item["category"] for item in results] == names
