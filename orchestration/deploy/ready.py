"""What the image must hold before it is worth starting: run at the end of its build, without a network."""

import sys

import duckdb

from lake.storage.duck import load_extension

EXTENSIONS = ("httpfs", "avro", "iceberg")


def main() -> int:
    """Load the extensions, parse the dbt project and load the definitions; return the exit code 0, or raise."""
    with duckdb.connect() as con:
        con.execute("set autoinstall_known_extensions = false")
        for name in EXTENSIONS:
            load_extension(con, name)
    from orchestration.definitions import defs  # parses the dbt project, so that no start has to

    assets = len(defs.resolve_asset_graph().get_all_asset_keys())
    sys.stdout.write(f"ready: {assets} assets, extensions {', '.join(EXTENSIONS)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
