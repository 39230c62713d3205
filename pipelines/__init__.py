"""Commands that turn series into decisions: each module here is one ``python -m pipelines.NAME``."""

__version__ = "0.1.0"
