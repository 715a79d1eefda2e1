"""What a processor does not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WHOLE_WAY = """
import sys, time
from itertools import islice
from pathlib import Path
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.reads.request import parse
from stellarrow.processor.reads.session_stream import of_sessions

class Given:
    made = list(islice(synthetic(20, first=100, ledger_bytes=20_000), 5))
    def available(self): return LedgerSet([LedgerRange(100, 104)])
    def network(self): return Network.of("synthetic")
    def read(self, ledgers):
        for at in range(ledgers.first, ledgers.end + 1):
            yield LedgerChunk(self.made[at - 100], "single", at, at, "memory")
    def close(self): pass

processor = Processor(Given, Options(state_dir=Path(sys.argv[1])))
processor.start(100, 104)
for asked in (
    b'{"table": "contract_data"}',
    b'{"table": "contract_data", "version": "1.0"}',
    b'{"table": "contract_events"}',
    b'{"table": "contract_events", "event_names": ["transfer"]}',
    b'{"table": "token_transfers", "enriched": true}',
):
    asked = parse(asked)
    stream = of_sessions(processor, asked, cancelled=lambda: False)
    assert sum(sent.rows.num_rows for sent, _ in stream)
processor.close()
print("pandas" in sys.modules)
"""


def test_a_session_and_its_readers_do_not_import_pandas(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", WHOLE_WAY, str(tmp_path / "state")]
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (answer.stdout, answer.stderr) == ("False\n", "")
