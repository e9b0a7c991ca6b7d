import { type Static, Type } from 'typebox'
import { TOKEN_PATTERN } from '../http/admin-token.ts'
import { Currency } from '../http/currency.ts'
import { RATE_PATTERN } from '../http/tax-rate.ts'

/** A port number with a default. */
const port = (fallback: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65535, default: fallback, description })

/**
 * Every environment variable that the service reads, with its validation, default and type. A test compares this schema
 * with the table in docs/configuration.md. Times are in milliseconds, unless the name says seconds.
 */
export const Env = Type.Object(
  {
    MODE: Type.Enum(['api', 'worker'], {
      description:
        'The functions that this process runs: `api` accepts and reads orders, `worker` processes them.'
    }),
    HOST: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      format: 'host',
      description: 'Address to listen on. The container image sets `0.0.0.0`.'
    }),
    PORT: port(3000, 'Port to listen on, for orders, health and metrics. 0 takes a free one.'),

    REDIS_HOST: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      format: 'hosts',
      description:
        'Redis (or Valkey) host. With `REDIS_CLUSTER`, one or several servers of the cluster, each with or without a port: `redis-1:6379,redis-2:6379`.'
    }),
    REDIS_PORT: port(6379, 'Redis port, for hosts without a port.'),
    REDIS_CLUSTER: Type.Boolean({
      default: false,
      description:
        'Whether Redis is a Redis Cluster. The partitions (`STREAM_PARTITIONS`) are then spread over its masters. It can change only after `npm run admin -- redis release`.'
    }),
    REDIS_SENTINELS: Type.Optional(
      Type.String({
        minLength: 1,
        format: 'hosts',
        description:
          'The sentinels that know the master, in place of `REDIS_HOST`: `sentinel-1:26379,sentinel-2:26379`. The port may be left out when it is 26379. Needs `REDIS_SENTINEL_NAME`.'
      })
    ),
    REDIS_SENTINEL_NAME: Type.Optional(
      Type.String({ minLength: 1, description: 'The name of the master among the sentinels.' })
    ),
    REDIS_MIN_REPLICAS: Type.Integer({
      minimum: 0,
      maximum: 10,
      default: 0,
      description:
        'How many replicas must have an order before it counts as accepted. An order that they do not have in time is also written to MySQL. 0 waits for none: a failover may then lose the newest orders.'
    }),
    REDIS_REPLICA_WAIT_MS: Type.Integer({
      minimum: 1,
      maximum: 60_000,
      default: 100,
      description:
        'How long an accept waits for `REDIS_MIN_REPLICAS` replicas. It must be shorter than `STORE_TIMEOUT_MS`.'
    }),
    REDIS_SENTINEL_PASSWORD: Type.Optional(
      Type.String({ minLength: 1, description: 'Password of the sentinels. Without it, they need none.' })
    ),
    REDIS_USERNAME: Type.String({ default: '', description: 'Redis ACL user; empty for the default user.' }),
    REDIS_PASSWORD: Type.String({ default: '', description: 'Redis password; empty for none.' }),
    REDIS_TLS: Type.Boolean({
      default: false,
      description: 'Connect to Redis over TLS, with the certificate verified.'
    }),

    DB_HOST: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      format: 'host',
      description: 'MySQL (or MariaDB) host.'
    }),
    DB_PORT: port(3306, 'MySQL port.'),
    DB_USER: Type.String({
      default: 'orderstream',
      minLength: 1,
      description: 'MySQL user. It needs the rights to create tables in `DB_NAME`.'
    }),
    DB_PASSWORD: Type.String({ default: '', description: 'MySQL password; empty for none.' }),
    DB_NAME: Type.String({
      default: 'orderstream',
      minLength: 1,
      maxLength: 64,
      description: 'MySQL database. It must exist.'
    }),
    DB_TLS: Type.Boolean({
      default: false,
      description:
        'Connect to MySQL over TLS, with the certificate verified. It must name `DB_HOST`, unless that is an IP address.'
    }),
    DB_POOL_SIZE: Type.Integer({
      minimum: 2,
      maximum: 500,
      default: 10,
      description: 'Most MySQL connections of one process for orders. One of them is for probes.'
    }),
    DB_FUNCTION_POOL_SIZE: Type.Integer({
      minimum: 1,
      maximum: 500,
      default: 10,
      description:
        'Most MySQL connections of one process for functions (`app.stores.mysql`), beside those for orders. They open when they are needed.'
    }),

    TAX_RATE: Type.String({
      pattern: RATE_PATTERN,
      default: '0.18',
      description:
        'Tax rate from 0 to 1, with at most six decimals. An order keeps the rate of the time when it was accepted.'
    }),
    DEFAULT_CURRENCY: Type.Optional(
      Type.Enum(Currency.enum, {
        description:
          'Currency of orders that are sent without one (ISO 4217). Without it such an order has none, and its tax four decimals.'
      })
    ),
    CACHE_TTL_SECONDS: Type.Integer({
      minimum: 1,
      maximum: 31_536_000,
      default: 3600,
      description:
        'How long the document of a finished order stays in Redis unread. A read renews the time once half of it has passed.'
    }),
    KEY_PREFIX: Type.String({
      pattern: '^[A-Za-z0-9_.-]{1,40}$',
      default: 'orderstream',
      description: 'First part of every Redis key. It can change only after `npm run admin -- redis release`.'
    }),
    STREAM_PARTITIONS: Type.Integer({
      minimum: 1,
      maximum: 256,
      default: 1,
      description:
        'Number of partitions for orders and events, each in one hash slot. It can change only while no order waits or is a dead letter. It can become lower only while no function has messages left in the partitions that go. All processes need the same number: a process with another one does not use Redis, and accepts orders in MySQL, until it restarts.'
    }),
    MAX_BACKLOG: Type.Integer({
      minimum: 1,
      default: 1_000_000,
      description:
        'Most orders that wait in Redis. Beyond that, a POST is answered 503 with `Retry-After`. A waiting order takes about 600 bytes.'
    }),
    MAX_BACKLOG_BYTES: Type.Integer({
      minimum: 1_048_576,
      default: 268_435_456,
      description:
        'Most bytes of large orders that wait in Redis. Beyond that, a POST of a large order is answered 503 with `Retry-After`. An order is large when its message has more than 1 KiB. It takes about twice its bytes.'
    }),
    LEASE_MS: Type.Integer({
      minimum: 500,
      maximum: 3_600_000,
      default: 30_000,
      description:
        'How long a worker may be silent until another one takes over its messages. The longest lease applies to all workers that run the same function.'
    }),

    AUTH: Type.Enum(['on', 'off'], {
      default: 'on',
      description:
        'Whether a caller needs an API key: `on`, or `off` to let every caller write and read orders. `/admin/*` needs a key or the `ADMIN_TOKEN` either way.'
    }),
    ADMIN_TOKEN: Type.Optional(
      Type.String({
        minLength: 16,
        pattern: TOKEN_PATTERN,
        description:
          'Bearer token of `/admin/*`: at least 16 ASCII characters, without a space at either end. With `AUTH=off` and without a token these routes do not exist.'
      })
    ),

    JWKS_URL: Type.Optional(
      Type.String({
        format: 'key-set-url',
        description:
          'URL of the keys (JWKS) of an OpenID provider, over https or on this machine. Its JWTs are then accepted as bearer tokens, beside API keys. Needs `ISSUER` and `AUDIENCE`.'
      })
    ),
    ISSUER: Type.Optional(
      Type.String({ minLength: 1, description: 'The `iss` of the accepted JWTs. Needed with `JWKS_URL`.' })
    ),
    AUDIENCE: Type.Optional(
      Type.String({ minLength: 1, description: 'The `aud` of the accepted JWTs. Needed with `JWKS_URL`.' })
    ),
    TENANT_CLAIM: Type.String({
      minLength: 1,
      default: 'tenant',
      description:
        'The claim of a JWT that names the tenant. A JWT without it belongs to the tenant `default`.'
    }),
    CORS_ORIGINS: Type.String({
      default: '',
      format: 'origins',
      description:
        'Web pages that may call the API from a browser: origins such as `https://shop.example` with commas between them, or `*` for every page. Empty for none.'
    }),

    WEBHOOK_ALLOW_PRIVATE: Type.Boolean({
      default: false,
      description:
        'Whether webhook endpoints may be on this machine and in private networks, and may use http. Only for development, and where all callers are trusted.'
    }),

    RATE_LIMIT_MAX: Type.Integer({
      minimum: 0,
      default: 50_000,
      description:
        'Most requests a second, over all processes: of one caller with credentials, or of one client address without. 0 turns the limit off. An API key may have a limit of its own.'
    }),
    TRUST_PROXY: Type.String({
      default: '',
      format: 'addresses',
      description:
        'Proxies whose `X-Forwarded-For` is trusted: IP addresses or CIDR ranges with commas between them. Empty for none.'
    }),
    PUBLIC_URL: Type.String({
      default: '',
      format: 'base-url',
      description:
        'URL at which clients reach the service, such as `https://example.com/api` behind a proxy that strips a prefix. `Location` and the OpenAPI document use it. Empty for the root of any host.'
    }),
    BODY_LIMIT_BYTES: Type.Integer({
      minimum: 256,
      maximum: 1_048_576,
      default: 262_144,
      description: 'Largest request body, in bytes. An order of 500 items may have 256 KiB.'
    }),
    MAX_BATCH_ORDERS: Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      default: 10_000,
      description:
        'Most orders of one `POST /orders/batch`. Each order may have `BODY_LIMIT_BYTES`; the whole body has no other limit.'
    }),
    REQUEST_TIMEOUT_MS: Type.Integer({
      minimum: 100,
      maximum: 3_600_000,
      default: 10_000,
      description:
        'How long a client may take to send its request. In a batch: to send one order, or to read some of the results.'
    }),
    STORE_TIMEOUT_MS: Type.Integer({
      minimum: 50,
      maximum: 60_000,
      default: 400,
      description:
        'How long one call to Redis or MySQL may take while a client waits. After that the store counts as unavailable.'
    }),
    MAX_EVENT_LOOP_DELAY_MS: Type.Integer({
      minimum: 0,
      default: 1000,
      description:
        'Mean delay of the event loop above which new requests are refused with 503. 0 turns this off.'
    }),
    DRAIN_DELAY_MS: Type.Integer({
      minimum: 0,
      maximum: 60_000,
      default: 500,
      description:
        'How long the process still serves requests after SIGTERM, while `/health/ready` answers 503.'
    }),
    SHUTDOWN_GRACE_MS: Type.Integer({
      minimum: 1000,
      maximum: 3_600_000,
      default: 15_000,
      description: 'How long work in flight may take after that delay. Then the process ends anyway.'
    }),

    NODE_ENV: Type.Enum(['production', 'development', 'test'], {
      default: 'production',
      description: '`development` writes readable logs, at level `debug`.'
    }),
    LOG_LEVEL: Type.Optional(
      Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
        description: 'Lowest level that is logged: by default `info`, in development `debug`.'
      })
    )
  },
  {
    dependencies: {
      JWKS_URL: ['ISSUER', 'AUDIENCE'],
      REDIS_SENTINELS: ['REDIS_SENTINEL_NAME'],
      REDIS_SENTINEL_NAME: ['REDIS_SENTINELS']
    }
  }
)

/** The resolved configuration, as `buildApp` takes it. */
export type Config = Static<typeof Env>
