"""Services that answer chat completions, each behind the protocol of `gateway.ports`."""
