"""`negpipe prepare --memory` in DuckDB: the peer of compare_duckdb.

    bench/peers/duckdb_prepare.py RATINGS BYTES SCRATCH [DATASET]

Filters, numbers, sorts and splits the rows of a CSV within a limit of memory, and writes them as Parquet. Tables and
temporary files are in the folder SCRATCH. Prints one JSON object: rows, seconds, processor seconds, and peak resident
memory. DATASET, if given, is the folder that negpipe prepare made of RATINGS: its arrays are compared afterwards.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import duckdb
import numpy as np

RATINGS, BYTES, SCRATCH = sys.argv[1:4]
PARQUET = os.path.join(SCRATCH, "rows.parquet")
STATEMENTS = f"""
    CREATE TABLE ratings AS SELECT row_number() OVER () AS n, user_id, item_id, timestamp FROM read_csv('{RATINGS}');
    CREATE TABLE users AS SELECT user_id, row_number() OVER (ORDER BY first) - 1 AS u, last
        FROM (SELECT user_id, min(n) AS first, arg_max(n, (timestamp, n)) AS last
              FROM ratings GROUP BY user_id HAVING count(*) >= 20);
    CREATE TABLE items AS SELECT item_id, row_number() OVER (ORDER BY first) - 1 AS i
        FROM (SELECT item_id, min(n) AS first FROM ratings JOIN users USING (user_id) GROUP BY item_id);
    COPY (SELECT u::INT AS u, i::INT AS i, n = last AS is_test
          FROM ratings JOIN users USING (user_id) JOIN items USING (item_id) ORDER BY u, i) TO '{PARQUET}';
"""

start = time.perf_counter()
connection = duckdb.connect(os.path.join(SCRATCH, "tables.duckdb"))
connection.execute(f"SET memory_limit = '{int(BYTES) // 1_000_000}MB'")
connection.execute(f"SET temp_directory = '{os.path.join(SCRATCH, 'temporary')}'")
connection.execute(STATEMENTS)
connection.close()
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
rows = duckdb.sql(f"SELECT u, i, is_test FROM '{PARQUET}' ORDER BY u, i").fetchnumpy()
if len(sys.argv) > 4:
    for name, chosen in (("positive_items", ~rows["is_test"]), ("test_items", rows["is_test"])):
        np.testing.assert_array_equal(np.load(Path(sys.argv[4]) / f"{name}.npy", mmap_mode="r"), rows["i"][chosen])
print(json.dumps({"rows": len(rows["u"]), "seconds": seconds, "processor_seconds": usage.ru_utime + usage.ru_stime,
                  "peak_memory_bytes": usage.ru_maxrss * 1024}))
