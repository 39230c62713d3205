"""A market, a forecaster and a data source that join adno from outside."""
