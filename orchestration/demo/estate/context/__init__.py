"""What the simulated company knows beside its logs: CMDB, directory, threat and warning lists, GeoIP."""
