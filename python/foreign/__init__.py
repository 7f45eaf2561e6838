"""Traffic by another hand than the simulator's, to judge decisions on what nobody trained on."""
