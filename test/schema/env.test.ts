import { describe, expect, test } from 'vitest'
import { ConfigError, resolveConfig } from '../../schema/config/resolve.ts'

describe('resolveConfig', () => {
  test('fills in defaults and converts text', () => {
    expect(resolveConfig({ MODE: 'api', PORT: '8080', REDIS_TLS: 'true', UNRELATED: 'x' })).toMatchObject({
      MODE: 'api',
      PORT: 8080,
      REDIS_TLS: true,
      TAX_RATE: '0.18'
    })
  })

  test('names every fault in one error, without any value', () => {
    const environment = {
      PORT: 'eighty',
      TAX_RATE: '1.5',
      DB_PASSWORD: 's3cret',
      LOG_LEVEL: 'loud',
      STREAM_PARTITIONS: '0'
    }
    try {
      resolveConfig(environment)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      expect((error as ConfigError).faults.map(fault => fault.split(' ')[0]).sort()).toEqual([
        'LOG_LEVEL',
        'MODE',
        'PORT',
        'STREAM_PARTITIONS',
        'TAX_RATE'
      ])
      expect((error as ConfigError).message).not.toContain('s3cret')
      expect((error as ConfigError).message).not.toContain('eighty')
    }
  })

  test.each(['0', '1', '0.18', '0.000001', '1.0'])('accepts %s as a tax rate', rate => {
    expect(resolveConfig({ MODE: 'api', TAX_RATE: rate }).TAX_RATE).toBe(rate)
  })

  test.each(['1.1', '-0.1', '.5', '1e-1', '', '0.0000001'])('refuses "%s" as a tax rate', rate => {
    expect(() => resolveConfig({ MODE: 'api', TAX_RATE: rate })).toThrow(/TAX_RATE/)
  })
})

test('ADMIN_TOKEN needs at least 16 characters', () => {
  expect(resolveConfig({ MODE: 'api', ADMIN_TOKEN: 'x'.repeat(16) }).ADMIN_TOKEN).toBe('x'.repeat(16))
  for (const short of ['', 'x'.repeat(15)])
    expect(() => resolveConfig({ MODE: 'api', ADMIN_TOKEN: short })).toThrow(/ADMIN_TOKEN/)
})

test.each(['', ' ', 'Infinity', '1e400', '9'.repeat(400), '0x10', '1e3', ' 80 ', '8.5', 'eighty'])(
  'a numeric setting refuses "%s"',
  text => {
    const numbers = { PORT: text, RATE_LIMIT_MAX: text, STORE_TIMEOUT_MS: text, MAX_BACKLOG: text }
    try {
      resolveConfig({ MODE: 'api', ...numbers })
      expect.unreachable()
    } catch (error) {
      const { faults } = error as ConfigError
      expect(faults.map(fault => fault.split('.', 1)[0]).sort()).toEqual(
        Object.keys(numbers)
          .map(name => `${name} must be integer`)
          .sort()
      )
    }
  }
)

test.each(['too short', '0123456789abcdef ', 'für-den-betrieb-geheim'])('ADMIN_TOKEN refuses "%s"', token => {
  expect(() => resolveConfig({ MODE: 'api', ADMIN_TOKEN: token })).toThrow(/ADMIN_TOKEN/)
})

test('ADMIN_TOKEN may be a phrase', () => {
  expect(resolveConfig({ MODE: 'api', ADMIN_TOKEN: 'sixteen characters' }).ADMIN_TOKEN).toBe(
    'sixteen characters'
  )
})

test('an empty HOST is refused, because the service would listen on every address', () => {
  expect(() => resolveConfig({ MODE: 'api', HOST: '' })).toThrow(/HOST/)
})

test.each(['', '127.0.0.1', '10.0.0.0/8, fd00::/8', '::1', '10.0.0.1/32', '::1/128'])(
  'TRUST_PROXY accepts "%s"',
  text => {
    expect(resolveConfig({ MODE: 'api', TRUST_PROXY: text }).TRUST_PROXY).toBe(text)
  }
)

test.each(['true', 'proxy.local', '10.0.0.0/33', '::1/129', '10.0.0.0/', '127.0.0.1,', '0.0.0.0/0', '::/0'])(
  'TRUST_PROXY refuses "%s"',
  text => {
    expect(() => resolveConfig({ MODE: 'api', TRUST_PROXY: text })).toThrow(/TRUST_PROXY/)
  }
)

test.each(['', 'http://10.0.0.1:8080', 'https://example.com/api', 'https://example.com/api/'])(
  'PUBLIC_URL accepts "%s"',
  text => {
    expect(resolveConfig({ MODE: 'api', PUBLIC_URL: text }).PUBLIC_URL).toBe(text)
  }
)

test.each([
  '/api',
  'example.com',
  'ftp://example.com',
  'https://',
  'https://a/b?c',
  'https://a/#b',
  'https://a/ b'
])('PUBLIC_URL refuses "%s"', text => {
  expect(() => resolveConfig({ MODE: 'api', PUBLIC_URL: text })).toThrow(/PUBLIC_URL/)
})

test.each([
  ['REDIS_PORT', 'redis'],
  ['DB_PORT', 'db']
])('an address that Kubernetes sets in %s is refused with the cause and a remedy', (name, service) => {
  const address = 'tcp://10.96.0.17:6379'
  try {
    resolveConfig({ MODE: 'api', [name]: address })
    expect.unreachable()
  } catch (error) {
    const [fault] = (error as ConfigError).faults
    expect(fault).toContain(`${name} must be a port number, and is an address (tcp://…)`)
    expect(fault).toContain(`Kubernetes sets it so where a Service is named ${service}: set ${name} in`)
    expect(fault).toContain('enableServiceLinks: false')
    expect(fault).not.toContain('10.96.0.17')
  }
})

test.each(['localhost', 'redis.example.com', '10.0.0.1', '::1', 'fe80::1%eth0', 'my_redis'])(
  'a host setting accepts "%s"',
  text => {
    for (const name of ['HOST', 'REDIS_HOST', 'DB_HOST'])
      expect(resolveConfig({ MODE: 'api', [name]: text })).toMatchObject({ [name]: text })
  }
)

test.each(['redis://10.0.0.1', 'tcp://10.0.0.1:6379', '10.0.0.1:6379', '[::1]', 'db.local/orders', ' '])(
  'a host setting refuses "%s", and the error shows a valid one',
  text => {
    for (const name of ['HOST', 'REDIS_HOST', 'DB_HOST'])
      expect(() => resolveConfig({ MODE: 'api', [name]: text })).toThrow(
        `${name} must be a name or an address alone, without a scheme, a port or brackets`
      )
  }
)

test.each(['redis-1', 'redis-1:7000', 'redis-1:7000, redis-2', '10.0.0.1:7000,[fe80::1]:7000', '::1'])(
  'REDIS_HOST of a cluster accepts "%s"',
  text => {
    const env = { MODE: 'api', REDIS_HOST: text }
    expect(resolveConfig({ ...env, REDIS_CLUSTER: 'true' }).REDIS_HOST).toBe(text)
    if (text !== 'redis-1' && text !== '::1') expect(() => resolveConfig(env)).toThrow(/REDIS_CLUSTER=true/)
  }
)

test.each(['redis://redis-1', 'redis-1:70000', 'redis-1:0', 'a,,b', '[10.0.0.1]:7000', 'a b'])(
  'REDIS_HOST of a cluster refuses "%s"',
  text => {
    expect(() => resolveConfig({ MODE: 'api', REDIS_CLUSTER: 'true', REDIS_HOST: text })).toThrow(
      /REDIS_HOST must be/
    )
  }
)

test('the wait for replicas must be shorter than a call to a store', () => {
  const env = { MODE: 'api', REDIS_MIN_REPLICAS: '1', STORE_TIMEOUT_MS: '200' }
  expect(resolveConfig({ ...env, REDIS_REPLICA_WAIT_MS: '199' }).REDIS_REPLICA_WAIT_MS).toBe(199)
  expect(() => resolveConfig({ ...env, REDIS_REPLICA_WAIT_MS: '200' })).toThrow(
    /REDIS_REPLICA_WAIT_MS is 200/
  )
  const unused = { ...env, REDIS_MIN_REPLICAS: '0', STORE_TIMEOUT_MS: '50' }
  expect(resolveConfig(unused).STORE_TIMEOUT_MS).toBe(50)
})

test('REDIS_SENTINELS needs REDIS_SENTINEL_NAME, and no cluster', () => {
  const sentinels = { MODE: 'api', REDIS_SENTINELS: 'sentinel-1,sentinel-2:26380' }
  const named = { ...sentinels, REDIS_SENTINEL_NAME: 'orders' }
  expect(resolveConfig(named)).toMatchObject(named)
  expect(() => resolveConfig(sentinels)).toThrow(
    /REDIS_SENTINEL_NAME is not set, and REDIS_SENTINELS needs it/
  )
  expect(() => resolveConfig({ MODE: 'api', REDIS_SENTINEL_NAME: 'orders' })).toThrow(
    /REDIS_SENTINELS is not set/
  )
  expect(() => resolveConfig({ ...named, REDIS_CLUSTER: 'true' })).toThrow(/a cluster has no sentinels/)
})

test('JWKS_URL needs ISSUER and AUDIENCE, and a URL that nobody on the way can change', () => {
  const resolve = (env: object) => () => resolveConfig({ MODE: 'api', ...env })
  const named = { ISSUER: 'https://login.example', AUDIENCE: 'orderstream' }
  for (const JWKS_URL of ['https://login.example/keys', 'http://127.0.0.1:8080/keys', 'http://[::1]/keys'])
    expect(resolve({ JWKS_URL, ...named })()).toMatchObject({ JWKS_URL })
  for (const JWKS_URL of ['http://login.example/keys', 'http://127.0.0.1.example/keys', 'keys', ''])
    expect(resolve({ JWKS_URL, ...named })).toThrow('JWKS_URL must be an https URL')
  expect(resolve({ JWKS_URL: 'https://login.example/keys', AUDIENCE: 'orderstream' })).toThrow(
    'ISSUER is not set, and JWKS_URL needs it.'
  )
})

test('CORS_ORIGINS is a list of origins, or *', () => {
  const resolve = (CORS_ORIGINS: string) => () => resolveConfig({ MODE: 'api', CORS_ORIGINS })
  for (const list of ['', '*', 'https://shop.example', 'https://a.example, http://localhost:8080'])
    expect(resolve(list)()).toMatchObject({ CORS_ORIGINS: list })
  for (const list of ['shop.example', 'https://shop.example/', 'https://a.example,', 'https://a.example, *'])
    expect(resolve(list)).toThrow('CORS_ORIGINS must be a list of origins')
})
