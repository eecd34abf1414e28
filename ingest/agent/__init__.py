"""The program beside a scanner. It needs httpx, rich and typer; of the server it knows `ingest.protocol`."""
