"""The SQL that the embedded archive runs: only what is built from the words that the archive itself uses. Pure.

chdb has no users and no rights, and a list of what is forbidden (`file`, `url`, `s3`, `executable`, …) would be out of
date with its next release. So it is a list of what is allowed.
"""

from __future__ import annotations

import re

_STATEMENT = re.compile(
    r"\s*(SELECT|WITH|INSERT INTO \w+\.(entries|migrations) |CREATE DATABASE IF NOT EXISTS \w+\s*\Z|"
    r"CREATE TABLE IF NOT EXISTS \w+\.\w+\s|ALTER TABLE \w+\.entries\s)"
)
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_PARAMETER = re.compile(r"\{\w+:(Array\()?\w+\)?\}")
_COLUMN = re.compile(r"`(\w+)`")
_FOREIGN = re.compile(r"--|/\*|[#;\"`'\\$@?]")
_CALL = re.compile(r"([A-Za-z_][\w.]*)\s*\(")
_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(\(|[\w.]+)", re.IGNORECASE)
_ENGINE = re.compile(r"\bENGINE\s*=?\s*(\w+)", re.IGNORECASE)
_PLACE = re.compile(r"\(\Z|\w+\.(entries|migrations)\Z|system\.(parts|settings)\Z")
_WORDS = re.compile(
    r"\b(SYSTEM(?!\.)|OUTFILE|INFILE|FUNCTION|DICTIONARY|SOURCE|FREEZE|FETCH|ATTACH|DETACH|MOVE|REPLACE|EXECUTE|GRANT|KILL)\b",
    re.IGNORECASE,
)

_ENGINES = frozenset({"ReplacingMergeTree"})
_CALLS = frozenset({
    # questions
    "select", "from", "in", "and", "or", "not", "where", "by", "values", "as",
    "count", "sum", "sumIf", "hasAny", "max", "intDiv", "position", "quantilesExactWeightedIf", "toInt64", "toString",
    "toUInt128", "toUnixTimestamp", "toUnixTimestamp64Nano", "fromUnixTimestamp64Nano", "cityHash64", "version",
    "timezone", "arraySort", "groupUniqArray", "substringUTF8", "arrayJoin",
    # filters
    "JSONExtract", "JSONExtractString", "JSONExtractInt", "JSONExtractFloat", "JSONExtractBool", "JSONExtractKeys",
    "JSONHas", "Map", "if", "concat", "startsWith", "endsWith", "match", "lengthUTF8", "length", "array", "has",
    "arrayExists", "arrayAll", "arrayFilter", "arrayMap", "arrayElement", "arrayDistinct", "indexOf", "mapKeys",
    "mapContains", "mapFromArrays", "splitByChar", "substring", "trimBoth", "tryBase64Decode", "unhex", "negate",
    "abs", "toFloat64", "intDivOrZero", "moduloOrZero",
    # the schema
    "now", "toStartOfHour", "CODEC", "Delta", "T64", "ZSTD", "DateTime64", "LowCardinality", "Array",
    "bloom_filter", "ReplacingMergeTree",
})
_ALLOWED = frozenset(name.lower() for name in _CALLS)


def refused(sql: str) -> str:
    """Why a statement is not run; empty if it is."""
    bare = _PARAMETER.sub("0", _COLUMN.sub(r"\1", _TEXT.sub("0", sql)))
    if not _STATEMENT.match(bare):
        return "this kind of statement is not for an archive"
    if found := _FOREIGN.search(bare) or _WORDS.search(bare):
        return f"{found[0]} is not for an archive"
    for name in _CALL.findall(bare):
        if name.lower() not in _ALLOWED and not _PLACE.match(name):
            return f"{name}() is not for an archive"
    for place in _SOURCE.findall(bare):
        if not _PLACE.match(place):
            return f"{place} is not for an archive"
    if any(engine not in _ENGINES for engine in _ENGINE.findall(bare)):
        return "this table engine is not for an archive"
    return ""
