"""One encoder per client protocol: chunks and errors in, bytes out. No I/O."""
