"""The servers that are compared, one module each: started on a free port, stopped when their block ends."""
