"""Where an answer may differ from MariaDB's, each with its reason. A rule is narrow: it looks at both answers, not at a family alone.

MySQL is what z4 answers like, MariaDB what it is compared with: where the two part, MySQL's documentation decides.
"""

import json

RULES = []


def rule(reason):
    """Keeps a rule under its reason."""

    def kept(function):
        RULES.append((function.__name__, reason, function))
        return function

    return kept


def allowed(statement, ours, theirs):
    """The name of the rule that explains a difference; None: nothing does."""
    for name, _, function in RULES:
        if function(statement, ours, theirs):
            return name
    return None


def both_rows(ours, theirs):
    return ours.error is None and theirs.error is None


def pairs_of_values(ours, theirs):
    """The values that differ, as (column, ours, theirs); None where the answers have not the same shape."""
    if not both_rows(ours, theirs) or len(ours.rows) != len(theirs.rows):
        return None
    found = []
    for mine, other in zip(ours.rows, theirs.rows):
        if len(mine) != len(other):
            return None
        found += [(at, a, b) for at, (a, b) in enumerate(zip(mine, other)) if a != b]
    return found


def column_is_null(answer, at):
    return all(row[at] is None for row in answer.rows)


@rule("README: a text that is no date is error 1525 beside one, where MariaDB warns and compares something")
def text_is_no_date(statement, ours, theirs):
    return ours.error == 1525 and theirs.error is None


@rule("what IN, IS, LIKE and BETWEEN give can be calculated with; in MySQL's grammar it must stand in brackets")
def calculates_with_predicates(statement, ours, theirs):
    return statement.family == "precedence" and theirs.error == 1064


@rule("where every value is NULL, the type of the column tells a client nothing")
def nothing_has_no_type(statement, ours, theirs):
    return both_rows(ours, theirs) and ours.rows == theirs.rows and len(ours.types) == len(theirs.types) and all(
        mine == other or column_is_null(ours, at) for at, (mine, other) in enumerate(zip(ours.types, theirs.types)))


@rule("a NULL literal takes the other values' type; in MariaDB a column of a derived table that is NULL is a text, and beside unsigned ones DECIMAL")
def nothing_gives_no_type(statement, ours, theirs):
    return both_rows(ours, theirs) and ours.rows == theirs.rows and "NULL" in statement.sql and all(
        mine == other or other in ("text", "bytes") or (mine, other) == ("unsigned", "decimal(0)") for mine, other in zip(ours.types, theirs.types))


@rule("MySQL counts rows of windows as BIGINT UNSIGNED")
def places_are_unsigned(statement, ours, theirs):
    return (statement.form.startswith(("ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE")) and ours.rows == theirs.rows
            and ours.types[-1] == "unsigned" and theirs.types[-1] == "int")


@rule("MySQL writes JSON with a blank after colons and commas, doubles with a fraction, moments with six digits")
def json_is_written_as_mysqls(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(a is not None and b is not None and same_json(a, b) for _, a, b in pairs)


def same_json(a, b):
    try:
        a, b = json.loads(a), json.loads(b)
    except ValueError:
        return False
    return plain_json(a) == plain_json(b)


def plain_json(value):
    """Without what writes a moment's fraction; a boolean of a column that SQL made is a number in MariaDB."""
    match value:
        case dict():
            return {key: plain_json(inner) for key, inner in value.items()}
        case list():
            return [plain_json(inner) for inner in value]
        case str() if ":" in value:
            return value.rstrip("0").rstrip(".") if "." in value else value
        case _:
            return value


@rule("MySQL: a path with a wildcard names no place to write to (3149), and no NULL either")
def wildcard_is_no_place(statement, ours, theirs):
    return ours.error == 3149 and theirs.error is None and statement.family in ("json", "nested")


@rule("MySQL: a document stays as it is where the path is not in it, JSON_CONTAINS of such a path is NULL")
def path_is_not_there(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs) or []
    if statement.form.startswith(("JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT")):
        return bool(pairs) and all(b is None for _, a, b in pairs)
    return statement.form.startswith("JSON_CONTAINS({doc}, '1', {path})") and bool(pairs) and all(a is None and b == b"0" for _, a, b in pairs)


@rule("MySQL: JSON_SEARCH looks at strings, JSON_EXTRACT gives values in the order of the paths, JSON_LENGTH counts what a wildcard finds")
def json_is_searched_as_mysqls(statement, ours, theirs):
    return both_rows(ours, theirs) and statement.form in (
        "JSON_SEARCH({doc}, 'all', '%')", "JSON_EXTRACT({doc}, {path}, {path})", "JSON_LENGTH({doc}, {path})")


@rule("MySQL: a TIME or DATETIME with fewer digits is rounded, MariaDB cuts")
def moments_are_rounded(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return (statement.family == "cast" and statement.form.startswith(("TIME", "DATETIME")) and bool(pairs)
            and all(a is not None and b is not None and b":" in a and b":" in b for _, a, b in pairs))


@rule("MySQL: GREATEST and LEAST of a date and something that is none are texts; MariaDB compares dates, or numbers")
def greatest_of_texts(statement, ours, theirs):
    return ("GREATEST" in statement.sql or "LEAST" in statement.sql) and both_rows(ours, theirs) and "text" in ours.types


@rule("MySQL: X'…' is a number where one is asked for, in MariaDB it is a text")
def hexadecimal_is_a_number(statement, ours, theirs):
    return "X'" in statement.sql and statement.family in ("operator", "number", "choice", "nested", "cast", "text", "date")


@rule("README: there is no date 0000-00-00: a number or text that would be one is NULL")
def no_zero_dates(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(a is None and b is not None and (b == b"0" or b"-00" in b or b.startswith(b"0000")) for _, a, b in pairs)


@rule("MySQL: a quotient has at most 30 digits behind the point")
def short_quotient(statement, ours, theirs):
    return both_rows(ours, theirs) and any(
        other.startswith("decimal") and int(other[8:-1]) > 30 and mine == "decimal(30)" for mine, other in zip(ours.types, theirs.types))


@rule("README: unsigned numbers may be subtracted below zero")
def below_zero(statement, ours, theirs):
    return theirs.error == 1690 and ours.error is None and "-" in statement.sql and "BIGINT" in theirs.message and " - " in theirs.message


@rule("MySQL: a DOUBLE that stands between two integers is rounded to the even one for &, |, ^, << and >>, too")
def halves_are_even(statement, ours, theirs):
    return both_rows(ours, theirs) and statement.form in ("&", "|", "^", "<<", ">>") and any(half in statement.sql for half in ("5e-1", "'.5'"))


@rule("README: DOUBLE shows all its digits")
def all_digits(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(ours.types[at] == "double" and a is not None and b is not None and abs(float(a) - float(b)) <= 1e-4 * abs(float(a))
                               for at, a, b in pairs) and "STD" in statement.form + "VAR"
