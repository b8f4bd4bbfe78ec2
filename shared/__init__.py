"""The wire: what every part of Scout agrees on. Schemas, framing and header names; no I/O."""
