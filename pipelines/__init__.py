"""Commands that turn series into decisions: each module here is one ``python -m pipelines.NAME``."""

import os

__version__ = "0.1.0"

# Small networks and small solves wait longer for a second thread than they gain by it, and far longer on a busy machine.
# Set OMP_NUM_THREADS to say otherwise; it must be set before NumPy and PyTorch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
