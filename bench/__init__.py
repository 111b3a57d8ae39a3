"""How it is measured: data, measurements, records and the command line."""
