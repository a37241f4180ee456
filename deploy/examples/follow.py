"""Print method, path and status of each HTTP call: python follow.py [BOOTSTRAP] [TOPIC]"""

import asyncio
import sys

import aiokafka
import msgpack


async def main(bootstrap="127.0.0.1:9092", topic="weir.entries"):
    seen = {}  # id -> version: an entry may come twice, and again in a fuller version. Bound it for long runs.
    async with aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        async for record in consumer:
            entry = msgpack.unpackb(record.value)
            if entry["protocol"] == "http" and entry.get("version", 1) > seen.get(entry["id"], -1):
                seen[entry["id"]] = entry.get("version", 1)
                print(entry.get("method"), entry.get("path"), entry.get("status_code"), flush=True)


asyncio.run(main(*sys.argv[1:]))
