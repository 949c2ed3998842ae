"""OCSF as Headwater publishes it: the declared subset of the official schema, what is generated from it, its validation.

What belongs here: reading the official schema and the declaration, the generated macros of the dbt project, and checking
rows against the official JSON Schema.
What does not: how a vendor's event becomes a class (dbt_project), or when rows are checked (orchestration).
"""
