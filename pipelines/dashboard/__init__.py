"""`parley dashboard`: a web page on this machine that shows what is in BigQuery. It reads, and never writes."""
