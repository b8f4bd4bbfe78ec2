"""The gateways that the speed bench compares: how each is installed, configured, started and observed."""
