"""What a server answers: values as it writes them, types as clients are told, or the number of its error."""

import struct

import pymysql
from pymysql.constants import COMMAND, FIELD_TYPE

UNSIGNED = 32
BINARY_CHARSET = 63

# Types that are one to a client of z4: it has one width of integers and one of floats, and its JSON goes out as a text.
WORDS = {}
for word, names in {
    "int": ["TINY", "SHORT", "INT24", "LONG", "LONGLONG", "YEAR"], "decimal": ["DECIMAL", "NEWDECIMAL"], "double": ["FLOAT", "DOUBLE"],
    "text": ["VAR_STRING", "STRING", "VARCHAR", "TINY_BLOB", "BLOB", "MEDIUM_BLOB", "LONG_BLOB", "JSON", "ENUM", "SET"], "null": ["NULL"],
    "date": ["DATE", "NEWDATE"], "datetime": ["DATETIME", "TIMESTAMP"], "time": ["TIME"],
}.items():
    for name in names:
        WORDS[getattr(FIELD_TYPE, name)] = word


class Column:
    """What is told of a column: the word of its type, the digits behind the point where they mean something, its greatest length."""

    def __init__(self, field):
        word = WORDS.get(field.type_code, str(field.type_code))
        if word == "text" and field.charsetnr == BINARY_CHARSET:
            word = "bytes"
        if word == "int" and field.flags & UNSIGNED:
            word = "unsigned"
        self.word, self.name, self.length = word, field.name, field.length
        self.digits = field.scale if word in ("decimal", "datetime", "time") else None

    def __str__(self):
        return self.word if self.digits is None else f"{self.word}({self.digits})"


class Answer:
    """Columns and rows of a statement, or an error."""

    def __init__(self, columns=(), rows=(), error=None, message=""):
        self.columns, self.rows, self.error, self.message = columns, rows, error, message

    @property
    def types(self):
        return [str(column) for column in self.columns]

    def __str__(self):
        if self.error is not None:
            return f"error {self.error}: {self.message}"
        shown = [" | ".join(map(shown_value, row)) for row in self.rows[:6]]
        return f"({', '.join(self.types)}) " + " // ".join(text[:160] for text in shown)


def shown_value(value):
    """In printable letters."""
    if value is None:
        return "NULL"
    text = value.decode(errors="backslashreplace")
    return text if text.isprintable() else repr(text)


class Side:
    """A connection that keeps values as they came."""

    def __init__(self, session, **where):
        self.where = {"user": "root", "database": "z4", "charset": "utf8mb4", "use_unicode": False, "autocommit": True, "conv": {}, **where}
        self.session, self.connection = session, None

    def connected(self):
        if self.connection is None:
            self.connection = pymysql.connect(init_command=self.session, **self.where)
        return self.connection

    def ask(self, statement):
        """The answer; a connection that is lost is an answer, too, and the next one is asked on a new one."""
        connection = self.connected()
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement)
                rows = cursor.fetchall()
                return Answer([Column(field) for field in cursor._result.fields], rows)
            except pymysql.err.MySQLError as error:
                if isinstance(error, pymysql.err.InterfaceError) or error.args[0] in (0, 2006, 2013):
                    self.connection = None
                return Answer(error=error.args[0], message=str(error.args[-1]))

    def prepare(self, statement):
        """The columns that preparing it tells, and how many parameters it has."""
        connection = self.connected()
        try:
            connection._execute_command(COMMAND.COM_STMT_PREPARE, statement)
            packet = connection._read_packet()
            packet.read_uint8()
            number = packet.read_uint32()
            count, params = packet.read_uint16(), packet.read_uint16()
            for _ in range(params):
                connection._read_packet()
            if params:
                connection._read_packet()
            columns = [Column(connection._read_packet(pymysql.protocol.FieldDescriptorPacket)) for _ in range(count)]
            if count:
                connection._read_packet()
            # It has no answer.
            connection._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", number))
            return Answer(columns)
        except pymysql.err.MySQLError as error:
            return Answer(error=error.args[0], message=str(error.args[-1]))

    def close(self):
        if self.connection is not None:
            self.connection.close()
