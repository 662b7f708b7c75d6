"""What a guard costs a transaction, in time and in replicated bytes. Printed, not asserted."""
import statistics
import time

import pymysql
from table import RUNS as TURNS, row

BATCH = 30
BULK = 5000


def measure(connection, statements, runs):
    """The milliseconds of each run of the statements, and the bytes replicated in one."""
    times = []

    def replicated():
        with connection.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'wsrep_replicated_bytes'")
            return int(cursor.fetchone()[1])
    before = replicated()
    for i in range(runs):
        begun = time.perf_counter()
        for sql in statements:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        times.append((time.perf_counter() - begun) * 1000)
    return times, (replicated() - before) / runs


def test_guard(group, lab):
    group.add(1)
    group.init()
    node = lab.nodes[0]
    for sql in ("CREATE DATABASE IF NOT EXISTS app", "CREATE OR REPLACE TABLE app.plain (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT)",
                "CREATE OR REPLACE TABLE app.protected LIKE app.plain", "CREATE USER IF NOT EXISTS bench@localhost",
                "GRANT ALL ON app.* TO bench@localhost", "GRANT EXECUTE ON PROCEDURE galera_lease.guard TO bench@localhost",
                f"UPDATE galera_lease.lease SET epoch = 1, counter = 1, nonce = '1', holder = 'm1', state = 'held' WHERE name = '{group.lease}'",
                f"CALL galera_lease.allow_writer('bench', '{group.lease}', 'm1')",
                f"CALL galera_lease.protect_table('app', 'protected', '{group.lease}')"):
        node.query(sql)
    connection = pymysql.connect(unix_socket=str(node.socket), user="bench", autocommit=True)
    guard = f"CALL galera_lease.guard('{group.lease}', 1)"
    variants = {"no guard": ["START TRANSACTION", "INSERT INTO app.plain (v) VALUES (1)", "COMMIT"],
                "guard()": ["START TRANSACTION", guard, "INSERT INTO app.plain (v) VALUES (1)", "COMMIT"],
                "protected table": ["START TRANSACTION", "INSERT INTO app.protected (v) VALUES (1)", "COMMIT"]}
    times, sizes = {name: [] for name in variants}, {name: [] for name in variants}
    for turn in range(TURNS + 1):  # in turns: the machine has its moods; the first warms up
        for name, statements in variants.items():
            took, size = measure(connection, statements, BATCH)
            if turn > 0:
                times[name] += took
                sizes[name].append(size)
    plain, plain_size = statistics.median(times["no guard"]), statistics.median(sizes["no guard"])
    for name in variants:
        row(f"a transaction, {name}", times[name], "ms", "")
        if name != "no guard":
            row(f"a transaction, {name}: more than without", [statistics.median(times[name]) - plain], "ms", "<= 0.5 ms")
            row(f"a transaction, {name}: more replicated", [statistics.median(sizes[name]) - plain_size], "bytes", "<= 700 bytes")
    for table in ("plain", "protected"):
        measure(connection, [f"DELETE FROM app.{table}"], 1)
        times, size = measure(connection, [f"INSERT INTO app.{table} (v) SELECT seq FROM app.seq_1_to_{BULK}"], 1)
        row(f"{BULK} rows in one statement, {table}", times, "ms", "")
        row(f"{BULK} rows in one statement, {table}: replicated", [size / BULK], "bytes a row", "")
    node.query("CALL galera_lease.unprotect_table('app', 'protected')")
