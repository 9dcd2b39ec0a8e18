"""Messages in Redis Streams: each once, in the order in which they were sent.

A stream is a log of entries with growing ids. The id of an entry is the number of its message,
so the server itself refuses one that is sent again, and it counts as delivered. A message whose
turn has passed (another deal's went ahead while it was tried again) is appended at the end and
noted beside the stream, so that it too is there once. Both happen in one script, which the
server runs whole or not at all.

With several partitions there are as many streams, `sales.0`, `sales.1` and so on; all messages
of one deal go into the same one, so that consumers of different streams keep their order.

Redis and Valkey speak alike; a server of the protocol of Redis 5 or later will do.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from salesflow.errors import SalesflowError

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisStreams"]


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

SOCKET_SECONDS: Final = 10
CONNECT_SECONDS: Final = 5
FSYNC_MILLISECONDS: Final = 5_000


class RedisStreams:
    """The streams of one endpoint on a server."""

    def __init__(
        self, url: str, stream: str, *, partitions: int = 1, fsync: bool = False
    ) -> None:
        self._client = _client_of(url)
        self._stream = stream
        self._partitions = partitions
        self._fsync = fsync

    def stream_of(self, key: str) -> str:
        """Return the stream that the messages of a deal go into."""
        if self._partitions == 1:
            return self._stream
        return f"{self._stream}.{crc32(key.encode()) % self._partitions}"

    def add(self, key: str, number: int, id: str, fields: Mapping[str, str]) -> bool:
        """Append a message to its stream; False when it was there already.

        With `fsync` it returns when the server has it on its disk.
        """
        stream = self.stream_of(key)
        parts = [part for field in (("id", id), *fields.items()) for part in field]
        given: Any = [ADD, 2, stream, _late(stream), str(max(number, 1)), id, *parts]
        if not self._fsync:
            return bool(self._client.eval(*given))
        with self._client.pipeline(transaction=False) as both:  # on one connection
            both.eval(*given)
            both.waitaof(1, 0, FSYNC_MILLISECONDS)
            added, (on_disk, _) = both.execute()
        if not on_disk:
            raise TimeoutError("the server did not say that the message is on its disk")
        return bool(added)

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()


def _late(stream: str) -> str:
    """Return where messages are noted whose turn had passed: in a cluster on the same node."""
    return f"{stream}:late" if "{" in stream else f"{{{stream}}}:late"


def _client_of(url: str) -> "Redis":
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise SalesflowError(
            "Redis Streams are written by redis; run: pip install 'salesflow[redis]'"
        ) from error
    return Redis.from_url(
        url,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # what sends messages tries again by itself
        client_name="salesflow",
    )
