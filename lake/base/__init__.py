"""What every room stands on: the base error, SQL quoting, finding plugins, HTTP. Imports nothing of Headwater."""
