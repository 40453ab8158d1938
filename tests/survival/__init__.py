"""What was acknowledged survives crashes, power cuts, failovers, full disks; damage is told."""
