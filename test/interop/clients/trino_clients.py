"""Trino's Python client and its SQLAlchemy dialect: the guide's snippets, then what people do next. Prints one JSON object."""

import datetime
import json
import sys

import trino

snippets = json.load(sys.stdin)
answers = {}

scope = {}
exec(snippets["dbapi"], scope)
answers["dbapi: the guide's rows"] = [list(row) for row in scope["rows"]]
con = scope["con"]


def ask(sql, parameters=None, connection=con):
    cursor = connection.cursor()
    cursor.execute(sql, parameters)
    return [list(row) for row in cursor.fetchall()]


answers["dbapi: count"] = ask("SELECT count(*) FROM eventpile.default.events")
answers["dbapi: parameters"] = ask(
    "SELECT count(*) FROM events WHERE event_name = ? AND revenue > ? AND event_time > ?",
    ["Order Completed", 10.5, datetime.datetime(2020, 1, 1)],
)
legacy = trino.dbapi.connect(
    host=con.host, port=con.port, http_scheme="http", allow_insecure_auth=True, user="ann",
    auth=trino.auth.JWTAuthentication(snippets["token"]), catalog="eventpile", schema="default",
    legacy_prepared_statements=True,
)
answers["dbapi: prepared statements, by access token"] = ask(
    "SELECT count(*) FROM events WHERE event_name = ?", ["Order Completed"], legacy
)
[[moment, day, number, decimal, flags, properties, nothing]] = ask(
    "SELECT TIMESTAMP '2026-01-02 03:04:05.000006', DATE '2026-01-02', 9007199254740993, DECIMAL '1.50', "
    "ARRAY['a'], MAP(ARRAY['k'], ARRAY['v']), NULL"
)
assert moment == datetime.datetime(2026, 1, 2, 3, 4, 5, 6), moment
assert day == datetime.date(2026, 1, 2) and number == 9007199254740993 and str(decimal) == "1.50"
assert flags == ["a"] and properties == {"k": "v"} and nothing is None
answers["dbapi: every event, page by page"] = [[len(set(row[0] for row in ask("SELECT event_id, properties, page_url FROM events")))]]
try:
    ask("SELECT nope FROM events")
    raise AssertionError("a wrong column is answered")
except trino.exceptions.TrinoUserError as error:
    assert error.error_name == "COLUMN_NOT_FOUND", error
try:
    bad = trino.dbapi.connect(
        host=con.host, port=con.port, http_scheme="http", allow_insecure_auth=True, user="ann",
        auth=trino.auth.BasicAuthentication("ann", "not-a-token"), catalog="eventpile", schema="default",
    )
    ask("SELECT 1", None, bad)
    raise AssertionError("a wrong token is answered")
except trino.exceptions.HttpError as error:
    assert "401" in str(error), error
cursor = con.cursor()
cursor.execute("SELECT x FROM range(300000) t(x)")
cursor.fetchone()
cursor.cancel()

scope = {}
exec(snippets["sqlalchemy"], scope)
sa, engine, inspector, events = (scope[name] for name in ("sa", "engine", "inspector", "events"))
answers["sqlalchemy: the guide's rows"] = sorted(list(row) for row in scope["counts"])
assert scope["tables"] == ["events", "quarantine"], scope["tables"]
assert "default" in inspector.get_schema_names()
columns = {column["name"]: column for column in inspector.get_columns("events", schema="default")}
assert str(columns["event_time"]["type"]) == "TIMESTAMP(6)" or str(columns["event_time"]["type"]) == "TIMESTAMP", columns
assert columns["event_id"]["nullable"] is False and columns["user_id"]["nullable"] is True
answers["sqlalchemy: columns"] = [[len(columns)]]
assert inspector.has_table("events") and not inspector.has_table("nope")
assert inspector.get_view_names() == [] and inspector.get_indexes("events") == []
assert inspector.get_table_comment("events")["text"]
assert inspector.dialect.get_catalog_names(engine.connect()) == ["eventpile", "system"]
with engine.connect() as connection:
    query = (
        sa.select(sa.func.date_trunc("day", events.c.event_time).label("day"), sa.func.count().label("n"))
        .where(events.c.event_name.in_(["Order Completed", "Product Added"]), events.c.user_id.is_not(None))
        .group_by(sa.text("1")).order_by(sa.text("1")).limit(10).offset(1)
    )
    answers["sqlalchemy: in, limit, offset"] = [[day.isoformat(" "), n] for day, n in connection.execute(query)]
print(json.dumps(answers))
