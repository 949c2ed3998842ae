"""The key of an observable in SQL, for events: two unsigned 64-bit numbers, as `ingest/reference/observables.py` makes
them for reference tables.

Texts are spelt by `lake/ocsf/observable_text.py` on both sides: plain ones here, in SQL that gives the same, and others
by its function, which a connection has after `observable_text.prepare(con)`. Addresses and networks have the number of
their IPv6 form, everything else the MD5 of `kind:text`. DuckDB's own here: md5_number_upper and md5_number_lower, which
read the digest as two little-endian numbers.
"""

from collections.abc import Iterable

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = f"({_OCTET}[.]){{3}}{_OCTET}"
_HEX = "[0-9a-f]{1,4}"
_IPV6 = "|".join((
    f"({_HEX}:){{7}}{_HEX}|({_HEX}:){{1,7}}:|:((:{_HEX}){{1,7}}|:)",
    *(f"({_HEX}:){{1,{before}}}(:{_HEX}){{1,{7 - before}}}" for before in range(1, 7)),
))  # fmt: skip
_DOMAIN = "([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?[.])*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HASH = "[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}"
# A URL that is normal already: no port, user, fragment, percent sign or dot segment, and a host in lower case.
_PLAIN_URL = "[a-z][a-z0-9+.-]*://([a-z0-9_-]+[.])*[a-z0-9_-]+/[A-Za-z0-9._~!$&''()*+,;=:@/?-]*"
_URL_HOST = "^[^/]+://(?:\\[([^\\]]*)\\]|([^/:]*))"  # of a normal one
_BLANKS = "chr(32) || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(28) || chr(29) || chr(30) || chr(31)"


def keyed(texts: str, kept: str = "") -> str:
    """Return a SELECT of the observables that some texts are: kind, value, key_high, key_low, and `kept` columns.

    `texts` is a relation with `what` (a value of `lake.ocsf.observables.NUMBERS`), `text`, and the kept columns. A text
    that is no observable of its kind gives no row; a URL gives two, itself and its host.
    """
    more = f", {kept}" if kept else ""
    return f"""
with stripped as (
  select what, trim(text, {_BLANKS}) as text{more} from {texts} where what is not null and text is not null
),
normal_url as materialized (
  select what, {_normal_url("text")} as text{more} from stripped where what = 'url'
),
spread as materialized (
  select what, text{more} from stripped where what <> 'url'
  union all
  select what, text{more} from normal_url
  union all
  select 'host', regexp_extract(text, '{_URL_HOST}', 1) || regexp_extract(text, '{_URL_HOST}', 2){more} from normal_url
),
hexed as (
  {address_hexes("(select *, case when what in ('ip', 'host') then text end as value from spread)")}
),
normalised as (
  select hex, case when hex is not null then 'ip' when what = 'host' then 'domain' else what end as kind,
    case when left(hex, 24) = repeat('0', 20) || 'ffff' then {_dotted("hex")}
      when hex is not null then lower(text)
      when what = 'host' then {_normal("domain", "text")}
      when what = 'url' then text
      when what = 'email' then {_normal("email", "text")}
      else lower(text) end as value{more}
  from hexed
)
select kind, value,
  case when kind = 'ip' then ('0x' || left(hex, 16))::ubigint
    else md5_number_upper(kind || ':' || value) end as key_high,
  case when kind = 'ip' then ('0x' || right(hex, 16))::ubigint
    else md5_number_lower(kind || ':' || value) end as key_low{more}
from normalised
where case kind
  when 'ip' then hex is not null
  when 'hash' then regexp_full_match(value, '{_HASH}')
  when 'cve' then regexp_full_match(value, 'cve-[0-9]{{4}}-[0-9]{{4,}}')
  when 'domain' then value is not null
  when 'email' then value is not null
  when 'url' then value is not null
end"""


_EMAIL = "[^@ \\t\\n\\r\\x0b\\x0c]+@[^@ \\t\\n\\r\\x0b\\x0c]+"


def _normal(kind: str, text: str) -> str:
    """Return SQL of the spelling of a trimmed text of a kind (`domain`, `email`, `name`), NULL where it is none."""
    if kind == "name":
        plain = f"nullif(lower({text}), '')"
    else:
        bare = f"rtrim(lower({text}), '.')"
        fits = _EMAIL if kind == "email" else _DOMAIN
        short = "" if kind == "email" else f"length({bare}) between 1 and 253 and "
        plain = f"case when {short}regexp_full_match({bare}, '{fits}') then {bare} end"
    return f"case when strlen({text}) = length({text}) then {plain} else observable_text('{kind}', {text}) end"


def _normal_url(text: str) -> str:
    """Return SQL of the spelling of a trimmed URL, NULL where it is none."""
    return f"""case when regexp_full_match({text}, '{_PLAIN_URL}') and not contains({text}, '/.') then {text}
    when contains({text}, '://') then observable_text('url', {text}) end"""


def address_hexes(relation: str) -> str:
    """Return a SELECT of a relation and `hex`: 32 digits of the address in its column `value`, NULL where it is none.

    IPv4 as ::ffff:a.b.c.d; a zone (%eth0) is left out. IPv4 octets with leading zeros are no address: systems disagree
    whether they are octal. Step by step, for an expression that repeats its parts takes 50 ms to plan.
    """
    halves = ", ".join(f"{_padded('groups', half)} as {name}" for half, name in ((1, "head"), (2, "tail")))
    octets = ", ".join(f"try_cast(split_part(dotted, '.', {part}) as integer)" for part in (1, 2, 3, 4))
    return f"""select * exclude (bare, dotted, is_address, groups, head, tail),
  case when is_address then rpad(head, (32 - length(tail))::integer, '0') || tail end as hex
from (
  select *, {halves}
  from (
    select *, regexp_matches(value, '[:.]') and
        regexp_full_match(regexp_replace(bare, ':{_IPV4}$', ':0:0'), '{_IPV6}') as is_address,
      case when dotted is null then bare
        else left(bare, length(bare) - length(dotted)) || printf('%02x%02x:%02x%02x', {octets}) end as groups
    from (
      select *, case when contains(bare, '.') then regexp_extract(bare, '[0-9.]+$') end as dotted
      from (
        select *,
          case when contains(value, ':') then lower(split_part(value, '%', 1)) else '::ffff:' || value end as bare
        from {relation}
      )
    )
  )
)"""


def carried_number(hex_digits: str) -> str:
    """Return SQL of the number of an address, from its 32 hex digits; of one that carries an IPv4 address, that one's.

    IPv4-compatible (::/96), 6to4 (2002::/16, RFC 3056) and NAT64 (64:ff9b::/96, RFC 6052). Teredo (2001::/32) is not
    among them: its readable IPv4 address is the relay server's, and a wrong place is worse than none.
    """
    ipv4 = "('0xffff' || {})::ubigint::uhugeint".format
    high, low = (f"('0x' || {half}({hex_digits}, 16))::ubigint" for half in ("left", "right"))
    return f"""case
  when left({hex_digits}, 24) = repeat('0', 24) then {ipv4(f"right({hex_digits}, 8)")}
  when left({hex_digits}, 24) = '0064ff9b' || repeat('0', 16) then {ipv4(f"right({hex_digits}, 8)")}
  when left({hex_digits}, 4) = '2002' then {ipv4(f"substr({hex_digits}, 5, 8)")}
  else {number(high, low)} end"""


def number(high: str, low: str) -> str:
    """Return SQL of the 128-bit number of two UBIGINT halves."""
    return f"({high}::uhugeint << 64 | {low}::uhugeint)"


def text_of(kind: str, text: str) -> str:
    """Return SQL of the text under which an observable has its key, NULL where it is none of its kind."""
    bare = f"trim({text}, {_BLANKS})"
    lowered = f"lower({bare})"
    return f"""case {kind}
  when 'domain' then {_normal("domain", bare)}
  when 'hash' then case when regexp_full_match({lowered}, '{_HASH}') then {lowered} end
  when 'email' then {_normal("email", bare)}
  when 'cve' then case when regexp_full_match({lowered}, 'cve-[0-9]{{4}}-[0-9]{{4,}}') then {lowered} end
  when 'url' then {_normal_url(bare)}
  when 'name' then {_normal("name", bare)}
end"""


def key_of(kind: str, text: str) -> str:
    """Return the columns `key_high` and `key_low` of a text that `text_of` made."""
    key = f"{kind} || ':' || {text}"
    return f"md5_number_upper({key}) as key_high, md5_number_lower({key}) as key_low"


def networks_of(addresses: str, prefixes: Iterable[int]) -> str:
    """Return a SELECT (value, prefix, key_high, key_low): every network of these prefix lengths that an address is in.

    `addresses` has value, key_high and key_low. Lengths are out of 128; an IPv4 address lies in networks of IPv4 only.
    """
    masks = []
    for prefix in prefixes:
        mask = (1 << 128) - (1 << 128 - prefix)
        masks.append(f"({prefix}::utinyint, {mask >> 64}::ubigint, {mask & (1 << 64) - 1}::ubigint)")
    return f"""select address.value, mask.prefix, address.key_high & mask.mask_high as key_high,
  address.key_low & mask.mask_low as key_low
from {addresses} as address
cross join (values {", ".join(masks)}) as mask (prefix, mask_high, mask_low)
where mask.prefix >= 96 or address.key_high <> 0 or address.key_low >> 32 <> 65535"""


def _dotted(hex_digits: str) -> str:
    """SQL of an IPv4 address of 32 hex digits."""
    octets = [f"('0x' || substr({hex_digits}, {at}, 2))::integer" for at in (25, 27, 29, 31)]
    return " || '.' || ".join(octets)


def _padded(groups: str, half: int) -> str:
    """SQL of the hex digits of the groups before or after `::`, four of each."""
    parts = f"list_filter(string_split(split_part({groups}, '::', {half}), ':'), lambda part: part <> '')"
    return f"array_to_string(list_transform({parts}, lambda part: lpad(part, 4, '0')), '')"
