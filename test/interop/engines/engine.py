"""Runs the guide's snippet of one engine, then answers questions: a JSON line in, a JSON line out.

A question is {"table", "where", "snapshot", "group"}: rows that match, all or by event_name, with the sum of revenue.
Each engine is asked in its own words, on the connection that the snippet made.
"""

import contextlib
import json
import sys
import time


def clauses(question):
    where = question.get("where")
    return f" WHERE {where}" if where else ""


def sql_of(table, question, at=""):
    columns = "event_name, count(*), coalesce(sum(revenue), 0)" if question.get("group") else "count(*)"
    tail = " GROUP BY event_name ORDER BY event_name" if question.get("group") else ""
    return f"SELECT {columns} FROM {table}{at}{clauses(question)}{tail}"


class DuckDb:
    def __init__(self, made):
        self.con = made["con"]

    def ask(self, question):
        name = f"lake.eventpile.{question['table']}"
        at = f" AT (VERSION => {question['snapshot']})" if question.get("snapshot") else ""
        return [list(row) for row in self.con.sql(sql_of(name, question, at)).fetchall()]


class Spark:
    def __init__(self, made):
        self.spark = made["spark"]

    def ask(self, question):
        name = f"lake.eventpile.{question['table']}"
        at = f" VERSION AS OF {question['snapshot']}" if question.get("snapshot") else ""
        return [list(row) for row in self.spark.sql(sql_of(name, question, at)).collect()]


class ClickHouse:
    def __init__(self, made):
        self.session = made["clickhouse"]

    def ask(self, question):
        name = f"lake.`eventpile.{question['table']}`"
        at = f" SETTINGS iceberg_snapshot_id = {question['snapshot']}" if question.get("snapshot") else ""
        answer = self.session.query(sql_of(name, question) + at, "JSONCompactEachRow")
        rows = [json.loads(line) for line in str(answer).splitlines() if line.strip()]
        # It writes 64-bit numbers as texts, so that JavaScript does not round them.
        return [[row[0]] + [float(value) for value in row[1:]] if question.get("group") else [int(row[0])] for row in rows]


class PyIceberg:
    def __init__(self, made):
        self.catalog = made["catalog"]

    def ask(self, question):
        table = self.catalog.load_table(f"eventpile.{question['table']}")
        # Its filters have another grammar for times.
        where = (question.get("where") or "").replace("TIMESTAMP ", "").replace(" 00:00:00'", "T00:00:00'")
        columns = ("event_name", "revenue") if question.get("group") else ("event_id",)
        scan = table.scan(
            **({"row_filter": where} if where else {}),
            selected_fields=columns,
            **({"snapshot_id": question["snapshot"]} if question.get("snapshot") else {}),
        )
        rows = scan.to_arrow()
        if not question.get("group"):
            return [[rows.num_rows]]
        grouped = rows.group_by("event_name").aggregate([([], "count_all"), ("revenue", "sum")]).to_pylist()
        return sorted([row["event_name"], row["count_all"], row["revenue_sum"] or 0] for row in grouped)


ENGINES = {"duckdb": DuckDb, "spark": Spark, "clickhouse": ClickHouse, "pyiceberg": PyIceberg}


def version_of(name):
    from importlib.metadata import version

    package = {"duckdb": "duckdb", "spark": "pyspark", "clickhouse": "chdb-core", "pyiceberg": "pyiceberg"}[name]
    return version(package)


def local_extensions():
    """DuckDB loads extensions from packages instead of its own host."""
    import os

    import duckdb

    folder = os.path.dirname(os.path.dirname(duckdb.__file__))
    plain = duckdb.DuckDBPyConnection.execute

    def load(name):
        return f"LOAD '{folder}/duckdb_extension_{name}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'"

    class Connection:
        def __init__(self):
            self.inner = connect()

        def execute(self, query):
            for name in ("avro", "httpfs", "iceberg"):
                query = query.replace(f"LOAD {name};", load(name) + ";")
            return plain(self.inner, query)

        def sql(self, query):
            return self.inner.sql(query)

    connect = duckdb.connect
    duckdb.connect = Connection


def local_jars(jars):
    """Spark takes its jars as files, and as little of the machine as does."""
    import os

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.log.level": "ERROR",
    }
    confs = " ".join(f"--conf {key}={value}" for key, value in settings.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--master local[2] --driver-memory 1g --jars {jars} {confs} pyspark-shell"
    os.environ["PYSPARK_PYTHON"] = sys.executable


def main():
    name, jars = sys.argv[1], sys.argv[2]
    with contextlib.redirect_stdout(sys.stderr):
        if name == "duckdb":
            local_extensions()
        if name == "spark":
            local_jars(jars)
        made = {}
        started = time.monotonic()
        snippet = json.loads(sys.stdin.readline())["snippet"]
        exec(compile(snippet, "docs/engines.md", "exec"), made)
        engine = ENGINES[name](made)
    reply({"version": version_of(name), "ms": round((time.monotonic() - started) * 1000)})
    for line in sys.stdin:
        started = time.monotonic()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                rows = engine.ask(json.loads(line))
            reply({"rows": rows, "ms": round((time.monotonic() - started) * 1000)})
        except Exception as error:  # The asker says what it was asked.
            reply({"error": f"{type(error).__name__}: {error}"[:2000]})


OUT = sys.stdout


def reply(answer):
    OUT.write(json.dumps(answer, default=str) + "\n")
    OUT.flush()


if __name__ == "__main__":
    main()
