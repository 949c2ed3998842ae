"""APIs that reference feeds are read from: Microsoft Graph, TAXII."""
