"""Where a group's name ends and a person's begins in the names that Moodle makes.

It writes `Group A-Anna-Lena Berg_4711_...`, and both may hold hyphens.
"""

from collections import Counter

from . import matching


def resolved(found, students):
    """Return files whose `whose.name` is the person's alone, as far as that can be told.

    What stands before a hyphen is a group if the roster has it, or if several files have it and
    nobody of the roster is called so.

    Parameters
    ----------
    found : list of Found
    students : collection of Student
    """
    names = {it.whose.name for it in found if it.whose.platform == "moodle"}
    shared = Counter(before for name in names for before, _ in _cuts(name))
    groups = {it.group for it in students} - {""}

    def is_group(words):
        return words in groups or (shared[words] > 1 and not _begins_a_name(words, students))

    def person(name):
        whole = [name, *(after for before, after in _cuts(name) if is_group(before))]
        return next((it for it in whole if matching.of_name(students, it)), name)

    return [_called(it, person) if it.whose.platform == "moodle" else it for it in found]


def _cuts(name):
    """Return (what stands before, what stands after) for each hyphen of a name."""
    parts = name.split("-")
    return [("-".join(parts[:n]), "-".join(parts[n:]).strip()) for n in range(1, len(parts))]


def _begins_a_name(words, students):
    """Tell whether somebody has a name with a hyphen that begins with the end of some words."""
    ends = [words, *(after for _, after in _cuts(words))]
    return any(f"{end}-" in it.name for end in ends if end for it in students)


def _called(found, person):
    return found._replace(whose=found.whose._replace(name=person(found.whose.name)))
