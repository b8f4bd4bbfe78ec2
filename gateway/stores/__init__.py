"""What outlives a process: tables in one database, SQLite unless the operator names another."""
