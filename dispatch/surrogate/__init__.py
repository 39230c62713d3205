"""Search for tariffs when only the answers of those who face them can be seen."""
