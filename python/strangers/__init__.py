"""Traffic by two strangers to this project, to judge decisions on what nobody here thought of."""
