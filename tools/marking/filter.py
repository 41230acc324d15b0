"""A filter of system calls for the sandbox: no namespaces of one's own, no memory without a bound.

Bubblewrap hands it to the kernel (seccomp, a classic BPF program). What it refuses, no notebook
needs: user and mount namespaces bring file systems without a bound; memory of System V, of memfd
and of message queues counts for no process.
"""

import platform
import struct

EPERM, ENOSYS = 1, 38
NAMESPACES = 0x7E020000  # all flags of clone that make a namespace
NUMBERS = {  # of system calls; the columns are x86_64 and aarch64
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "fsopen": (430, 430), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsmount": (432, 432), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}  # fmt: skip
CLONE, CLONE3 = (56, 220), (435, 435)
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF's instructions
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # what a filter answers; an error's number is added
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16  # in the kernel's `seccomp_data`


def program(machine=None):
    """Return the filter for a computer, or no bytes where none is written.

    Examples
    --------
    >>> len(program("x86_64")) % 8, program("riscv64")
    (0, b'')
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return b""
    architecture, column = ARCHITECTURES[machine]
    lines = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, REFUSE | EPERM),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    if machine == "x86_64":  # the same calls have other numbers in the x32 form
        lines += _if((AT_LEAST, 0x40000000), EPERM)
    for numbers in NUMBERS.values():
        lines += _if((EQUAL, numbers[column]), EPERM)
    lines += _if((EQUAL, CLONE3[column]), ENOSYS)  # its flags cannot be seen; libc uses clone then
    lines += [
        (EQUAL, 0, 3, CLONE[column]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (ANY_BIT, 0, 1, NAMESPACES),
        (RETURN, 0, 0, REFUSE | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _if(test, error):
    """Return the lines that refuse a call if a test holds."""
    code, value = test
    return [(code, 0, 1, value), (RETURN, 0, 0, REFUSE | error)]
