"""What the broker may answer with when it is away, so that everybody who sends can go on without it."""

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

#: kombu wraps errors only while it connects; on a connection that it has already, redis-py's own come through.
UNREACHABLE = (KombuError, RedisError, OSError)
