"""A real Kafka, a real Redis, and daemons between them: what every test of this folder is made of.

Nothing here knows what engaged should do (that is oracle.py). Waiting is for a condition, never for a time, and
always bounded: `eventually` asks again until the answer is true, and fails with what it waited for.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
import zlib
from pathlib import Path

import redis
import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("ENGAGED_BUILD", "build/release")
MODELS = ROOT / "config" / "models"
MESSAGE_MAX_BYTES = 8 << 20
WAIT_S = 60                 # the longest that any condition may take to come true


def eventually(condition, what, seconds=WAIT_S):
    """The first true answer of the condition."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)
    return answer


def asked(question):
    """The answer, or None when Kafka cannot answer now: it may just have started."""
    try:
        return question()
    except KafkaException:
        return None


def merged(base, changes):
    """A configuration with some of its keys, at any depth, given other values."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Servers:
    """Kafka and Redis, private to one folder, by scripts/dev."""

    def __init__(self, folder):
        self.folder = folder
        self.start()

    def dev(self, *words):
        done = subprocess.run([ROOT / "scripts" / "dev", *words, "--dir", self.folder], capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0, f"scripts/dev {' '.join(words)}: {done.stderr}"
        return done.stdout

    def start(self):
        """Starts what does not run; with its data and ports, if it ran before."""
        said = dict(line.split("=", 1) for line in self.dev("start").splitlines() if "=" in line)
        self.kafka, self.redis_url = said["KAFKA"], said["REDIS"]
        self.redis = redis.Redis.from_url(self.redis_url)

    def stop(self):
        self.dev("stop")

    def restart(self, server, sig="TERM"):
        self.dev("restart", server, "--signal", sig)

    def pid(self, server):
        return int((self.folder / server / "pid").read_text())

    @contextlib.contextmanager
    def away(self, server):
        """kill -9, and nothing is there until the end of the block."""
        pid = self.pid(server)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: ended(pid), f"the end of {server}")
        try:
            yield
        finally:
            self.dev("start")

    @contextlib.contextmanager
    def redis_setting(self, name, value):
        former = self.redis.config_get(name)[name]
        self.redis.config_set(name, value)
        try:
            yield
        finally:
            self.redis.config_set(name, former)

    @contextlib.contextmanager
    def redis_forgets(self):
        """What Redis acknowledges in this block is lost: it is killed, and comes back with its files of before."""
        files, older = self.folder / "redis" / "appendonlydir", self.folder / "redis" / "older"
        with self.redis_setting("auto-aof-rewrite-percentage", 0):
            eventually(lambda: not self.redis.info("persistence")["aof_rewrite_in_progress"], "the end of a rewrite")
            shutil.copytree(files, older)       # perhaps in the middle of a command, as a power failure leaves it
            yield
            with self.away("redis"):
                shutil.rmtree(files)
                older.rename(files)

    def client(self, **properties):
        """What every client of Kafka here has in common."""
        return {"bootstrap.servers": self.kafka, "log_level": 2, "reconnect.backoff.max.ms": 500,
                **{name.replace("_", "."): value for name, value in properties.items()}}

    def admin(self):
        return AdminClient(self.client())

    def create_topic(self, name, partitions, **config):
        topic = NewTopic(name, partitions, 1, config={key.replace("_", "."): str(v) for key, v in config.items()})
        admin = self.admin()
        for future in admin.create_topics([topic]).values():
            future.result(WAIT_S)

    def reader(self, topic):
        return Reader(self, topic)

    def read(self, topic):
        """Every committed record of a topic; none if there is no such topic."""
        with contextlib.closing(self.reader(topic)) as reader:
            return reader.to_end()

    def ends(self, topic, partitions):
        """The high watermark of each partition."""
        with contextlib.closing(Consumer(self.client(group_id="ends"))) as consumer:
            return [eventually(lambda: asked(lambda: consumer.get_watermark_offsets(TopicPartition(topic, p), 5)),
                               f"the end of {topic}")[1] for p in range(partitions)]


class Reader:
    """The committed records of a topic, in the order of each partition; more of them at each call."""

    def __init__(self, servers, topic):
        self.consumer = Consumer(servers.client(
            group_id="reader", enable_auto_commit=False, isolation_level="read_committed", enable_partition_eof=True,
            auto_offset_reset="error", fetch_message_max_bytes=MESSAGE_MAX_BYTES, fetch_wait_max_ms=20))
        found = eventually(lambda: asked(lambda: self.consumer.list_topics(topic, 5)), "metadata").topics[topic]
        self.partitions = len(found.partitions) if found.error is None else 0
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(self.partitions)])
        self.records, self.at_end = [], set()

    def close(self):
        self.consumer.close()

    def take(self, seconds=0.1):
        for record in self.consumer.consume(10000, seconds) if self.partitions else []:
            if record.error() is None:
                self.records.append(record)
            elif record.error().code() == KafkaError._PARTITION_EOF:
                self.at_end.add(record.partition())
            elif not record.error().retriable():
                raise AssertionError(f"reading {record.topic()}: {record.error()}")
        return self.records

    def to_end(self):
        eventually(lambda: self.take() is not None and len(self.at_end) == self.partitions, "the end of a topic")
        return self.records

    def until(self, enough, what, seconds=WAIT_S):
        """The records as soon as enough(records)."""
        eventually(lambda: enough(self.take()), lambda: f"{what}; {len(self.records)} records so far", seconds)
        return self.records


class Recovery:
    """How long after a fault's end (now, or `since`) the first transition comes that was not there, in any of these
    partitions."""

    def __init__(self, app, fault, since=None, partitions=None):
        self.fault, self.since = fault, since or time.monotonic()
        ends = app.servers.ends(app.outputs[0], app.partitions)     # what is not committed yet ends there, too
        self.consumer = Consumer(app.servers.client(
            group_id="recovery", enable_auto_commit=False, isolation_level="read_committed", auto_offset_reset="error",
            fetch_wait_max_ms=20))
        self.consumer.assign([TopicPartition(app.outputs[0], p, ends[p]) for p in partitions or range(len(ends))])

    def took(self, until=None):
        """Waits for it, and prints it. None if it has not come until then (monotonic)."""
        try:
            end = until or time.monotonic() + WAIT_S
            while (left := end - time.monotonic()) > 0:
                if any(record.error() is None for record in self.consumer.consume(1, min(left, 1))):
                    took = time.monotonic() - self.since
                    print(f"recovery after {self.fault}: {took:.2f} s")
                    return took
            assert until, f"no output within {WAIT_S} s after {self.fault}"
            return None
        finally:
            self.consumer.close()


class Feeder:
    """Puts events into a topic: all of a customer into one partition, in order, each once, whatever Kafka does."""

    def __init__(self, servers, topic, partitions):
        self.topic, self.partitions = topic, partitions
        self.producer = Producer(servers.client(enable_idempotence=True, linger_ms=2, message_timeout_ms=WAIT_S * 1000,
                                                message_max_bytes=MESSAGE_MAX_BYTES))
        self.failures = []

    def place(self, customer):
        return zlib.crc32(customer.encode()) % self.partitions

    def put(self, value, key, partition=None, headers=None):
        if partition is None:
            partition = self.place(key)
        while True:
            try:
                self.producer.produce(self.topic, value, key, partition, headers=headers or [], on_delivery=self.told)
                break
            except BufferError:
                self.producer.poll(0.05)
        self.producer.poll(0)

    def told(self, error, _record):
        if error is not None:
            self.failures.append(error)

    def flush(self):
        left = self.producer.flush(WAIT_S)
        assert left == 0 and not self.failures, f"{left} events are not in Kafka: {self.failures[:3]}"


class Daemon:
    """One process of engaged; its log in a file."""

    def __init__(self, config, log):
        self.config, self.log_file = config, log
        self.log_start = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as to:
            self.process = subprocess.Popen([BUILD / "engaged", "--config", config], stdin=subprocess.DEVNULL,
                                            stdout=to, stderr=to)

    def log(self):
        """What this process has said."""
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            file.seek(self.log_start)
            return file.read()

    def takings(self, since=0):
        """(partition, offset) of each time that it has taken a partition, in the log from this character on."""
        return [(int(partition), int(offset)) for offset, partition in
                re.findall(r"taken at offset (\d+).* partition=(\d+)", self.log()[since:])]

    def runs(self):
        return self.process.poll() is None

    def says(self, *texts, times=1, seconds=WAIT_S):
        """Waits until each text stands in the log so many times."""
        def said():
            log = self.log()
            if all(log.count(text) >= times for text in texts):
                return True
            assert self.runs(), f"engaged has ended with {self.process.returncode}, without {texts}:\n{log[-3000:]}"
            return False
        eventually(said, lambda: f"{texts} in the log:\n{self.log()[-3000:]}", seconds)

    def says_more(self, text, times=1):
        """Waits until the text stands in the log so many times more than now."""
        self.says(text, times=self.log().count(text) + times)

    def ends(self, seconds=WAIT_S):
        """The exit status of a daemon that ends by itself."""
        return self.process.wait(seconds)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        if self.runs():
            self.process.kill()
        self.process.wait()

    def stop(self, limit_s=5):
        """SIGTERM; it must end in time, with 0."""
        since = time.monotonic()
        self.process.terminate()
        try:
            status = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"SIGTERM has not ended engaged within {limit_s} s:\n{self.log()[-3000:]}") from None
        assert status == 0, f"engaged ended with {status}:\n{self.log()[-3000:]}"
        return time.monotonic() - since


class App:
    """One app with topics of its own: a model, a source, and the daemons that work on it."""

    def __init__(self, servers, folder, name, model, partitions=2, source_config=None, **config):
        self.servers, self.folder, self.partitions = servers, folder, partitions
        self.redis = None       # the client of another Redis than the servers', if states are there
        self.name = f"{name}-{uuid.uuid4().hex[:8]}"
        self.source = f"{self.name}.events"
        self.models = [Path(model)] if isinstance(model, (str, Path)) else [Path(one) for one in model]
        self.daemons = []
        servers.create_topic(self.source, partitions, **(source_config or {}))
        self.config = merged({
            "app": self.name, "models": [str(model) for model in self.models], "workers": 2,
            "kafka": {"brokers": servers.kafka}, "redis": {"url": servers.redis_url},
            "sources": [{"topics": [self.source], "preset": "plain"}],
            "outputs": {"max_age": None}, "time": {"mode": "event"}, "http": {"listen": None},
            "log": {"level": "info", "format": "logfmt"}}, config)
        self.outputs = [f"{self.name}.transitions", f"{self.name}.triggers"]
        self.dead_letters = f"{self.name}.dead-letters"

    def write_config(self, instance="one", **changes):
        path = self.folder / f"{instance}.yaml"
        path.write_text(yaml.safe_dump(merged(self.config, {"instance": instance, **changes})))
        return path

    def start(self, instance="one", **changes):
        daemon = Daemon(self.write_config(instance, **changes), self.folder / f"{instance}.log")
        self.daemons.append(daemon)
        return daemon

    def start_live(self, instance="one", **changes):
        daemon = self.start(instance, **changes)
        daemon.says("taken at offset", times=self.partitions)
        return daemon

    def feeder(self):
        return Feeder(self.servers, self.source, self.partitions)

    def close(self):
        for daemon in self.daemons:
            if daemon.runs():
                with contextlib.suppress(ProcessLookupError):
                    daemon.signal(signal.SIGCONT)
                daemon.kill()
        for log in sorted(self.folder.glob("*.log")):   # shown by pytest when the test has failed
            print(f"---- {log.name}\n{log.read_text(errors='replace')[-6000:]}")

    def http(self, path):
        with urllib.request.urlopen(f"http://{self.config['http']['listen']}{path}", timeout=5) as answer:
            return answer.read().decode()

    # What Redis holds.

    def key(self, partition, rest):
        return f"{{{self.name}:{self.source}:{partition}}}:{rest}"

    def cursor(self, partition):
        found = (self.redis or self.servers.redis).hgetall(self.key(partition, "cursor"))
        return {name.decode(): value.decode() for name, value in found.items()}

    def offsets(self):
        """How far the states go, by partition."""
        return [int(self.cursor(p).get("offset", -1)) for p in range(self.partitions)]

    def caught_up(self):
        return self.offsets() == self.servers.ends(self.source, self.partitions)

    def await_caught_up(self, seconds=WAIT_S):
        """Until the states take every event of the source into account."""
        def behind():
            return list(zip(self.offsets(), self.servers.ends(self.source, self.partitions)))

        def done():
            running = [daemon for daemon in self.daemons if daemon.runs()]
            assert running, "no daemon runs any more"
            for daemon in running:
                assert "partition halted" not in (log := daemon.log()), f"a partition has halted:\n{log[-3000:]}"
            return self.caught_up()
        eventually(done, lambda: f"the cursors at the end of the log: {behind()}", seconds)
