"""A Spark session that runs what it reads: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from pyspark.sql import SparkSession

# Spark's JVM writes to descriptor 1, too: answers have one of their own.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
session = SparkSession.builder.master("local[2]").getOrCreate()
for line in sys.stdin:
    told = json.loads(line)
    names: dict[str, Any] = {"spark": session, **told["names"]}
    try:
        exec(told["code"], names)  # noqa: S102  tests of ours
        answer: dict[str, Any] = {"answer": names.get("answer")}
    except Exception:
        answer = {"error": traceback.format_exc()}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
session.stop()
