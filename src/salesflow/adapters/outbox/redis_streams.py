"""Messages in Redis Streams: each once, in the order in which they were sent.

    [[endpoint]]
    name = "bus"
    url = "redis://bus.example.com:6379/0"    # or rediss://
    stream = "sales"
    partitions = 8                            # as many streams, sales.0 to sales.7
    fsync = true                              # taken is what is on the server's disk
    password_env = "BUS_PASSWORD"

A stream is a log of entries with growing ids. The id of an entry is the message's number,
so the server itself refuses one that is sent again, and it counts as delivered. A message whose
turn has passed (another deal's went ahead while it was tried again) is appended at the end and
noted beside the stream, so that it too is there once. Both happen in one script, which the
server runs whole or not at all.

With several partitions there are as many streams, `sales.0`, `sales.1` and so on; all messages
of one deal go into the same one, so that consumers of different streams keep their order.

Redis and Valkey speak alike; a server of the protocol of Redis 5 or later will do.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

from salesflow.adapters.outbox.endpoints import Endpoint
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.transports import DeliveryError, Transport
from salesflow.domain.alike_names import perhaps
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, SalesflowError

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisStreamTransport"]


ADD: Final = """
local function add(id)
  local given = {'XADD', KEYS[1], id}
  for i = 3, #ARGV do given[#given + 1] = ARGV[i] end
  return redis.pcall(unpack(given))
end
local function is_there(id)
  local found = redis.call('XRANGE', KEYS[1], id, id)
  if #found == 0 then return false end
  local fields = found[1][2]
  for i = 1, #fields, 2 do
    if fields[i] == 'id' then return fields[i + 1] == ARGV[2] end
  end
  return false
end
local id = ARGV[1] .. '-0'
local added = add(id)
if type(added) == 'string' then return 1 end
if not string.find(added.err, 'ID specified in XADD', 1, true) then return added end
if is_there(id) or redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 0 end
local told, last = redis.call('XINFO', 'STREAM', KEYS[1]), nil
for i = 1, #told, 2 do
  if told[i] == 'last-generated-id' then last = told[i + 1] end
end
local time, number = string.match(last, '^(%d+)-(%d+)$')
added = add(time .. '-' .. string.format('%.0f', tonumber(number) + 1))
if type(added) ~= 'string' then return added end
redis.call('HSET', KEYS[2], ARGV[2], added)
return 1
"""
"""Append an entry under its number, or at the end when its turn has passed; once in all."""

STREAM: Final = "salesflow"
PARTITIONS_MAX: Final = 1_024
OPTIONS: Final = ("stream", "partitions", "fsync", "password_env")
CONNECT_SECONDS: Final = 5
FSYNC_SHARE: Final = 0.5
"""How much of the time for an attempt the server may take to write to its disk."""
UNKNOWN: Final = "unknown command"
NO_FILE: Final = "appendonly is disabled"
WRONG_TYPE: Final = "WRONGTYPE"


class RedisStreamTransport(Transport):
    """Sends messages to the streams of a server."""

    def __init__(self, endpoint: Endpoint) -> None:
        options = _Options.of(endpoint)
        self._shown = _shown(endpoint.url)
        self._stream, self._partitions = options.stream, options.partitions
        self._fsync = int(endpoint.timeout * FSYNC_SHARE * 1_000) if options.fsync else 0
        self._client = _client_of(endpoint, options.password)

    def send(self, message: OutgoingMessage, body: bytes) -> None:
        """Append a message to its stream; one that is there already counts as taken.

        Raises:
            DeliveryError: when the server did not say that it took it.
        """
        from redis.exceptions import RedisError

        try:
            self._add(message, body)
        except RedisError as error:
            raise self._delivery_error(message, error) from error

    def stream_of(self, key: str) -> str:
        """Return the stream that the messages of a deal go into."""
        if self._partitions == 1:
            return self._stream
        return f"{self._stream}.{crc32(key.encode()) % self._partitions}"

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()

    def _add(self, message: OutgoingMessage, body: bytes) -> None:
        stream = self.stream_of(message.ordering_key)
        given: Any = [ADD, 2, stream, _late(stream), str(max(message.number, 1)), message.id]
        given += ["id", message.id, "type", message.type, "key", message.ordering_key]
        given += ["event", body]
        if not self._fsync:
            self._client.eval(*given)
            return
        with self._client.pipeline(transaction=False) as both:  # on one connection
            both.eval(*given)
            both.waitaof(1, 0, self._fsync)
            _, (on_disk, _) = both.execute()
        if not on_disk:
            raise DeliveryError(f"{self._shown} did not say in time that it is on its disk")

    def _delivery_error(self, message: OutgoingMessage, error: Exception) -> DeliveryError:
        """Say what went wrong; all of it may be put right, so all of it is tried again."""
        from redis.exceptions import ConnectionError as NotReached
        from redis.exceptions import TimeoutError as NoAnswer

        said = str(error)
        if isinstance(error, NotReached | NoAnswer):
            return DeliveryError(f"{self._shown} did not answer: {said}", reached=False)
        if WRONG_TYPE in said:
            stream = self.stream_of(message.ordering_key)
            return DeliveryError(
                f"{stream!r} of {self._shown} is something else than a stream; name another one"
                " as stream"
            )
        if self._fsync and NO_FILE in said:
            return DeliveryError(
                f"{self._shown} keeps no append-only file: set appendonly yes there, or leave"
                " fsync out, and what it took is lost when it is killed"
            )
        if self._fsync and UNKNOWN in said:
            return DeliveryError(
                f"{self._shown} cannot say what is on its disk: fsync needs Redis 7.2 or Valkey"
            )
        return DeliveryError(f"{self._shown} refuses it: {said}")


class _Options(NamedTuple):
    """What an endpoint says for this transport alone."""

    stream: str
    partitions: int
    fsync: bool
    password: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> "_Options":
        """Read them, and refuse what can never be right.

        Raises:
            InputError: naming the endpoint, the key and what is allowed.
        """
        given, where = endpoint.options, f"endpoint {endpoint.name}"
        for key in given:
            if key not in OPTIONS:
                there = ", ".join(OPTIONS)
                raise InputError(
                    f"{where}: there is no key {key!r}{perhaps(key, OPTIONS)} for Redis; there"
                    f" are {there}"
                )
        stream, partitions = given.get("stream", STREAM), given.get("partitions", 1)
        if not isinstance(stream, str) or not stream.strip():
            raise InputError(f"{where}: stream is {quoted(stream)}; write a name in quotes")
        if type(partitions) is not int or not 1 <= partitions <= PARTITIONS_MAX:
            raise InputError(
                f"{where}: partitions is {quoted(partitions)}; write a whole number, 1 to"
                f" {PARTITIONS_MAX:,}"
            )
        fsync = given.get("fsync", False)
        if not isinstance(fsync, bool):
            raise InputError(f"{where}: fsync is {quoted(fsync)}; write true or false")
        return cls(stream, partitions, fsync, _password(endpoint, where))


def _password(endpoint: Endpoint, where: str) -> str | None:
    """Return the password out of the environment.

    Raises:
        InputError: when it stands in the file, or the variable holds none.
    """
    if urlsplit(endpoint.url).password:
        raise InputError(
            f"{where}: its URL holds a password; write the user alone, and name as password_env"
            " the environment variable that holds it"
        )
    variable = endpoint.options.get("password_env")
    if variable is None:
        return None
    password = endpoint.environment(variable) if isinstance(variable, str) else None
    if not password:
        raise InputError(f"{where}: the environment variable {quoted(variable)} is not set")
    return password


def _shown(url: str) -> str:
    """Return a URL as it may be shown: without a user or options."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _late(stream: str) -> str:
    """Return where messages are noted whose turn had passed: in a cluster on the same node."""
    return f"{stream}:late" if "{" in stream else f"{{{stream}}}:late"


def _client_of(endpoint: Endpoint, password: str | None) -> "Redis":
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise SalesflowError(
            "Redis Streams are written by redis; run: pip install 'salesflow[redis]'"
        ) from error
    given: dict[str, Any] = {} if password is None else {"password": password}
    return Redis.from_url(
        endpoint.url,
        socket_timeout=endpoint.timeout,
        socket_connect_timeout=min(CONNECT_SECONDS, endpoint.timeout),
        retry=Retry(NoBackoff(), 0),  # what delivers messages tries again by itself
        client_name="salesflow",
        **given,
    )
