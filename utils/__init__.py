"""What the lessons share: small functions, each shown in full by the lesson that teaches it.

Importing this package is quick: TensorFlow and Matplotlib are imported by the modules
that need them, when a lesson imports those.
"""
