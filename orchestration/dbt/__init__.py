"""The dbt project: its graph, the one runner, the plugin that ties it to the lake."""
