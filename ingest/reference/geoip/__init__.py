"""GeoIP and ASN tables from MaxMind-format databases."""
