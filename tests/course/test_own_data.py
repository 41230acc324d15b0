"""What lesson 8's template says of a reader's own table and arrays, before any training."""

import io
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.model_selection import train_test_split

from course.own_data import check_parts, check_table, checked

X = np.arange(40.0).reshape(20, 2)
CLASSES = np.arange(20) % 3
LABELS = np.column_stack([CLASSES > 0, CLASSES > 1]).astype(int)


def test_good_examples_come_back_as_arrays():
    for y in (CLASSES, CLASSES.astype(float), CLASSES > 0, CLASSES[:, None], CLASSES.tolist()):
        x, found = checked((X.tolist(), y), "classes")
        assert x.shape == (20, 2)
        assert found.shape == (20,)
    assert checked((X, np.eye(3)[CLASSES]), "classes")[1].shape == (20, 3)
    assert checked((pd.DataFrame(X), pd.Series(X[:, 0])), "numbers")[1].shape == (20,)
    assert checked((X.astype("uint8"), CLASSES), "numbers")[0].dtype == "uint8"
    assert checked((X, LABELS > 0), "labels")[1].tolist() == LABELS.tolist()
    assert checked((X > 9, CLASSES), "classes")[0].dtype == float  # `standardise` takes numbers


def test_pandas_true_and_false_count_as_numbers():
    table = pd.get_dummies(pd.DataFrame({"area": X[:, 0], "town": list("ab") * 10}))
    x, y = checked((table, pd.get_dummies(pd.Series(CLASSES))), "classes")
    assert (x.dtype, x.shape, y.dtype.kind, y.shape) == (float, (20, 3), "i", (20, 3))
    assert checked((X, CLASSES > 0), "classes")[1].dtype.kind == "i"
    integers = pd.DataFrame({"area": pd.array(range(20), dtype="Int64")})
    assert checked((integers, CLASSES), "classes")[0].dtype.kind == "i"


REFUSED = {
    "a slip": (
        X,
        CLASSES,
        "number",
        "TARGETS must be 'classes', 'numbers' or 'labels', got 'number'",
    ),
    "not as long": (X, CLASSES[1:], "classes", "got 20 and 19"),
    "no rows": (X[:, 0], CLASSES, "classes", r"row for each example, got an array of shape \(20,"),
    "a row in all": (
        X[:, 0],
        X[:, 0],
        "numbers",
        r"one number .* np\.reshape\(x, \(-1",
    ),
    "masked": (np.ma.masked_greater(X, 30), CLASSES, "classes", r"x has masked values: .*filled\("),
    "masked y": (X, np.ma.masked_greater(X[:, 0], 30), "numbers", "y has masked values: drop"),
    "names": (X, np.array(list("ab") * 10), "classes", "such as .*'a'.*np.unique"),
    "words in y": (X, np.array(["1.5"] * 20), "numbers", "y must hold numbers, got <U3"),
    "gaps": (np.where(X > 30, np.nan, X), CLASSES, "classes", "x has gaps"),
    "gaps of y": (X, np.where(X[:, 0] > 30, np.nan, 1), "numbers", "y has gaps"),
    "two targets": (
        X,
        X,
        "numbers",
        r"one number for each example, got shape \(20, 2\).*y\[:, 0.*targets of any shape",
    ),
    "not one-hot": (X, X, "classes", r"one target for each example, got shape \(20, 2\)"),
    "fractions": (X, X[:, 0] / 4, "classes", "y has 0.5. .*TARGETS = 'numbers'"),
    "all different": (X, np.arange(20), "classes", "class 0 has too few .*TARGETS = 'numbers'"),
    "a rare class": (X, np.arange(20) // 18, "classes", "class 1 has too few examples, 2"),
    "rare in one-hot": (X, np.eye(2)[np.arange(20) // 18], "classes", "class 1 has too few .*, 2"),
    "from 1 on": (X, CLASSES + 1, "classes", "0, 1, 2, ..., y has 1, 2, 3: .*np.unique"),
    "signs": (X, np.sign(X[:, 0] - 9), "classes", "y has -1.0, 1.0: .*np.unique"),
    "one class": (X, CLASSES * 0, "classes", "all examples have the same target"),
    "one number": (X, CLASSES * 0 + 1.5, "numbers", "all examples have the same target"),
    "None in y": (X, np.r_[[None], CLASSES[1:]], "classes", "y has gaps"),
    "gaps of names": (X, pd.Series([None, *"ab" * 9, "a"]), "classes", "y has gaps"),
    "no y": (X, None, "classes", "got 20 and the single value None"),
    "no inputs": (X[:, :0], CLASSES, "classes", r"got an array of shape \(20, 0\)"),
    "no examples": (X[:0], CLASSES[:0], "classes", r"got an array of shape \(0, 2\)"),
    "a column of words": (
        pd.DataFrame({"town": list("ab") * 10}),
        CLASSES,
        "classes",
        r"without numbers: town\. .*columns=\['town'\]",
    ),
    "texts": (
        ["a b"] * 20,
        CLASSES,
        "classes",
        "holds words, such as 'a b': .*TextVectorization",
    ),
    "words": (np.array([["a"]] * 20), CLASSES, "classes", "x holds words, such as 'a'"),
    "lengths": ([[1], [1, 2]] * 10, CLASSES, "classes", "rows differ in length: .*pad_sequences"),
    "numbers": ([np.float64(1.0)] * 20, CLASSES, "classes", "a row for each example"),
    "two inputs": ([X, X[:, :1]], CLASSES, "classes", "one array, got a list: .*column_stack"),
    "equal inputs": ((X, X), CLASSES, "classes", "one array, got a tuple: .*side by side"),
    "named inputs": ({"a": X}, CLASSES, "classes", "one array, got a dict: .*side by side"),
    "sparse": (scipy.sparse.csr_matrix(X), CLASSES, "classes", r"x\.toarray\(\)"),
    "a list of sparse": (
        [scipy.sparse.csr_matrix(row) for row in X],
        CLASSES,
        "classes",
        "got a list of sparse matrices: .*toarray",
    ),
    "numbers as text": (X.astype(str), CLASSES, "classes", r"as text, such as '0.0': .*astype"),
    "a word among numbers": (
        np.where(X > 30, "red", X.astype(object)),
        CLASSES,
        "classes",
        "words, such as 'red': drop",
    ),
    "x and y swapped": (CLASSES, X, "classes", r"shape \(20,\): are x and y swapped"),
    "rows of y": (X, [[1], [0, 1]] * 10, "labels", "y must be one array, and its rows differ"),
    "lists of labels": (X, [["a"], ["a", "b"]] * 10, "labels", "differ .*MultiLabelBinarizer"),
    "a column of lists": (
        X,
        pd.Series([["a"], ["a", "b"]] * 10),
        "labels",
        r"lists, such as .*'a'.*: .*MultiLabelBinarizer",
    ),
    "labels in one word": (
        X,
        pd.Series(["a", "a,b"] * 10),
        "labels",
        r"words, such as 'a': if they are labels, use .*Binarizer.*one for each.*'classes'",
    ),
    "a number for x": (3, CLASSES, "classes", r"got an array of shape \(\)$"),
    "a column of texts": (
        np.array([["good film"], ["bad film"]] * 10, object),
        CLASSES,
        "classes",
        "words, such as 'good film': .*TextVectorization",
    ),
    "two outputs": (X, (CLASSES, X), "numbers", "y must be one array, got a tuple: .*one target"),
    "named outputs": (
        X,
        {"a": CLASSES, "b": CLASSES},
        "numbers",
        r"y must be one array, got a dict: .*column_stack\(list\(y\.values\(\)\)\)$",
    ),
    "days": (X, np.datetime64("2026-01-01") + CLASSES, "numbers", r"datetime64\[D\]: .*y\.min"),
    "spans": (X, CLASSES.astype("timedelta64[s]"), "numbers", r"timedelta64\[s\]: .*y\.min"),
    "several labels": (X, LABELS, "classes", r"shape \(20, 2\).* TARGETS = 'labels'"),
    "one class as labels": (X, CLASSES, "labels", r"got y of shape \(20,\).*TARGETS = 'classes'"),
    "labels of 2": (X, 2 * LABELS, "labels", "labels are 0 and 1 in a column for each"),
    "a rare label": (X, LABELS * (X[:, :1] > 30), "labels", "column 1 of y has .* 0 or 1, 1:"),
    "an array of objects": (X.astype(object), CLASSES, "classes", r"object.*to_numpy\(float\)"),
}


@pytest.mark.parametrize(("x", "y", "targets", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_said(x, y, targets, message):
    with pytest.raises(ValueError, match=message):
        checked((x, y), targets)


def test_lists_of_labels_become_columns_by_the_mend():
    """`np.unique`, which was advised for some, makes a class of each set of labels."""
    some = [["a"], ["a", "b"], ["c"]] * 7
    for y in (some, pd.Series(some), [["a", "b"], ["a", "c"], ["b", "c"]] * 7):
        with pytest.raises(ValueError, match="sklearn") as refused:
            checked((X[:1].repeat(21, axis=0), y), "labels")
        (load, mend) = re.findall(r"(from .*?), y = (.*?), and", str(refused.value))[0]
        names = {"y": y}
        exec(load, names)
        mended = eval(mend, names)
        assert checked((X[:1].repeat(21, axis=0), mended), "labels")[1].shape == (21, 3)


@pytest.mark.parametrize("words", [("no", "yes"), ("0", "1"), ("False", "True")])
@pytest.mark.parametrize("kind", [np.array, pd.DataFrame, lambda it: it.astype(object), list])
def test_a_column_of_two_words_for_each_label_becomes_0_and_1_by_the_mend(kind, words):
    """`MultiLabelBinarizer`, which was advised, made two columns of all: "no" and "yes"."""
    y = kind(np.array(words)[LABELS])
    with pytest.raises(ValueError, match=f"'{words[1]}' stands for 1") as refused:
        checked((X, y), "labels")
    mended = eval(re.search(r"use y = (.*)$", str(refused.value))[1], {"y": y, "np": np})
    assert checked((X, mended), "labels")[1].tolist() == LABELS.tolist()


@pytest.mark.parametrize("kind", [pd.Series, np.array, lambda it: np.array(it, object), list])
def test_words_that_hold_several_labels_become_columns_by_the_mend(kind):
    """The template's own `my_arrays` returns an array, which has no `.str`."""
    y = kind(["a", "a, b", "b,long word"] * 7)
    with pytest.raises(ValueError, match="sklearn") as refused:
        checked((X[:1].repeat(21, axis=0), y), "labels")
    mends = re.search(r"use (y = .*), (from .*), (y = .*), and", str(refused.value)).groups()
    names = {"y": y, "pd": pd}
    exec("\n".join(mends), names)
    assert checked((X[:1].repeat(21, axis=0), names["y"]), "labels")[1].shape == (21, 3)


class Dataset:
    element_spec = ()


RETURNED = {
    "x alone": (X, "return x, y: inputs and targets, got ndarray"),
    "three": ((X, CLASSES, 3), "got 3 values"),
    "nothing": (None, "got NoneType"),
    "a data set": (Dataset(), r"got a tf\.data\.Dataset: .*as_numpy_iterator"),
    "without batches": (Dataset(), r"dataset\.batch\(32\) if it comes without batches"),
    "two data sets": ((Dataset(), Dataset()), r"got a tf\.data\.Dataset"),
    "as Keras's data sets": (((X, CLASSES), (X[:9], CLASSES[:9])), "must return all .*concatenate"),
}


@pytest.mark.parametrize(("arrays", "message"), RETURNED.values(), ids=RETURNED)
def test_my_arrays_returns_inputs_and_targets(arrays, message):
    with pytest.raises(ValueError, match=message):
        checked(arrays, "classes")


@pytest.mark.parametrize(("size", "fits"), [(30, False), (46, False), (47, True), (50, True)])
def test_each_part_has_room_for_all_classes(size, fits):
    """Otherwise scikit-learn stops at a test_size that the reader has never set."""
    x, y = np.arange(2.0 * size).reshape(size, 2), np.arange(size) % 10
    if not fits:
        with pytest.raises(ValueError, match=r"10 classes in \d+ examples, .*: 50 examples\. If y"):
            checked((x, y), "classes")
        return
    x, y = checked((x, y), "classes")
    rest, _, classes, _ = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    train_test_split(rest, classes, test_size=0.25, random_state=0, stratify=classes)


PARTS = {"train on": (30, 34, 45), "choose with": (3, 7, 45), "test with": (3, 7, 31)}


@pytest.mark.parametrize("kind", [np.asarray, lambda it: it * 0.1, lambda it: np.eye(2)[it]])
@pytest.mark.parametrize(("purpose", "changes"), PARTS.items(), ids=PARTS)
def test_a_part_with_a_single_target_in_time_is_named_and_where_targets_change(
    purpose, changes, kind
):
    """Nothing is better than a constant there, and to scale targets divides by 0."""
    y = kind(np.searchsorted(changes, np.arange(50), side="right") % 2)
    parts = y[:30], y[30:40], y[40:]
    changing = f"change first at example {changes[0]}, last at {changes[-1]}, of 50"
    with pytest.raises(ValueError, match=f"all targets to {purpose} are the same.*{changing}"):
        check_parts(*parts, in_time=True)
    with pytest.raises(ValueError, match=f"all targets to {purpose} .* another random_state"):
        check_parts(*parts, in_time=False)


def test_parts_whose_targets_differ_are_fine_after_the_mend():
    y = np.searchsorted(PARTS["test with"], np.arange(50), side="right") % 2
    check_parts(y[:24], y[24:32], y[30:], in_time=True)
    check_parts(LABELS[:12], LABELS[12:16], LABELS[16:], in_time=False)


@pytest.mark.parametrize("text", [True, False])
def test_dates_among_inputs_become_numbers_by_the_mend(text):
    """A column of text has no .dt."""
    days = pd.Series(pd.date_range("2020-01-01", periods=20))
    x = pd.DataFrame({"a": X[:, 0], "day": days.astype(str) if text else days})
    with pytest.raises(ValueError, match="without numbers: day") as said:
        checked((x, CLASSES), "classes")
    mend = str(said.value).rpartition("dates with ")[2]
    assert eval(mend, {"pd": pd, "x": x}).tolist() == list(range(1, 21))


@pytest.mark.parametrize("kind", [object, str])
def test_a_table_of_numbers_that_are_kept_as_objects_becomes_numbers_by_the_mend(kind):
    """Neither dropped nor taken for words, of which each would become a column."""
    x = pd.DataFrame(X).astype(kind)
    with pytest.raises(ValueError, match=r"numbers kept as \w+: 0, 1\. Use x\[") as error:
        checked((x, CLASSES), "classes")
    exec(re.search("Use (.*)", str(error.value))[1], {"x": x})
    np.testing.assert_array_equal(checked((x, CLASSES), "classes")[0], X)
    with pytest.raises(ValueError, match=r"pd\.get_dummies"):
        checked((x.replace(x.iloc[3, 0], "a"), CLASSES), "classes")
    x = pd.DataFrame(X).astype(kind).assign(word="a")
    with pytest.raises(ValueError, match=r"numbers kept as \w+: 0, 1\. Use x\["):
        checked((x, CLASSES), "classes")  # what holds words is told thereafter


def test_days_are_counted_by_the_mend():
    y = np.datetime64("2026-01-01") + np.arange(20)
    with pytest.raises(ValueError, match="datetime64") as refusal:
        checked((X, y), "numbers")
    names = {"y": y, "np": np}
    exec(str(refusal.value).partition("use ")[2], names)
    assert checked((X, names["y"]), "numbers")[1].tolist() == list(range(20))


def test_columns_of_words_and_gaps_are_named():
    table = pd.DataFrame({"area": [1.0, 2, 3], "town": list("aba"), "price": [1.0, 2, np.nan]})
    with pytest.raises(ValueError, match=r"words, not numbers: town\. .*columns=\['town'\]"):
        check_table(table)
    mended = pd.get_dummies(table, columns=["town"])
    mended["price"] = mended.pop("price")
    with pytest.raises(ValueError, match="the target price has gaps"):
        check_table(mended)  # or filling the gaps of the inputs would make up a target
    mended = mended.dropna(subset=["price"])
    check_table(mended)
    mended.loc[1, "area"] = np.nan
    with pytest.raises(ValueError, match=r"gaps: area\. .*dropna"):
        check_table(mended)
    check_table(mended.fillna(mended.median(numeric_only=True)))


@pytest.mark.parametrize("keys", [["Yes", "No"], ["yes", "No"]], ids=["empty", "gaps"])
def test_a_map_that_misses_words_of_the_target_is_asked_for_them_first(keys):
    """Dropping an empty target made an input the target, dropping its gaps lost a class."""
    table = pd.DataFrame({"a": range(20), "y": ["yes", "no"] * 10})
    table["y"] = table["y"].map({key: number for number, key in enumerate(keys)})
    with pytest.raises(ValueError, match=r"y.*\.map.*keys lack words.*Otherwise drop"):
        check_table(table)


def test_a_map_that_misses_words_of_an_input_is_asked_for_them_first():
    """Filling its gaps with the median, as was said, turned each missed yes into a no."""
    table = pd.DataFrame({"smoker": ["yes", "Yes", "no", "no"] * 5, "y": [0, 1] * 10})
    table["smoker"] = table["smoker"].map({"yes": 1, "no": 0})
    assert table.fillna(table.median(numeric_only=True))["smoker"][1] == 0
    with pytest.raises(ValueError, match=r"gaps: smoker.*\.map.*keys lack words.*Otherwise drop"):
        check_table(table)


@pytest.mark.parametrize("kind", [bool, int, float])
def test_a_target_before_its_dummies_is_missed_whatever_they_are_written_as(kind):
    """As numbers they passed, and the model learned to tell towns from the other towns."""
    table = pd.DataFrame({"a": range(20), "y": [0, 1] * 10, "town": list("abcd") * 5})
    with pytest.raises(ValueError, match="several that get_dummies made"):
        check_table(pd.get_dummies(table, columns=["town"], dtype=kind))


def test_the_target_is_named(capsys):
    check_table(pd.DataFrame({"price": [1.0, 2], "area": [3.0, 4], "year": [1900, 1950]}))
    assert capsys.readouterr().out == "inputs: price, area; target, the last column: year\n"


def test_texts_are_numbered_by_the_mend_not_only_dropped():
    """Even where one is missing: Keras takes no gaps."""
    import keras

    texts = [None, *(f"the film number {number} was good" for number in range(1, 20))]
    table = pd.DataFrame({"review": texts, "mood": [0, 1] * 10})
    with pytest.raises(ValueError, match=r"holds texts, .*'the film .*Embedding") as refusal:
        check_table(table)
    names = {"table": table, "keras": keras}
    mend = str(refusal.value).partition("check_table: ")[2].partition(";")[0]
    steps, _, returned = mend.partition(" and return ")
    exec(re.sub(r", vectorize", "\nvectorize", steps), names)
    x, y = checked(eval(returned, names), "classes")
    assert x.shape == (20, 50)
    assert y.tolist() == [0, 1] * 10


NAMES = ["Braund, Mr. Owen Harris", "Allen, Miss Ann", "Cumings, Mrs. John (Florence Briggs)"]
NO_TEXTS = {
    "long answers": (["Neither agree nor disagree", "I agree with all of it"] * 30, "get_dummies"),
    "names": ([f"{NAMES[it % 3]} {it}" for it in range(60)], "60 different words or dates"),
    "addresses": (
        [f"https://www.shop.com/cheap/red-shoes-{it}/buy" for it in range(60)],
        "60 different words or dates",
    ),
    "dates": ([f"Mon Apr 06 22:19:{it} PDT 2009" for it in range(10, 70)], "60 .* pd.to_datetime"),
}


@pytest.mark.parametrize("name", NO_TEXTS)
def test_what_has_several_words_is_no_text_yet(name):
    """Who tells the names or the dates of a table to an Embedding loses all other columns."""
    column, words = NO_TEXTS[name]
    with pytest.raises(ValueError, match=words):
        check_table(pd.DataFrame({"a": range(60), "said": column, "y": [0, 1] * 30}))


def test_long_words_that_repeat_are_kinds_and_no_texts():
    answers = ["in very good health", "in rather poor health"] * 10
    table = pd.DataFrame({"answer": answers, "y": [0, 1] * 10})
    with pytest.raises(ValueError, match=r"hold words, not numbers: answer.*get_dummies"):
        check_table(table)


FILES = {
    "no names": ("1.5,2,0\n2,3,1\n", "first line holds numbers, not names: 1.5, 2, 0.*header=None"),
    "two of a number": ("0.5,0.5,0\n2,3,1\n", "not names: 0.5, 0.5.1, 0"),
    "semicolons": ("a;y\n1,5;0\n", r"got \(1, 1\) with these names: a;y.*sep=';'.*decimal"),
    "tabs": ("a\ty\n1\t0\n", r"If '\\t' separates them, use .*sep='\\t'"),
    "spaces": ("a y\n1 0\n", r"sep='\\\\s\+'"),
    "one column": ("a\n1\n2\n", r"got \(2, 1\) with these names: a. The last .* is the target"),
    "no rows": ("a,y\n", r"got \(0, 2\)"),
    "a comma at the end": ("a,y,\n1,0,\n2,1,\n", "columns are empty: Unnamed: 2.*axis=1"),
    "numbered rows": (",a,y\n0,5,0\n1,6,1\n", "no name in the file: Unnamed: 0.*table.drop"),
    "a title": (
        "Report of 2024\na,b,y\n1,0,2\n",
        "'Report of 2024', isn't.*skiprows=1",
    ),
    "a title and commas": ("Report of 2024,,\na,b,y\n1,0,2\n", "line of names.*skiprows=1"),
    "a line for spreadsheets": ("sep=,\na,y\n1,0\n", "line of names.*skiprows=1"),
    "commas and semicolons": ("a;b;y\n1,5;2,5;0\n", r"sep=';'.*decimal=','"),
    "commas below": ("a,b,y\n1,0,2,\n2,3,4,\n", r"columns are empty: y\..*index_col=False"),
    "a sign for gaps": ("a,y\n1,0\n?,1\n", r"column a holds numbers .*'\?'.*na_values=\['\?'\]"),
}


@pytest.mark.parametrize(("text", "message"), FILES.values(), ids=FILES)
def test_a_file_that_is_laid_out_differently_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        check_table(pd.read_csv(io.StringIO(text)))


def test_names_may_be_numbers_or_come_twice_in_the_file():
    for text in ("0,1,2\n5,6,1\n", "400.5,402.5,y\n5,6,1\n", "a,a,y\n1,2,0\n"):
        check_table(pd.read_csv(io.StringIO(text)))
    check_table(pd.read_csv(io.StringIO("1.5,2,0\n2,3,1\n"), header=None))
    table = pd.DataFrame([[1.0, 2.0, 0]], columns=["a", "a", "y"])
    with pytest.raises(ValueError, match="differ in name, got several of: a"):
        check_table(table)


TABLES = {
    "a target with gaps": (
        "a,b\n1,0\n,1\n3,\n",
        r"the target b has gaps: .*dropna\(subset=\['b'\]",
    ),
    "a sign for gaps in the target": ("a,b\n1,0\n2,1\n3,?\n", r"column b .*'\?'.*na_values"),
    "thousands": ('a,b\n"1,000",0\n12,1\n', "such as '1,000'.*thousands=','"),
    "decimal commas throughout": ('a,b\n"1,5",0\n"1,75",1\n', "such as '1,5'.*decimal=','"),
    "thousands of the target": ('a,b\n1,"1,000"\n2,"2,000"\n', "column b .*thousands=','"),
    "points and commas": ('a,b\n"1.000,50",0\n12,1\n', r"'1.000,50'.*str.replace\('.', ''\)"),
    "dates": ("a,b\n2026-01-01,0\n2026-01-02,1\n", r"a holds 2 .*to_datetime.*dt\.year"),
    "days of the month": ("a,b\n" + 20 * "1.1.2026,0\n", r"words, not numbers: a\."),  # few
    "apostrophes": ("a,b\n1'000.5,0\n2'000,1\n", """thousands="'\""""),
    "thin thousands": ("a,b\n1 000,0\n2 000,1\n", "thousands=' '"),
    "per cent and a sign for gaps": ("a,b\n5%,0\n6%,1\n-,1\n", r"such as '-'.*na_values=\['-'\]"),
    "a zero among words": ("a,b\n0,0\nBern,1\nChur,1\n", r"words, not numbers: a\."),
    "metres among kilometres": ("a,b\n3 km,0\n500 m,1\n", r"words, not numbers: a\."),
    "the last day of years": ("a,b\n2024-12-31,0\n2025-12-31,1\n", r"words, not numbers: a\."),
    "letters with a number": ("a,b\nQ1,0\nQ2,1\n", r"words, not numbers: a\."),
    "a row of totals": (
        "a,b\n1,0\n2,1\nTotal,1\n",
        r"'Total'.*totals must go: table = table\[table\['a'\] != 'Total'\]",
    ),
    "a target of dates": ("a,b\n1,2026-01-05\n2,2026-01-01\n", r"b holds dates, .*dt\.days"),
    "a target of words": ("a,b\n1,yes\n2,no\n", r"'yes': .*table\['b'\] = np.unique"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_refused_with_a_mend_that_changes_no_target(name):
    text, words = TABLES[name]
    table = pd.read_csv(io.StringIO(text), parse_dates=["a"] if name == "dates" else None)
    with pytest.raises(ValueError, match=words):
        check_table(table)


def test_the_mend_for_points_and_commas_leaves_dates_alone():
    table = pd.DataFrame({"a": ["1.000,50", "12,5", None], "b": [0, 1, 2]})
    with pytest.raises(ValueError, match=r"1\.000,50") as refusal:
        check_table(table)
    exec(re.search(r"table\['a'\] = .*", str(refusal.value))[0], {"table": table})
    assert table["a"][:2].tolist() == [1000.5, 12.5]


UNITS = {
    "per cent": (["12%", "13.5%"], [12, 13.5]),
    "dollars": (["$12", "$1,200.50"], [12, 1200.5]),
    "euros": (["12 €", "1.200,50 €"], [12, 1200.5]),
    "francs": (["CHF 1'000.50", "CHF 20"], [1000.5, 20]),
    "square kilometres": (["3 km2", "4"], [3, 4]),
    "degrees": (["-3 °C", "+4 °C"], [-3, 4]),
    "thousands among others": (["1.2k", "950"], [1200, 950]),
    "thousands, apart": (["1,2 k", "950"], [1200, 950]),
    "thousands only": (["1.2k", "3k"], [1.2, 3]),
    "decimal commas": (["12,5 %", "3 %"], [12.5, 3]),
}


@pytest.mark.parametrize("target", [False, True], ids=["input", "target"])
@pytest.mark.parametrize(("texts", "numbers"), UNITS.values(), ids=UNITS)
def test_numbers_with_a_unit_are_read_by_the_mend(texts, numbers, target):
    """Dummies, or classes in alphabetical order, would make something else of them."""
    table = pd.DataFrame({"a": [*texts, texts[0]], "b": [0, 1, 2]})
    table = table[["b", "a"]] if target else table
    with pytest.raises(ValueError, match=r"a holds numbers with a unit") as refusal:
        check_table(table)
    assert f"such as {texts[0]!r}. To read it as {numbers[0]:g}: " in str(refusal.value)
    exec(re.search(r"table\['a'\] = .*", str(refusal.value))[0], {"table": table})
    assert table["a"].tolist() == [*numbers, numbers[0]]
    check_table(table)


NO_TITLE = {
    "rows named": (pd.DataFrame({"y": [1, 2]}, index=pd.Index([5, 6], name="a")), "(2, 1)"),
    "rows named by words": (pd.DataFrame({"y": [1, 2]}, index=["anna", "ben"]), "(2, 1)"),
    "rows dropped": (pd.DataFrame({"y": [1, 2, 3]})[1:], "(2, 1)"),
    "decimal commas": (pd.read_csv(io.StringIO("a b y\n1,5 2 0\n")), r"sep='\\s+'"),
    "a name is missing": (pd.read_csv(io.StringIO("a,\n1,2\n")), "no name in the file"),
}


@pytest.mark.parametrize(("table", "words"), NO_TITLE.values(), ids=NO_TITLE)
def test_a_line_of_names_is_not_called_a_title(table, words):
    """Who skipped it lost the names, and was told that the first line held numbers."""
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        check_table(table)
    assert "skiprows" not in str(refusal.value)


ODD_MARKS = {
    "spaces that do not break": (["5\u202f733,02\u00a0€", "12,5\u00a0€"], [5733.02, 12.5]),
    "thousands": (["5\u00a0733,02", "1\u00a0012,50"], [5733.02, 1012.5]),
    "a long minus": (["\u22122.5", "3"], [-2.5, 3]),
    "whole thousands": (["1\u00a0000", "2\u00a0000"], [1000, 2000]),
    "beside numbers, as from a spreadsheet": (["\u22122.5", 3], [-2.5, 3]),
}


@pytest.mark.parametrize(("texts", "numbers"), ODD_MARKS.values(), ids=ODD_MARKS)
def test_numbers_with_marks_that_look_like_others_are_read_by_the_mends(texts, numbers):
    """They were called words or dates, to be dropped."""
    table = pd.DataFrame({"a": 10 * texts, "b": range(20)})
    for _ in range(3):
        try:
            check_table(table)
        except ValueError as refusal:
            mend = re.search(r"table\['a'\] = .*", str(refusal))[0]
            exec(mend, {"table": table, "pd": pd})
    assert table["a"][:2].tolist() == numbers


def test_dates_as_target_become_days_by_the_mend():
    table = pd.DataFrame({"a": [1, 2], "b": ["2026-01-05", "2026-01-01"]})
    with pytest.raises(ValueError, match="holds dates") as refusal:
        check_table(table)
    names = {"table": table, "pd": pd}
    exec(re.search(r"days = pd.to_datetime\(.*?\)", str(refusal.value))[0], names)
    exec(re.search(r"table\['b'\] = .*", str(refusal.value))[0], names)
    assert table["b"].tolist() == [4, 0]


def test_a_column_of_words_that_hardly_repeat_gets_no_dummies():
    words = [f"{number}.12.2025" for number in range(1, 21)]
    table = pd.DataFrame({"day": words, "town": list("ab") * 10, "price": range(20)})
    with pytest.raises(
        ValueError, match=r"day holds 20 different .*'1\.12\.2025'.*drop.*dayfirst"
    ) as refusal:
        check_table(table)
    assert ".dt.day_of_year" in str(refusal.value)  # pandas 3 warns of dayofyear
    table["day"] = pd.to_datetime(table["day"], dayfirst=True).dt.year
    with pytest.raises(ValueError, match="words, not numbers: town"):
        check_table(table)


def test_all_columns_of_words_are_in_the_mend():
    table = pd.DataFrame({name: list("ab") * 10 for name in "stuvw"} | {"y": range(20)})
    with pytest.raises(ValueError, match="words, not numbers") as refusal:
        check_table(table)
    names = {"table": table, "pd": pd}
    for mend in re.findall(r"table = .*?\]\)|table\['y'\] = .*", str(refusal.value)):
        exec(mend, names)
    check_table(names["table"])
    assert names["table"].columns[-1] == "y"


def test_a_dummy_is_no_target():
    table = pd.DataFrame({"town": list("abcc") * 5, "area": range(20), "kind": list("uvuv") * 5})
    dummies = pd.get_dummies(table, columns=["town", "kind"])
    with pytest.raises(ValueError, match=r"last column, kind_v, is one of .*: kind_u, kind_v"):
        check_table(dummies)  # or it is learned from kind_u
    dummies["area"] = dummies.pop("area")
    check_table(dummies)
    for large, new in (([True, True], [True, False]), ([False, True], [False, False])):
        check_table(pd.DataFrame({"is_large": large, "is_new": new}))  # they are no dummies


def test_numbers_as_text_are_told_from_words():
    table = pd.DataFrame({"a": ["1", "2"], "b": [0, 1]})
    with pytest.raises(ValueError, match=r"a holds numbers as text: .*pd.to_numeric"):
        check_table(table)
