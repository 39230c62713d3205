"""``python -m pipelines.report``: see ``pipelines.site``."""

from pipelines.site import main

main()
