"""Where an assignment's title ends and a user's name begins in the names that Blackboard makes.

It writes `Exercises 1_zoe_m_attempt_...`, and both may hold what separates them.
"""

from itertools import takewhile

from . import matching


def resolved(found, students, head):
    """Return files whose `whose.id` is the whole user name, as far as that can be told.

    The title is the same for all files of an assignment. Of several that it may be, the one that
    the roster's columns name counts, else the one with which most users are in the roster.

    Parameters
    ----------
    found : list of Found
    students : collection of Student
    head : list of str
        The columns of the export that the roster was taken from.
    """
    theirs = [it for it in found if it.whose.platform == "blackboard"]
    if not theirs or not students:
        return found
    parts = {_whole(it.whose) for it in theirs}
    shared = [it[0] for it in takewhile(lambda it: len(set(it)) == 1, zip(*parts))]
    most = max(1, min(len(shared), min(map(len, parts)) - 1))
    length = _length(parts, most, students, head)
    return [_with_user(it, length) if it in theirs else it for it in found]


def _whole(whose):
    return (*whose.title.split("_"), whose.id)


def _length(parts, most, students, head):
    """Return how many parts the title has."""
    for length in range(most, 0, -1):
        title = "_".join(next(iter(parts))[:length])
        if any(it == title or it.startswith(f"{title} [") for it in head):
            return length
    if len(parts) == 1:  # nothing to compare with: what is left over must not become a stranger's
        return 1

    def known(length):
        return sum(bool(matching.of_user(students, "_".join(it[length:]))) for it in parts)

    return max(range(1, most + 1), key=lambda it: (known(it), -it))


def _with_user(found, length):
    parts = _whole(found.whose)
    title, user = "_".join(parts[:length]), "_".join(parts[length:])
    return found._replace(whose=found.whose._replace(id=user, title=title))
