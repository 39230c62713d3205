"""Settlement of a planned day against what really happens: recourse, efficiency, penalties and their causes."""
