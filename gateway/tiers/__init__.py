"""The tiers: every source of answers behind one interface, `source.Source`."""
