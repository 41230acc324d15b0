"""The version of the package, which a folder of kept trainings notes."""

__version__ = "0.1.0"
