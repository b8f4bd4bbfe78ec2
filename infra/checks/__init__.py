"""What must hold before a change is committed, and the suites that prove it works: `./scout check`, `./scout test`."""
