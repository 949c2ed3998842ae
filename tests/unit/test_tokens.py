"""What counts of the text of a model or macro: an edit that cannot change a row leaves it as it is."""

import pytest

from orchestration.dbt.tokens import read_text


def same(one: str, other: str) -> bool:
    return read_text(one).tokens == read_text(other).tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a, b from t", "select\n    a,\n    b\nfrom t\n"),
        ("select a from t", '-- what for\nselect a -- it\'s "this" one\nfrom t'),
        ("select a from t", "select/* one /* nested ' */ */a from t"),
        ("select count(*) from t", "select count( * ) from t"),
        ("select a {{ b }}", "select a {#- a comment -- of it's own #} {{b}}"),
        ("select a{{ b }}", "select a{# no space here #}{{ b }}"),
        ("{{ f('x', y=1) }}", "{{\n  f(  'x',\n  y = 1 )\n}}"),
        ("{% if a %}x{% endif %}", "{%- if  a  -%}\n  x\n{%- endif %}"),
        ("{% macro m(a) -%} {{ a }} {%- endmacro %}", "{% macro m( a ) %}{{ a }}{% endmacro %}"),
        ("select 'a' -- {# one #} more", "select 'a' -- {# another #} less"),
        ("select '--' || $$ -- $$", "select '--' || $$ -- $$ -- more"),
        ("select e'it\\'s' from t", "select e'it\\'s' -- more\nfrom t"),
        ("{% set x %}a{% endset %}", "{% set x %} {#- c -#} a {%- endset %}"),
    ],
)
def test_comments_and_layout_do_not_count(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a, b", "select a b"),
        ("select ab", "select a b"),
        ("select ab", "select a/**/b"),
        ("select ''", "select '-- x'"),
        ("select 'a b'", "select 'a  b'"),
        ("select 'a -- b'", "select 'a -- c'"),
        ("select 'it''s -- b'", "select 'it''s -- c'"),
        ("select e'it\\'s -- b'", "select e'it\\'s -- c'"),
        ("select name'/* b */'", "select name'/* c */'"),
        ('select "a -- b"', 'select "a -- c"'),
        ('select "a""b -- b"', 'select "a""b -- c"'),
        ("select $$ -- b $$", "select $$ -- c $$"),
        ("select $t$ $$ -- b $t$", "select $t$ $$ -- c $t$"),
        ("select a$b$ -- b\n, 1", "select a$b$ -- b\n, 2"),
        ("select '{{ x }} -- b'", "select '{{ x }} -- c'"),
        ("select '{{ f(\"it's\") }} -- b'", "select '{{ f(\"it's\") }} -- c'"),
        ("{{ f('a  b') }}", "{{ f('a b') }}"),
        ("{{ f('-- a') }}", "{{ f('-- b') }}"),
        ("{{ a }} {{ b }}", "{{ a }}{{ b }}"),
        ("a{% if x %} b{% endif %}", "a{%- if x -%} b{% endif %}"),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("{% raw %}{# a #}{% endraw %}", "{% raw %}{# b #}{% endraw %}"),
        ("-- {{ x }} it's\nselect 'a -- b'", "-- {{ x }} it's\nselect 'a -- c'"),
        ("{% if x %} -- a {% else %} b {% endif %}\n", "{% if x %} -- a {% else %} c {% endif %}\n"),
        ("{% if x %}'a{% else %}'b{% endif %} -- c' -- '", "{% if x %}'a{% else %}'b{% endif %} -- d' -- '"),
        ("/* {{ x }} */ a", "/* {{ x }} */ b"),
        ("select 'never ends -- b", "select 'never ends -- c"),
        ("{% broken", "{% broken too"),
    ],
)
def test_what_may_change_a_row_counts(one: str, other: str) -> None:
    assert not same(one, other)


def test_names_that_are_used_within_quotes_are_told() -> None:
    """A macro that gives a part of a literal is not SQL: what looks like a comment there is text."""
    assert read_text("select '{{ words(a) }}', {{ sql(b) }}").in_quotes == {"words", "a"}
    assert read_text("""{% set x = "'" ~ words(a) ~ "'" %}""").in_quotes >= {"words", "a"}
    assert read_text("{{ sql('a', \"b\") }}").in_quotes == set()
    assert read_text("a {# b #} -- c\n  d").plain == "a  -- c\n  d\n"
