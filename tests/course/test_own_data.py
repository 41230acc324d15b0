"""What lesson 8's template says of a reader's own table and arrays, before any training."""

import numpy as np
import pandas as pd
import pytest

from course.own_data import check_table, checked

X = np.arange(40.0).reshape(20, 2)
CLASSES = np.arange(20) % 3


def test_good_examples_come_back_as_arrays():
    for y in (CLASSES, CLASSES.astype(float), CLASSES > 0, CLASSES[:, None], CLASSES.tolist()):
        x, found = checked(X.tolist(), y, "classes")
        assert x.shape == (20, 2)
        assert found.shape == (20,)
    assert checked(X, np.eye(3)[CLASSES], "classes")[1].shape == (20, 3)
    assert checked(pd.DataFrame(X), pd.Series(X[:, 0]), "numbers")[1].shape == (20,)
    assert checked(X.astype("uint8"), CLASSES, "numbers")[0].dtype == "uint8"
    assert checked(X > 9, CLASSES, "classes")[0].dtype == float  # `standardise` takes numbers


REFUSED = {
    "a slip": (X, CLASSES, "number", "TARGETS must be 'classes' or 'numbers', got 'number'"),
    "lengths": (X, CLASSES[1:], "classes", "got 20 and 19"),
    "no rows": (X[:, 0], CLASSES, "classes", r"row for each example, got an array of shape \(20,"),
    "names": (X, np.array(list("ab") * 10), "classes", "such as .*'a'.*np.unique"),
    "words": (X, np.array(["1.5"] * 20), "numbers", "y must hold numbers, got <U3"),
    "gaps": (np.where(X > 30, np.nan, X), CLASSES, "classes", "x has gaps"),
    "gaps of y": (X, np.where(X[:, 0] > 30, np.nan, 1), "numbers", "y has gaps"),
    "two targets": (X, X, "numbers", r"one target for each example, got shape \(20, 2\)"),
    "not one-hot": (X, X, "classes", r"one target for each example, got shape \(20, 2\)"),
    "fractions": (X, X[:, 0] / 4, "classes", "y has 0.5. .*TARGETS = 'numbers'"),
    "all different": (X, np.arange(20), "classes", "class 0 has too few .*TARGETS = 'numbers'"),
    "a rare class": (X, np.arange(20) // 18, "classes", "class 1 has too few examples, 2"),
}


@pytest.mark.parametrize(("x", "y", "targets", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_said(x, y, targets, message):
    with pytest.raises(ValueError, match=message):
        checked(x, y, targets)


def test_columns_of_words_and_gaps_are_named():
    table = pd.DataFrame({"area": [1.0, 2, 3], "town": list("aba"), "price": [1.0, 2, np.nan]})
    with pytest.raises(ValueError, match=r"dates, not numbers: town\. .*columns=\['town'\]"):
        check_table(table)
    mended = pd.get_dummies(table, columns=["town"])
    mended["price"] = mended.pop("price")
    check_table(mended)  # a gap of the target is `checked`'s to find
    mended.loc[1, "area"] = np.nan
    with pytest.raises(ValueError, match=r"gaps: area\. .*dropna"):
        check_table(mended)
    check_table(mended.fillna(mended.median(numeric_only=True)))
