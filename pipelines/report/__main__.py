"""``python -m pipelines.report``: see ``pipelines.site``."""

from pipelines.site import main

if __name__ == "__main__":
    main()
