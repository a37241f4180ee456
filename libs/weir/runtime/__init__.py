"""What every process has: services, the loop around them, counters, heartbeats, metrics, signals, a clock."""
