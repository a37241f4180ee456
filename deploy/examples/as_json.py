"""Copy entries to a topic of JSON, for what reads no MessagePack maps: python as_json.py [BOOTSTRAP] [TOPIC]

At least once: what was written is marked after it was written, so an entry may come twice; its id tells.
"""

import asyncio
import base64
import json
import sys

import aiokafka
import msgpack


def as_text(value):
    return base64.b64encode(value).decode()


async def main(bootstrap="127.0.0.1:9092", topic="weir.entries"):
    how = {"group_id": f"{topic}.json", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    async with (
        aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="gzip") as producer,
        aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, **how) as consumer,
    ):
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    line = json.dumps(msgpack.unpackb(record.value), default=as_text).encode()
                    await producer.send(f"{topic}.json", line, key=record.key)
            await producer.flush()
            await consumer.commit()


asyncio.run(main(*sys.argv[1:]))
