"""Compile pins of the newest versions in pyproject.toml's ranges, for every platform: make lock."""

import subprocess
import sys

COMMON = ["pyproject.toml", "--universal", "--python-version", "3.11", "--fork-strategy", "fewest"]
COMMON += ["--upgrade"]  # without it, uv keeps the versions that a lock has already
LOCKS = {
    "requirements.txt": [],
    "requirements-test.txt": ["--group", "test", "-c", "requirements.txt"],
    "requirements-site.txt": ["--group", "site", "-c", "requirements-test.txt"],
    "requirements-marking.txt": ["--group", "marking", "-c", "requirements-test.txt"],
}


def main():
    """Write the lock files; none says where packages come from."""
    for path, options in LOCKS.items():
        command = ["uv", "pip", "compile", *COMMON, "--no-header", "--quiet", *options, "-o", path]
        subprocess.run([sys.executable, "-m", *command], check=True)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
