"""BigQuery on the write side: clients, deployment, Arrow and the Storage Write API."""
