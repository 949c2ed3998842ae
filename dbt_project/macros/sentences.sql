{#- Words of the sentence that a signal says: spans of time, counts, articles, lists. Every macro takes and
    gives SQL texts. -#}


{#- 'ten minutes', 'one hour', 'three days': a span of seconds in the largest unit that it has two of, or one
    exactly. -#}
{% macro span_in_words(seconds) -%}
case
      when {{ seconds }} < 45 then 'less than a minute'
      when round({{ seconds }} / 60.0) = 60 then 'one hour'
      when {{ seconds }} < 5400 then {{ counted("round(" ~ seconds ~ " / 60.0)", "minute") }}
      when round({{ seconds }} / 3600.0) = 24 then 'one day'
      when {{ seconds }} < 129600 then {{ counted("round(" ~ seconds ~ " / 3600.0)", "hour") }}
      else {{ counted("round(" ~ seconds ~ " / 86400.0)", "day") }}
    end
{%- endmacro %}

{#- 'no minutes', 'one minute', 'two minutes': in words up to twelve, in digits beyond. -#}
{% macro counted(number, noun) -%}
(case
      when {{ number }} between 0 and 12
        then [
          'no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'
        ][({{ number }})::integer + 1]
      else format('{:,}', ({{ number }})::bigint)
    end || ' {{ noun }}' || case when {{ number }} = 1 then '' else 's' end)
{%- endmacro %}

{#- 'a server', 'an accountant', 'an HR partner', 'a user': by how the first word is spoken; abbreviations letter by
    letter, but for some that are words. -#}
{% macro with_article(noun) -%}
(case
      when regexp_matches({{ noun }}, '^(8|11|18)') then 'an '
      when regexp_matches({{ noun }}, '^(HIPAA|SCADA|SWIFT|SIEM|SAML|SOX|NAS|SAN|LAN|RAID|RADIUS)\b') then 'a '
      when regexp_matches({{ noun }}, '^[AEFHILMNORSX][A-Z0-9-]') then 'an '
      when regexp_matches({{ noun }}, '^[A-Z][A-Z0-9-]') then 'a '
      when regexp_matches(lower({{ noun }}), '^(hour|honest|honou?r|heir)') then 'an '
      when regexp_matches(lower({{ noun }}), '^(uni([^nmd]|$)|use|usa|usu|util|eu|ewe|one\b|once\b|ubiq)') then 'a '
      when regexp_matches(lower({{ noun }}), '^[aeiou]') then 'an '
      else 'a '
    end || {{ noun }})
{%- endmacro %}

{#- A title or role as it stands within a sentence: words in lower case, abbreviations (HR, PCI, DevOps) as they
    are. -#}
{% macro mid_sentence(title) -%}
array_to_string(list_transform(string_split(trim({{ title }}), ' '), lambda word: case
      when regexp_full_match(word, '[^A-Za-z]*[A-Z][a-z]*[^A-Za-z]*')
        and not regexp_full_match(word, '[^A-Za-z]*[A-Z][^A-Za-z]*') then lower(word)
      else word
    end), ' ')
{%- endmacro %}

{#- 'a', 'a and b', 'a, b and c'. -#}
{% macro enumerated(texts) -%}
case
      when len({{ texts }}) > 1 then array_to_string(({{ texts }})[:-2], ', ') || ' and ' || ({{ texts }})[-1]
      else ({{ texts }})[1]
    end
{%- endmacro %}
