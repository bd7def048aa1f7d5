from tests.lockdown.variant import run

run("ingest")
